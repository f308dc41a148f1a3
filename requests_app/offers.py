"""What a person may ask for: the catalogue's group joined with the rule that would judge a request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from django.urls import reverse

from base.clock import business_now
from base.errors import Invalid
from catalog import selectors as catalogue
from catalog.freshness import PartAge, ages, provisioning_state
from catalog.models import Eligibility, PermissionSet, PimGroup
from identity.models import Person
from policy.approvers import somebody_can_decide
from policy.asking import read_asks
from policy.demands import Demands
from policy.matching import current_versions, match
from policy.preflight import why_nobody
from policy.requestable import Circumstances, Requestability, judge
from requests_app.actions.asking import Asked, mistakes
from requests_app.favourites.marking import starred_among
from requests_app.freezes.holding import freezes_by_group
from requests_app.lifecycle import ENDABLE, OPEN, ItemStatus
from requests_app.models import Grant, RequestItem
from requests_app.presentation import Standing, standing
from requests_app.rows import scope_words
from requests_app.rule_words import automatic_sentence, names_in, stages_words
from requests_app.selectors import MOST_ITEMS
from requests_app.waivers.asking import for_emergency


@dataclass(frozen=True, slots=True)
class Offer:
    """One PIM group as one person may ask for it."""

    group: PimGroup
    eligibilities: Sequence[Eligibility]
    judged: Requestability
    names: Mapping[str, str]
    open_request: UUID | None = None  # one that is pending, or whose access has not ended yet
    standing: Standing | None = None  # of that request
    held: Grant | None = None  # access that a further request would lengthen
    starred: bool = False

    @property
    def demands(self) -> Demands | None:
        return self.judged.demands

    @property
    def obstacle(self) -> str:
        """Why it can't be requested, "" when it can."""
        return " ".join(refusal.sentence for refusal in self.judged.refusals)

    @property
    def longest(self) -> timedelta | None:
        """What can be asked for at most; for what can't be asked for, what its own settings would allow."""
        if self.judged.longest is not None:
            return self.judged.longest
        rule = self.demands.longest_duration if self.demands else None
        known = [span for span in (self.group.activation_maximum, rule) if span is not None]
        return min(known) if known else None

    def lengthened_by(self, wanted_start: datetime | None) -> datetime | None:
        """From when a request for this start (None: now) would lengthen access that the person has, or None."""
        if self.held is None or (wanted_start is not None and wanted_start > self.held.ends_at):
            return None
        return max(self.held.ends_at, business_now())

    def mistakes(self, asked: Asked, *, emergency: bool = False) -> list[Invalid]:
        """Every mistake that an ask for it would be refused for, whatever else is wrong with it. No query."""
        judged = for_emergency(self.judged) if emergency else self.judged
        lengthens = self.lengthened_by(asked.wanted_start) is not None
        return mistakes(judged, self.group, asked, held=self.held if lengthens else None)

    @property
    def undecided(self) -> bool:
        """Whether a request for it waits for a decision; another one has to wait for that."""
        return self.standing is not None and self.standing.tone == "waiting"

    @property
    def choosable(self) -> bool:
        """Whether it can be asked for now, alone or with others."""
        return not self.obstacle and not self.undecided

    @property
    def pim_demands(self) -> list[str]:
        """What PIM demands of whoever activates it, where that is done in the requester's own name."""
        group = self.group
        if not group.as_person:
            return []
        demanded = (
            (group.requires_mfa, "Multifactor authentication"),
            (bool(group.authentication_context), "A stronger sign-in (authentication context)"),
            (group.requires_ticket, "A reference number"),
            (group.requires_approval, "An approval in PIM, passed on in the name of whoever approves here"),
        )
        return [words for wanted, words in demanded if wanted]

    @property
    def sign_in(self) -> Sequence[str]:
        """What the sign-in of whoever asks has to prove."""
        return self.demands.step_up.ask.words if self.demands else ()

    @property
    def stages(self) -> list[str]:
        return stages_words(self.demands, self.names) if self.demands else []

    @property
    def deciders(self) -> str:
        return "; ".join(self.stages)

    @property
    def sets_words(self) -> str:
        names = list(self.group.preview.get("permission_sets", []))[:3]
        more = self.group.permission_set_count - len(names)
        return ", ".join(names) + (f" and {more} more" if more > 0 else "")

    @property
    def scope_words(self) -> str:
        return scope_words(self.group)

    @property
    def eligible_until(self) -> datetime | None:
        """The latest end of the eligibilities; None when one has no end."""
        ends = [each.ends_at for each in self.eligibilities]
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    @property
    def eligible_words(self) -> str:
        through = sorted({str(each.through) for each in self.eligibilities if each.through})
        if not through or any(each.through is None for each in self.eligibilities):
            return "directly"
        return f"through membership of {', '.join(through)}"

    @property
    def address(self) -> str:
        return reverse("group", args=[self.group.object_id])

    @property
    def request_address(self) -> str:
        return reverse("request_access", args=[self.group.object_id])

    @property
    def preview_address(self) -> str:
        return reverse("request_preview", args=[self.group.object_id])

    @property
    def emergency_known(self) -> bool:
        """Whether the rules know an emergency use of it."""
        return self.demands is not None and self.demands.emergency is not None

    @property
    def automatic_words(self) -> str:
        """Under which conditions nobody has to decide, "" where somebody always has to."""
        automatic = self.demands.automatic if self.demands else None
        waived = automatic is not None and not (self.demands and self.demands.pim_approval)
        return automatic_sentence(automatic) if automatic and waived else ""

    @property
    def emergency_address(self) -> str:
        return reverse("emergency", args=[self.group.object_id])

    @property
    def star_address(self) -> str:
        return reverse("favourite", args=[self.group.object_id])

    @property
    def open_address(self) -> str:
        return reverse("request", args=[self.open_request]) if self.open_request else ""


