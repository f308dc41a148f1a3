"""What the figures are counted from: few statements, each over one index's span of the period and bounded in time.

All times are business time, all spans seconds of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Count, Min, Q

from audit.controls.periods import Period
from audit.ledger import reading
from audit.ledger.reading import EventFilter, bounded
from catalog.models import PimGroup
from identity.humans import human_key, same_human_sql
from oversight.models import UNRESOLVED, Finding, FindingKind, FindingStatus
from policy.approvers import all_seated
from policy.demands import Demands
from requests_app.activity.planning import MOST_ACCOUNTS
from requests_app.activity.whole import WHOLE
from requests_app.lifecycle import DecisionStatus, ItemStatus, WaiverStatus
from requests_app.models import Decision, Grant, RequestItem, Verdict
from requests_app.waivers.models import OwedReview, Waiver

# Somebody is a member, and no grant of the portal says so.
UNGRANTED = (FindingKind.ORPHAN, FindingKind.STANDING, FindingKind.FOREIGN_ASSIGNMENT)
MOST_NAMED = 20
MOST_PENDING = 500  # pending items that are looked at; beyond, the page says so


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the period: how many, and how long the median and the slowest twentieth took; None for none."""

    day: date
    number: int = 0
    typical: timedelta | None = None  # p50
    slow: timedelta | None = None  # p95


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took over the period, and in each of its parts."""

    number: int
    typical: timedelta | None  # p50
    slow: timedelta | None  # p95
    longest: timedelta | None
    parts: Sequence[Part]


_SPREAD = """
SELECT part, count(*), percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY took), max(took)
FROM (SELECT date_bin(make_interval(secs => %(step)s), ended, %(since)s) AS part,
             greatest(date_part('epoch', ended - began), 0) AS took
      FROM ({rows}) AS each) AS measured
GROUP BY GROUPING SETS ((part), ())
"""
_DECIDED = """
SELECT created_at AS began, decided_at AS ended FROM requests_app_requestitem item
WHERE decided_at >= %(since)s AND decided_at < %(until)s AND status IN ('approved', 'denied')
  AND NOT EXISTS (SELECT 1 FROM requests_app_waiver waived WHERE waived.item_id = item.id AND waived.status = 'granted')
"""
# A window that is over should have been cleared from its end on, where an extension fell from the one before it; whatever
# else ends access, from when that was begun.
_REMOVED = """
SELECT CASE WHEN end_reason = 'window_over' THEN least(coalesce(fell_back_to, ends_at), removal_started_at)
            ELSE removal_started_at END AS began,
       out_of_aws_at AS ended
