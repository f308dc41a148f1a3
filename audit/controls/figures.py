"""The figures of the controls page: what was counted, whether somebody has to look into it, and the events behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse

from audit.controls import measuring
from audit.controls.charts import Chart, spread_chart
from audit.controls.frameworks import EDITIONS, SUPPORTED, Controls
from audit.controls.measuring import ManagedGroups, SelfApprovals, Spread, Undecidable, WithoutApproval
from audit.controls.periods import Period
from audit.ledger.anchoring import AnchorState, anchor_states
from audit.ledger.reading import MOST_COUNTED
from audit.ledger.scheduled import VerificationState, verification_state
from audit.ledger.waiting import waiting_for_seal
from base.clock import business_clock, business_now, real_now
from base.words import count_words, duration_words
from oversight.health import LATE_ANCHOR, LATE_SEAL, verification_words
from oversight.models import FindingKind
from requests_app.activity.recorded import coverage_words
from requests_app.estimates import short_words
from requests_app.overdue import number_overdue, overdue_grants

GOOD, LOOK, PLAIN = "live", "problem", "ended"
# Groups are compared every few minutes; older than this, what was found says little of now.
COMPARED_WITHIN = timedelta(days=1)
_WORDS = {GOOD: "As it should be", LOOK: "Look into it", PLAIN: "For information"}


@dataclass(frozen=True, slots=True)
class Behind:
    """Where the events or rows behind a figure are: an address and what it leads to."""

    address: str
    words: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `tone` is a badge's; a figure without a target only informs."""

    key: str
    name: str
    value: str
    sentence: str
    tone: str
    behind: Sequence[Behind]
    details: Sequence[str] = ()

    @property
    def state(self) -> str:
        return _WORDS[self.tone]

    @property
    def controls(self) -> Sequence[Controls]:
        return SUPPORTED[self.key]


@dataclass(frozen=True, slots=True)
class ControlRow:
    """One control, and the figures that support it."""

    control: str
    figures: Sequence[str]


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework with the controls of it that figures support."""

    name: str
    edition: str
    rows: Sequence[ControlRow]


@dataclass(frozen=True, slots=True)
class ControlsPage:
    """Everything that the page shows about a period."""

    period: Period
    figures: Sequence[Figure]
    charts: Sequence[Chart]

    @property
    def frameworks(self) -> Sequence[Framework]:
        """The mapping read the other way round: by control."""
        return [Framework(name, edition, _rows_of(name, self.figures)) for name, edition in EDITIONS.items()]


def controls_page(period: Period) -> ControlsPage:
    """Reads PostgreSQL in about twenty bounded statements. Raises Invalid when one took longer than it may."""
    decided, removed = measuring.time_to_decide(period), measuring.time_to_remove(period)
    groups = measuring.managed_groups()
    figures = [
        _self_approvals(measuring.self_approvals(period), period),
        _late_removals(removed, period),
        _ungranted(period, groups),
        *_without_approval(measuring.without_approval(period, business_now()), period),
        _undecidable(measuring.undecidable(business_now()), period),
        _took("time_to_decide", "Time to decide", "decision", decided, _behind_decided(period)),
        _took("time_to_remove", "Time to remove", "removal", removed, _behind_removed(period)),
        _unused(period, groups),
        _unused_access(period),
        _seal_lag(),
        _verification(verification_state(), period),
        *_anchor_lag(),
    ]
    charts = [
        spread_chart("decide", "Time to decide", "From the ask to the counted decision", decided, period),
        spread_chart(
            "remove",
            "Time to remove",
            "From the end of the window to read back as out of AWS",
            removed,
            period,
        ),
    ]
    return ControlsPage(period, figures, charts)


def _rows_of(framework: str, figures: Sequence[Figure]) -> Sequence[ControlRow]:
    found: dict[str, list[str]] = {}
    for figure in figures:
        for controls in figure.controls:
            if controls.framework == framework:
                for control in controls.ids:
                    found.setdefault(control, []).append(figure.name)
    return [ControlRow(control, found[control]) for control in sorted(found, key=_in_order)]


def _in_order(control: str) -> tuple[list[int], str]:
    """By number, as its publisher lists them: A.5.3 before A.5.18, and AC before AU."""
    family = control.rstrip("0123456789.()-")
    return [ord(each) for each in family] + [int(each) for each in re.findall(r"\d+", control)], control


def _number(count: int) -> str:
    return f"More than {MOST_COUNTED:,}" if count > MOST_COUNTED else f"{count:,}"


def _plural(count: int, thing: str, things: str = "") -> str:
    return f"{count:,} {thing if count == 1 else things or f'{thing}s'}"


def _named_words(named: int, of: int) -> Sequence[str]:
    """That not all are named, where they aren't."""
    return [f"{named:,} of them {'is' if named == 1 else 'are'} named here."] if of > named else ()