@dataclass(frozen=True, slots=True)
class OfferPage:
    """One page of offers; `next` is the position of the page after it, "" on the last."""

    offers: Sequence[Offer]
    next: str


def offers(person: Person, *, query: str, after: str) -> OfferPage:
    """What this person is eligible for, by name. The number of queries doesn't grow with the number of groups."""
    page = catalogue.eligible_groups(person, business_now(), query=query, after=after)
    rows = [(row.group, (row.eligibility, *row.others)) for row in page.rows]
    return OfferPage(_judge_all(person, rows), page.next)


def offers_of(person: Person, group_ids: Collection[UUID]) -> list[Offer]:
    """Those of the named groups that this person is eligible for, by name; at most as many as one request has."""
    now = business_now()
    named = [str(each) for each in group_ids][:MOST_ITEMS]
    groups = list(
        catalogue.visible_to(person, now)
        .filter(object_id__in=named)
        .defer("search")
        .order_by("display_name", "pk")
    )
    held = catalogue.eligibilities_of(person, groups, now)
    return _judge_all(person, [(group, held[group.pk]) for group in groups if group.pk in held])


@dataclass(frozen=True, slots=True)
class Unit:
    """Accounts of one organisational unit."""

    name: str
    accounts: Sequence[catalogue.OpenedAccount]


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy of a permission set."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Opened:
    """One permission set that a group opens."""

    permission_set: PermissionSet
    accounts: int

    @property
    def policies(self) -> list[Policy]:
        this = self.permission_set
        found = [Policy(str(each["name"]), "AWS managed") for each in this.managed_policies]
        found += [
            Policy(str(each["name"]), "kept in each account") for each in this.customer_managed_policies
        ]
        if this.inline_policy:
            found.append(Policy("Inline policy", "of this permission set"))
        if this.permissions_boundary:
            found.append(Policy("Permissions boundary", "limits all of it"))
        return found


@dataclass(frozen=True, slots=True)
class FullOffer:
    """An offer with all that a request would open; accounts by page."""

    offer: Offer
    sets: Sequence[Opened]
    units: Sequence[Unit]
    next_accounts: str


def one_offer(person: Person, group_id: UUID, *, undecided: bool = False) -> Offer:
    """One group, for somebody who is eligible for it. `undecided`: whether somebody could decide doesn't matter.

    Raises:
        Missing: no such group, or no eligibility; deliberately the same.
    """
    row = catalogue.eligible_group(person, str(group_id), business_now())
    return _judge_all(person, [(row.group, (row.eligibility, *row.others))], undecided=undecided)[0]