FROM requests_app_grant
WHERE out_of_aws_at >= %(since)s AND out_of_aws_at < %(until)s AND removal_started_at IS NOT NULL
"""


def time_to_decide(period: Period) -> Spread:
    """From the ask to the counted decision, of what was approved or denied in the period by somebody."""
    return _spread(_DECIDED, period)


def time_to_remove(period: Period) -> Spread:
    """From the end of the window (or what ended it early) to the read-back from AWS, of what left AWS in the period."""
    return _spread(_REMOVED, period)


def _spread(rows: str, period: Period) -> Spread:
    wanted: dict[str, datetime | float] = {
        "since": period.since,
        "until": period.until,
        "step": period.step.total_seconds(),
    }
    with bounded(roomy=True), connection.cursor() as cursor:
        cursor.execute(_SPREAD.format(rows=rows), wanted)
        found = {part: row for part, *row in cursor.fetchall()}
    parts = [
        Part(day, found[begin][0], *map(_seconds, found[begin][1])) if begin in found else Part(day)
        for day in period.parts()
        for begin in (datetime.combine(day, time(), tzinfo=UTC),)
    ]
    number, middle, longest = found[None]
    if not number:
        return Spread(0, None, None, None, parts)
    typical, slow = middle
    return Spread(number, _seconds(typical), _seconds(slow), _seconds(longest), parts)


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


@dataclass(frozen=True, slots=True)
class SelfApprovals:
    """Approvals that counted in the period, and those among them by whoever asked; `cases` are a few of these."""

    counted: int
    own: int
    cases: Sequence[Decision]


# From the few who decide to what they asked for themselves: nearly nothing, where there are very many decisions.
_SELF_APPROVALS = f"""
WITH deciders AS MATERIALIZED (
    SELECT approver_id, count(*) AS number FROM requests_app_decision
    WHERE status = 'counted' AND verdict = 'approve' AND settled_at >= %(since)s AND settled_at < %(until)s
    GROUP BY approver_id
), oneself AS MATERIALIZED (
    SELECT one.id AS approver_id, other.id AS requester_id
    FROM deciders JOIN identity_person one ON one.id = deciders.approver_id
    JOIN identity_person other ON {same_human_sql("one", "other")}
), own AS (
    SELECT decision.id, decision.settled_at FROM oneself
    JOIN requests_app_requestitem item ON item.requester_id = oneself.requester_id
    JOIN requests_app_decision decision ON decision.item_id = item.id AND decision.approver_id = oneself.approver_id
    WHERE decision.status = 'counted' AND verdict = 'approve' AND settled_at >= %(since)s AND settled_at < %(until)s
)
SELECT (SELECT coalesce(sum(number), 0) FROM deciders), count(*),
       (array_agg(id ORDER BY settled_at DESC, id))[:%(most)s] FROM own
"""  # noqa: S608 - names of this product only


def self_approvals(period: Period) -> SelfApprovals:
    """By any account: the same row, or one that the directory links with it. Two statements at most."""
    with bounded(), connection.cursor() as cursor:
        cursor.execute(_SELF_APPROVALS, {"since": period.since, "until": period.until, "most": MOST_NAMED})
        ((counted, own, newest),) = cursor.fetchall()
        rows = Decision.objects.filter(pk__in=newest or ()).select_related("approver", "item__group")
        cases = list(rows.order_by("-settled_at", "pk")) if newest else ()
    return SelfApprovals(int(counted), own, cases)


def events_of(kind: str, period: Period) -> int:
    """How many events of that type the timeline shows for the period; 10,001 means more than 10,000."""
    return reading.count(EventFilter(types=(kind,), since=period.since, until=period.until))


class Ungranted(NamedTuple):
    """Members without a grant: first seen in the period; now open, and now a known exception, whenever first seen."""

    seen: int = 0
    opened: int = 0
    accepted: int = 0


def ungranted_members(period: Period) -> Mapping[str, Ungranted]:
    """Findings of members without a grant, by kind."""
    # Every status, so that the index by status and time serves.
    seen = Q(status__in=FindingStatus.values, first_seen_at__gte=period.since, first_seen_at__lt=period.until)
    still = Q(status__in=UNRESOLVED)
    rows = Finding.objects.filter(seen | still, kind__in=UNGRANTED).order_by().values_list("kind")
    counts = {
        "seen": Count("pk", filter=seen),
        "opened": Count("pk", filter=Q(status=FindingStatus.OPEN)),
        "accepted": Count("pk", filter=Q(status=FindingStatus.ACCEPTED)),
    }
    with bounded():
        found = {kind: Ungranted(*numbers) for kind, *numbers in rows.annotate(**counts)}
    return {str(kind): found.get(kind, Ungranted()) for kind in UNGRANTED}


class ManagedGroups(NamedTuple):
    """How far what is known of the managed groups reaches: "at" is of the group that was looked at longest ago."""

    eligibilities_at: datetime | None
    eligibilities_never: int
    compared_at: datetime | None
    compared_never: int
    not_compared: int  # though it was tried, the last time


def managed_groups() -> ManagedGroups:
    """One statement over the groups, of which there are few."""
    found = PimGroup.objects.filter(managed=True, present=True).aggregate(
        eligibilities_at=Min("eligibilities_read_at"),
        eligibilities_never=Count("pk", filter=Q(eligibilities_read_at=None)),
        compared_at=Min("look__looked_at"),
        compared_never=Count("pk", filter=Q(look__looked_at=None)),
        not_compared=Count("pk", filter=Q(look__problem__gt="")),
    )
    return ManagedGroups(**found)


# Access of the period is what became ready in it, and what was ready before and lasted into it: of that no more than was
# held at its first moment, by the index of spans (requests_app/held.py).
_UNUSED = """
WITH held AS MATERIALIZED (
    SELECT DISTINCT person_id, group_id FROM catalog_eligibility
    WHERE group_id IN (SELECT id FROM catalog_pimgroup WHERE managed AND present)
      AND (ends_at IS NULL OR ends_at > %(now)s)
), lasting AS MATERIALIZED (
    SELECT person_id, group_id FROM requests_app_grant
    WHERE tstzrange(coalesce(assigned_at, starts_at),
                    greatest(coalesce(assigned_at, starts_at),
                             coalesce(last_possible_use_at, ended_at, 'infinity'::timestamptz)))
          @> %(since)s::timestamptz
      AND arrived_at < %(since)s
), unused AS MATERIALIZED (
    SELECT person_id, group_id FROM held
    WHERE NOT EXISTS (SELECT FROM requests_app_grant used
                      WHERE used.person_id = held.person_id AND used.group_id = held.group_id
                        AND arrived_at >= %(since)s AND arrived_at < %(until)s)
      AND NOT EXISTS (SELECT FROM lasting
                      WHERE lasting.person_id = held.person_id AND lasting.group_id = held.group_id)
)
SELECT (SELECT count(*) FROM held), (SELECT count(*) FROM unused),
       person.display_name, person.object_id, pim.display_name, pim.object_id