def _self_approvals(found: SelfApprovals, period: Period) -> Figure:
    cases = [
        Behind(
            reverse("audit_case", args=[each.item.request_id]),
            f"{each.approver.display_name}, {each.item.group.display_name}",
        )
        for each in found.cases
    ]
    return Figure(
        "self_approvals",
        "Self-approvals",
        _number(found.own),
        f"Of {_plural(found.counted, 'approval')} that counted, by somebody who asked themselves, with any account of "
        "theirs. It has to be none.",
        LOOK if found.own else GOOD,
        [Behind(period.timeline("decision.counted"), "Decisions that counted, denials among them"), *cases],
        _named_words(len(cases), found.own),
    )


def _late_removals(removed: Spread, period: Period) -> Figure:
    late, overdue = measuring.events_of("grant.overdue", period), overdue_grants()
    still, named = number_overdue(overdue), overdue[: measuring.MOST_NAMED]
    return Figure(
        "late_removals",
        "Removals past their target",
        _number(late),
        f"Told once for each hop: later than {duration_words(settings.OVERDUE_ENTRA)} in Entra, or "
        f"{duration_words(settings.OVERDUE_AWS)} in AWS. {_plural(removed.number, 'membership')} left AWS in the period; "
        f"{count_words(still, MOST_COUNTED)} {'removal is' if still == 1 else 'removals are'} overdue now.",
        LOOK if late or still else GOOD,
        [
            Behind(period.timeline("grant.overdue"), "Removals that were late"),
            *(
                Behind(
                    reverse("audit_case", args=[each.grant.first_request_id]),
                    f"Overdue now: {each.grant.person.display_name}, {each.grant.group.display_name}",
                )
                for each in named
            ),
        ],
        _named_words(len(named), still),
    )


def _ungranted(period: Period, groups: ManagedGroups) -> Figure:
    kinds = measuring.ungranted_members(period)
    number, still, accepted = (sum(each[place] for each in kinds.values()) for place in range(3))
    unseen = groups.not_compared or groups.compared_never
    old = groups.compared_at is None or groups.compared_at < business_now() - COMPARED_WITHIN
    return Figure(
        "ungranted_members",
        "Members without a grant",
        _number(number),
        "Differences between the portal, PIM and AWS that were first seen in the period: somebody holds access that no "
        f"grant explains. {still:,} {'is' if still == 1 else 'are'} open now, and {accepted:,} accepted as known "
        f"exceptions, whenever first seen. {_compared_words(groups)}",
        LOOK if still or unseen else PLAIN if number or accepted or old else GOOD,
        [
            Behind(period.timeline("drift.found"), "Drift of every kind that was found"),
            Behind(reverse("operations_drift"), "Drift now"),
        ],
        [
            f"{FindingKind(kind).label}: {each.seen:,}, open now {each.opened:,}, accepted {each.accepted:,}"
            for kind, each in kinds.items()
        ],
    )


def _compared_words(groups: ManagedGroups) -> str:
    """How far the comparison reaches: of a group that wasn't compared nobody knows its members."""
    if groups.compared_at is None:
        return "No managed group has been compared yet."
    said = [f"Compared last, of no group longer ago than {groups.compared_at:%Y-%m-%d %H:%M} UTC"]
    if groups.compared_never:
        said.append(f"{_plural(groups.compared_never, 'group')} never")
    if groups.not_compared:
        said.append(f"{_plural(groups.not_compared, 'group')} could not be compared when it was last tried")
    return f"{'; '.join(said)}."