def full_offer(
    person: Person, group_id: UUID, *, accounts_after: str = "", accounts_query: str = ""
) -> FullOffer:
    """The same with what it opens. Raises Missing as `one_offer` does."""
    detail = catalogue.group_for(
        person, str(group_id), business_now(), accounts_after=accounts_after, accounts_query=accounts_query
    )
    eligibilities = (detail.row.eligibility, *detail.row.others)
    return FullOffer(
        offer=_judge_all(person, [(detail.group, eligibilities)])[0],
        sets=[Opened(each.permission_set, each.accounts) for each in detail.permission_sets],
        units=_by_unit(detail.accounts),
        next_accounts=detail.next_accounts,
    )


def _by_unit(accounts: Sequence[catalogue.OpenedAccount]) -> list[Unit]:
    def unit(row: catalogue.OpenedAccount) -> str:
        return str(row.account.unit) if row.account.unit else "No organisational unit"

    return [Unit(name, list(rows)) for name, rows in groupby(sorted(accounts, key=unit), key=unit)]


def _judge_all(
    person: Person, rows: Sequence[tuple[PimGroup, Sequence[Eligibility]]], *, undecided: bool = False
) -> list[Offer]:
    now = business_now()
    versions = current_versions()
    state = provisioning_state()
    running = _running(person, [group for group, _ in rows])
    frozen = freezes_by_group(person, [group for group, _ in rows])
    stars = starred_among(person, [group for group, _ in rows])
    nobody: dict[Demands, str] = {}  # why nobody can decide, "" where somebody can
    asks = read_asks([(person, group, now) for group, _ in rows], versions)
    matches = [match(ask, versions) for ask in asks]
    names = names_in({each.demands for each in matches if each.demands is not None})
    found = []
    for (group, eligibilities), matched in zip(rows, matches, strict=True):
        demands = matched.demands
        if demands is not None and not undecided and demands not in nobody:
            seated = somebody_can_decide(demands, person)
            nobody[demands] = "" if seated else why_nobody(demands, person)
        why = nobody.get(demands, "") if demands is not None else ""
        open_request, state_of_it, held = running.get(group.pk, (None, None, None))
        around = Circumstances(
            match=matched,
            somebody_can_decide=not why,
            nobody=why,
            provisioning=state.code if state else "",
            now=now,
            frozen=frozen[group.pk].sentence if group.pk in frozen else "",
            lengthens=held is not None,
        )
        judged = judge(person, group, eligibilities, around)
        found.append(
            Offer(
                group,
                eligibilities,
                judged,
                names,
                open_request,
                state_of_it,
                held,
                starred=group.pk in stars,
            )
        )
    return found


def _running(person: Person, groups: Sequence[PimGroup]) -> dict[int, tuple[UUID, Standing, Grant | None]]:
    """What this person has asked for already and has not seen the end of, by group. Two queries.

    What still waits for a decision is named before the access that it would lengthen.
    """
    found: dict[int, tuple[UUID, Standing, Grant | None]] = {}
    open_grants = Grant.objects.filter(person=person, group__in=groups, status__in=OPEN)
    for grant in open_grants.order_by("created_at", "pk"):
        held = grant if grant.status in ENDABLE and grant.starts_at <= business_now() else None
        found[grant.group_id] = (grant.first_request_id, standing(ItemStatus.APPROVED, grant), held)
    pending = RequestItem.objects.filter(requester=person, group__in=groups, status=ItemStatus.PENDING)
    for item in pending:
        held = found[item.group_id][2] if item.group_id in found else None
        found[item.group_id] = (item.request_id, standing(item.status, None), held)
    return found


@dataclass(frozen=True, slots=True)
class Freshness:
    """What to say about the age of what a page shows."""

    problems: Sequence[PartAge]


def read_freshness() -> Freshness:
    """What went wrong with the newest readings, and whether provisioning runs. One query at most."""
    return Freshness([age for age in ages() if age.problem])