FROM (SELECT person_id, group_id FROM unused ORDER BY group_id, person_id LIMIT %(most)s) few
JOIN identity_person person ON person.id = person_id JOIN catalog_pimgroup pim ON pim.id = group_id
RIGHT JOIN (VALUES (1)) AS one ON true
ORDER BY pim.display_name, person.display_name, person.id
"""


class Idle(NamedTuple):
    """An eligibility that brought no access."""

    person: str
    person_object_id: str
    group: str
    group_object_id: str


@dataclass(frozen=True, slots=True)
class Unused:
    """How many eligibilities (people and managed groups) there are now, how many brought no access, and some of these."""

    held: int
    unused: int
    some: Sequence[Idle]


def unused_eligibilities(period: Period, now: datetime) -> Unused:
    """Those that are there now, and what came of them in the period. One statement."""
    wanted: dict[str, datetime | int] = {
        "since": period.since,
        "until": period.until,
        "now": now,
        "most": MOST_NAMED,
    }
    with bounded(roomy=True), connection.cursor() as cursor:
        cursor.execute(_UNUSED, wanted)
        rows = cursor.fetchall()
    held, unused = rows[0][:2]
    return Unused(held, unused, [Idle(*row[2:]) for row in rows if row[2] is not None])


# From the looks, of which there are some, rather than from all that arrived.
_USE = f"""
WITH judged AS (
    SELECT given.id, given.arrived_at, {WHOLE} AS whole,
           EXISTS (SELECT FROM requests_app_activityplace place
               JOIN requests_app_activityuse use ON use.place_id = place.id WHERE place.look_id = look.id) AS used
    FROM requests_app_activitylook look JOIN requests_app_grant given ON given.id = look.grant_id
    WHERE given.arrived_at >= %(since)s AND given.arrived_at < %(until)s
)
SELECT (SELECT count(*) FROM requests_app_grant WHERE arrived_at >= %(since)s AND arrived_at < %(until)s),
       count(*) FILTER (WHERE whole OR used), count(*) FILTER (WHERE whole AND NOT used),
       (array_agg(id ORDER BY arrived_at DESC, id) FILTER (WHERE whole AND NOT used))[:%(most)s]