def _without_approval(found: WithoutApproval, period: Period) -> Iterator[Figure]:
    yield Figure(
        "unreviewed_emergencies",
        "Emergency requests without a review",
        _number(found.unreviewed),
        f"Reviews of emergency use that are owed now, whenever that was; {found.overdue:,} of them overdue. In the "
        f"period, {_plural(found.emergencies, 'emergency', 'emergencies')} went without an approval, and "
        f"{_plural(found.not_in_order, 'review')} found one not in order. Drills, which are granted nothing, count apart: "
        f"{_number(found.drills).lower()}.",
        LOOK if found.overdue or found.not_in_order else GOOD,
        [
            Behind(reverse("operations_emergencies"), "Every emergency and drill with its reviews"),
            Behind(period.timeline("emergency.reviewed"), "Reviews in the period"),
            Behind(period.timeline("item.drilled"), "Drills in the period"),
            *(
                Behind(
                    reverse("emergency_review", args=[each.pk]),
                    f"{each.person.display_name}, {each.waiver.item.group.display_name}",
                )
                for each in found.open
            ),
        ],
        _named_words(len(found.open), found.unreviewed),
    )
    yield Figure(
        "automatic_approvals",
        "Automatic approvals",
        _number(found.automatic),
        "Requests that needed nobody to decide, because a worker found every condition of the rules to hold.",
        PLAIN,
        [
            Behind(
                period.timeline("waiver.granted"),
                "What went without an approval, emergencies among it, with the conditions",
            )
        ],
    )


def _undecidable(found: Undecidable, period: Period) -> Figure:
    lapsed = measuring.events_of("item.lapsed", period)
    more = " There are more than were looked at." if found.not_looked else ""
    return Figure(
        "undecidable",
        "Requests without a reachable approver",
        _number(len(found.found)),
        f"Of {_plural(found.looked_at, 'request')} that {'waits' if found.looked_at == 1 else 'wait'} now, by the "
        f"directory as last read.{more} In the period, {_number(lapsed).lower()} lapsed because nobody answered.",
        LOOK if found.found else GOOD,
        [
            Behind(period.timeline("item.lapsed"), "Requests that lapsed"),
            *(
                Behind(
                    reverse("audit_case", args=[item.request_id]),
                    f"{item.requester.display_name}, {item.group.display_name}",
                )
                for item in found.found
            ),
        ],
    )


def _behind_decided(period: Period) -> Behind:
    address = period.timeline("item.approved,item.denied")
    return Behind(address, "Requests approved or denied, among them those that needed nobody's decision")


def _behind_removed(period: Period) -> Behind:
    return Behind(period.timeline("grant.out_of_aws"), "The removals")


def _took(key: str, name: str, thing: str, spread: Spread, behind: Behind) -> Figure:
    if spread.typical is None or spread.slow is None or spread.longest is None:
        return Figure(key, name, "None yet", f"There was no {thing} in the period.", PLAIN, [])
    return Figure(
        key,
        name,
        f"{short_words(spread.typical)} / {short_words(spread.slow)}",
        f"Median and 95th percentile of {_plural(spread.number, thing)}; the longest took {short_words(spread.longest)}.",
        PLAIN,
        [behind],
    )


def _unused(period: Period, groups: ManagedGroups) -> Figure:
    found = measuring.unused_eligibilities(period, business_now())
    at, unread = groups.eligibilities_at, groups.eligibilities_never
    oldest = f"as last read from PIM, of no group longer ago than {at:%Y-%m-%d %H:%M} UTC" if at else ""
    never = f"{_plural(unread, 'group')} never read" if unread else ""
    known = " and ".join(filter(None, (oldest, never))) or "of which there is none"
    return Figure(
        "unused",
        "Unused eligibilities",
        _number(found.unused),
        f"Of {_plural(found.held, 'eligibility', 'eligibilities')} for managed groups, {known}, "
        "brought no access through the portal in the period, nor any that lasted into it.",
        PLAIN,
        [
            Behind(period.timeline("grant.arrived"), "Access that became ready"),
            *(
                Behind(
                    f"{reverse('audit_timeline')}?"
                    f"{urlencode({'person': each.person_object_id, 'group': each.group_object_id})}",
                    f"{each.person}, {each.group}",
                )
                for each in found.some
            ),
        ],
        _named_words(len(found.some), found.unused),
    )