FROM judged
"""  # noqa: S608 - names of this product only


@dataclass(frozen=True, slots=True)
class Use:
    """Access that became ready in the period; of how much CloudTrail says whether it was used, and how much wasn't."""

    arrived: int
    known: int
    unused: int  # read whole, to the last possible use, and nothing found
    cases: Sequence[Grant]  # the newest of these


def use_of_access(period: Period) -> Use:
    """Two statements."""
    with bounded(), connection.cursor() as cursor:
        within: dict[str, datetime | int] = {"since": period.since, "until": period.until}
        cursor.execute(_USE, {**within, "most": MOST_NAMED, "asked": MOST_ACCOUNTS - 1})
        ((arrived, known, unused, newest),) = cursor.fetchall()
    rows = Grant.objects.filter(pk__in=newest or ()).select_related("person", "group")
    return Use(arrived, known, unused, list(rows.order_by("-arrived_at", "pk")) if newest else ())


@dataclass(frozen=True, slots=True)
class Undecidable:
    """Pending requests that nobody could decide now, the first to lapse first, by snapshots of the directory."""

    looked_at: int
    found: Sequence[RequestItem]
    not_looked: bool  # whether there were more than were looked at


def undecidable(now: datetime) -> Undecidable:
    """The same judgement as `policy.approvers.somebody_can_decide`, over MOST_PENDING items at once, of what is left to
    decide of each: whoever has approved it already is none of those for whom it waits. Four statements.
    """
    pending = RequestItem.objects.filter(status=ItemStatus.PENDING, lapses_at__gt=now)
    rows = pending.select_related("requester", "group", "terms").order_by("lapses_at", "pk")
    with bounded():
        items = list(rows[: MOST_PENDING + 1])
        looked = items[:MOST_PENDING]
        demands = {item.terms_id: item.terms.parsed for item in looked}
        humans = _humans(list(demands.values()), now)
        words = _words(looked)
    lost = [
        item for item in looked if not _seated(demands[item.terms_id], humans, item, words.get(item.pk, []))
    ]
    return Undecidable(len(looked), lost, len(items) > len(looked))


type Humans = Mapping[tuple[str, bool], set[tuple[str, str]]]


def _words(items: Sequence[RequestItem]) -> Mapping[UUID, Sequence[Decision]]:
    """The approvals that were counted, by item; one statement where any of them needs several."""
    several = [item for item in items if sum(stage.quorum for stage in item.terms.parsed.stages) > 1]
    found: dict[UUID, list[Decision]] = {}
    if not several:
        return found
    rows = Decision.objects.filter(item__in=several, verdict=Verdict.APPROVE, status=DecisionStatus.COUNTED)
    for row in rows.select_related("approver", "absence__person"):
        found.setdefault(row.item_id, []).append(row)
    return found


def _seated(demands: Demands, humans: Humans, item: RequestItem, words: Sequence[Decision]) -> bool:
    people = [item.requester, *(word.approver for word in words)]
    people += [word.absence.person for word in words if word.absence]
    spoken = {human_key(each) for each in people}
    ranks = (False, True) if demands.guests_decide else (False,)
    seats: list[Sequence[str]] = []
    for number, stage in enumerate(demands.stages[item.stage :], start=item.stage):
        keys = stage.approvers.groups | stage.approvers.people
        pairs = set().union(*(humans.get((key, guest), set()) for key in keys for guest in ranks))
        seats += [sorted({decides for named, decides in pairs if spoken.isdisjoint((named, decides))})] * (
            stage.quorum - sum(word.stage == number for word in words)
        )
    return all_seated(seats)