def _unused_access(period: Period) -> Figure:
    use = measuring.use_of_access(period)
    return Figure(
        "unused_access",
        "Access that was not used",
        _number(use.unused) if use.known else "Not known",
        f"Of {_plural(use.arrived, 'access', 'accesses')} that became ready in the period, CloudTrail says of "
        f"{use.known:,} whether {'it was' if use.known == 1 else 'they were'} used. {coverage_words()}",
        PLAIN,
        [
            Behind(
                reverse("audit_case", args=[grant.first_request_id]),
                f"{grant.person.display_name}, {grant.group.display_name}",
            )
            for grant in use.cases
        ],
        _named_words(len(use.cases), use.unused),
    )


def _seal_lag() -> Figure:
    waiting = waiting_for_seal(real_now())
    events = (
        Behind(_timeline_from(waiting.since), "Events from the oldest that waits on")
        if waiting.since
        else Behind(reverse("audit_timeline"), "The newest events, each with its seal")
    )
    return Figure(
        "seal_lag",
        "Seal lag",
        short_words(waiting.lag),
        f"{_number(waiting.number)} {'event of the trail waits' if waiting.number == 1 else 'events of the trail wait'} "
        "for a seal now.",
        LOOK if waiting.lag > LATE_SEAL else GOOD,
        [events, Behind(reverse("operations"), "Health of the sealer")],
    )


def _timeline_from(moment: datetime) -> str:
    """The events from that minute on (business time)."""
    return f"{reverse('audit_timeline')}?{urlencode({'since': f'{moment:%Y-%m-%dT%H:%M}'})}"


def _verification(state: VerificationState, period: Period) -> Figure:
    whole, late = state.whole, state.overdue(real_now())
    behind = [
        Behind(period.timeline("ledger.verified"), "Verifications in the period that found nothing"),
        Behind(period.timeline("ledger.differs"), "Those that found something"),
        Behind(reverse("operations"), "Health of the verification"),
    ]
    unfinished = f" {words}" if (words := verification_words(state, real_now())) else ""
    if whole is None or whole.finished_at is None:
        sentence = f"No worker has verified the whole trail yet.{unfinished}"
        return Figure("verification", "Verification", "Not yet", sentence, LOOK if late else PLAIN, behind)
    if whole.event_id is not None:
        behind = [Behind(reverse("audit_event", args=[whole.event_id]), "The last verification"), *behind]
    signatures = f"signatures checked with {whole.keys}" if whole.keys else "signatures not checked"
    found = f" Not as sealed or told: {whole.names}." if whole.findings else ""
    # That nobody is told the sealer's key is for an operator to mend, and an auditor verifies with a copy of their own.
    return Figure(
        "verification",
        "Verification",
        _plural(whole.findings, "finding") if whole.findings else "Sound",
        f"A worker last verified the whole trail on {business_clock().at(whole.finished_at):%Y-%m-%d %H:%M} UTC: "
        f"{_plural(whole.events, 'sealed event')} up to batch {whole.last_batch:,}, {signatures}.{found}{unfinished}",
        LOOK if whole.findings or late or not whole.keys else GOOD,
        behind,
        ["It believes its own machine: verify with a key and anchors from elsewhere, too."],
    )


def _anchor_lag() -> Iterator[Figure]:
    states = anchor_states(settings.AUDIT_ANCHORS)
    if not states:
        yield Figure(
            "anchor_lag",
            "Anchor lag",
            "No place",
            "Seals are put nowhere outside the database. Whoever has the database and the sealing key could rewrite the "
            "trail: have an operator set AUDIT_ANCHORS.",
            LOOK,
            [],
        )
    for state in states:
        yield _anchor(state)


def _anchor(state: AnchorState) -> Figure:
    known = (
        f"Its newest receipt is of {state.at:%Y-%m-%d %H:%M} UTC." if state.at else "It has taken none yet."
    )
    late = state.lag > LATE_ANCHOR
    return Figure(
        "anchor_lag",
        f"Anchor lag: {state.place}",
        short_words(state.lag),
        f"How long the oldest seal that isn't at this place has waited. {known}",
        LOOK if late or state.at is None else GOOD,
        [*_behind_anchor(state), Behind(reverse("operations"), "Health of the anchors")],
    )


def _behind_anchor(state: AnchorState) -> Iterator[Behind]:
    if state.waits_since is not None:
        address = _timeline_from(business_clock().at(state.waits_since))
        yield Behind(address, "Events from the oldest seal that isn't there on")
    if state.newest_event is not None:
        yield Behind(
            reverse("audit_event", args=[state.newest_event]),
            "The newest event that it covers, with its proof",
        )