# Who is named and there decides; who is named and away has a delegate do it, where that one may and is there.
_HUMANS = """
WITH human AS (
    -- A guest's account that doesn't say whose it is decides in no case.
    SELECT id, object_id, enabled AND NOT (guest AND trim(employee_id) = '') AS enabled, guest,
           coalesce(nullif(lower(trim(employee_id)), ''), object_id) AS human
    FROM identity_person
), standing AS (
    SELECT absence.person_id, absence.delegate_id, human.human
    FROM identity_absence absence JOIN human ON human.id = absence.person_id
    WHERE begins_at <= %(now)s AND ends_at > %(now)s AND (withdrawn_at IS NULL OR withdrawn_at > %(now)s)
), named AS (
    SELECT kept.object_id AS key, human.id, human.guest, human.human
    FROM identity_directorygroup kept JOIN identity_directorymembership member ON member.group_id = kept.id
    JOIN human ON human.id = member.person_id
    WHERE kept.object_id = ANY(%(groups)s) AND human.enabled
    UNION
    SELECT object_id, id, guest, human FROM human WHERE object_id = ANY(%(people)s) AND enabled
), deciding AS (
    SELECT key, guest, human AS named, human AS decides FROM named
    WHERE human NOT IN (SELECT human FROM standing)
    UNION
    SELECT named.key, named.guest, named.human, delegate.human
    FROM named JOIN standing ON standing.person_id = named.id JOIN human delegate ON delegate.id = standing.delegate_id
    WHERE delegate.enabled AND NOT delegate.guest AND delegate.human NOT IN (SELECT human FROM standing)
)
SELECT key, guest, named, decides FROM (
    SELECT *, dense_rank() OVER (PARTITION BY key, guest ORDER BY decides) AS place FROM deciding
) AS ranked WHERE place <= %(most)s
"""


def _humans(demanded: Sequence[Demands], now: datetime) -> Humans:
    """Behind each object id of a group or a person: which human is named, and who decides for them (mostly themselves).

    Guests stand apart, under the same id with True. Of a group no more than twice all seats of the widest rule and one:
    without the requester, and without who has spoken on a seat and in whose right, as many are left as fill the others.
    One statement.
    """
    named = [stage.approvers for demands in demanded for stage in demands.stages]
    wanted: dict[str, list[str] | int | datetime] = {
        "groups": sorted({key for each in named for key in each.groups}),
        "people": sorted({key for each in named for key in each.people}),
        "most": 2 * max((sum(stage.quorum for stage in each.stages) for each in demanded), default=0) + 1,
        "now": now,
    }
    found: dict[tuple[str, bool], set[tuple[str, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_HUMANS, wanted)
        for key, guest, person, decides in cursor.fetchall():
            found.setdefault((key, guest), set()).add((person, decides))
    return found


@dataclass(frozen=True, slots=True)
class WithoutApproval:
    """What went without an approval in the period, and what of it is not reviewed now, whenever that was."""

    emergencies: int
    drills: int
    automatic: int
    not_in_order: int
    unreviewed: int  # open, drills left out
    overdue: int  # of these, those past their time
    open: Sequence[OwedReview]  # a few that are open, the first due first, drills left out


def without_approval(period: Period, now: datetime) -> WithoutApproval:
    """Three statements."""
    granted = Waiver.objects.filter(
        settled_at__gte=period.since, settled_at__lt=period.until, status=WaiverStatus.GRANTED
    )
    emergency = Q(kind=Waiver.Kind.EMERGENCY)
    unreviewed = OwedReview.objects.filter(verdict="", drill=False)
    with bounded():
        counted = granted.aggregate(
            emergencies=Count("pk", filter=emergency & Q(drill=False)),
            drills=Count("pk", filter=emergency & Q(drill=True)),
            automatic=Count("pk", filter=~emergency),
        )
        reviews = OwedReview.objects.filter(drill=False).aggregate(
            not_in_order=Count(
                "pk",
                filter=Q(
                    verdict=OwedReview.Verdict.NOT_IN_ORDER,
                    reviewed_at__gte=period.since,
                    reviewed_at__lt=period.until,
                ),
            ),
            unreviewed=Count("pk", filter=Q(verdict="")),
            overdue=Count("pk", filter=Q(verdict="", due_at__lte=now)),
        )
        rows = unreviewed.select_related("person", "waiver__item__group").order_by("due_at", "pk")
        named = list(rows[:MOST_NAMED])
    return WithoutApproval(**counted, **reviews, open=named)
