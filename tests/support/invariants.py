"""What holds whatever fails, whoever dies and whatever others do: the invariants that every proof checks.

`broken` looks at the rows, the audit trail and a simulated world, and gives a sentence for each invariant that
doesn't hold. The first five may be asked at any moment, also in the middle of a step that died; the others hold
once workers have done what is owed. All functions read; none writes but `seal_is_sound`, which seals.

I1  nothing is granted in PIM without an earlier approval, by an approver who isn't the requester, or without an emergency
    that was let through and owes its review
I2  nothing is granted past what was approved; no access past its end that the portal doesn't show
I3  for every row one event a version, and the trail replayed gives the row
I4  nothing is lost: all comes to an end
I5  PIM was given one assignment for each grant, at most
I6  what the portal calls ready is in Entra and in AWS, and what it calls over is in neither
I7  what was approved isn't refused without a cause outside: somebody who ended it before a cycle could carry it, or earlier
    access of the pair that was still on its way out, is one
I8  every write to a cloud has its event, with its client-request-id and, once known, its outcome
I9  the audit trail, sealed, verifies
I10 no more goes along the enterprise application's narrow path than the settings say
I11 what is activated as the person is asked for in their own name only, and approved in PIM by nobody but who approved it
    in the portal
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from audit.ledger.keys import SealingKey
from audit.ledger.sealing import seal_everything
from audit.ledger.verifying import verify
from base.readymade import Readymade
from identity.humans import same_human
from identity.models import Person
from requests_app.actions.steps import pacing
from requests_app.lifecycle import (
    ITEM,
    TERMINAL,
    DecisionStatus,
    EndReason,
    GrantStatus,
    ItemStatus,
    WaiverStatus,
)
from requests_app.models import Attempt, Decision, Grant, GrantInterval, RequestItem, Verdict
from requests_app.unexplained import unexplained_facts
from requests_app.waivers.models import Waiver
from simulator.world.state import Schedule, ScheduleRequest
from simulator.world.world import World
from tests.support.replaying import Trail, differences
from tests.support.world_clients import WORKER, Calls
from tests.support.world_personal import SIGNED_IN

# The events of each kind of write: of its sending, and of its answer.
EVENTS: dict[str, tuple[str, str]] = {
    Attempt.Kind.ASSIGN: ("outside.assignment_sent", "outside.assignment_answered"),
    Attempt.Kind.EXTEND: ("outside.extension_sent", "outside.extension_answered"),
    Attempt.Kind.REMOVE: ("outside.removal_sent", "outside.removal_answered"),
    Attempt.Kind.ON_DEMAND: ("outside.provisioning_sent", "outside.provisioning_answered"),
    Attempt.Kind.TAKE_OUT: ("fast_removal.sent", "fast_removal.answered"),
    Attempt.Kind.PASS_ON: ("outside.approval_sent", "outside.approval_answered"),
    Attempt.Kind.WITHDRAW: ("outside.withdrawal_sent", "outside.withdrawal_answered"),
}
ASSIGNMENT_SENT = "outside.assignment_sent"
# What PIM is asked for access with: as the portal, and as the person.
AS_PORTAL, AS_PERSON = "adminAssign", "selfActivate"
GIVING = frozenset({AS_PORTAL, AS_PERSON})
# Access that is past its end by this much is shown as being removed, or as overdue.
SHOWN_WITHIN = timedelta(minutes=5)
# A window of which less than this is left may be too short: PIM takes no less than its minimum, as the person it is asked
# for a little less than what is left, and there is what the death of a worker costs.
TOO_LITTLE = settings.PIM_MINIMUM + timedelta(minutes=3)
# Time between two of Entra's provisioning cycles; within it what changed has been carried without being asked for.
A_CYCLE = timedelta(minutes=40)
# Statuses in which a page says that access is on its way out.
SHOWN_AS_LEAVING = frozenset({GrantStatus.REMOVING, GrantStatus.DEPROVISIONING, GrantStatus.DRAINING})

# Statuses that say that our assignment is not, or no longer, in Entra.
NOT_IN_ENTRA = TERMINAL | {GrantStatus.SCHEDULED, GrantStatus.DEPROVISIONING, GrantStatus.DRAINING}
ON_DEMAND = "graph.POST provisionOnDemand"

type Pair = tuple[str, str]  # Entra's object ids: the person, the group


class Access(NamedTuple):
    """What the invariants look at of a grant: reading whole rows, after each step, is most of what a proof does."""

    pk: UUID
    person_id: UUID
    person_oid: str
    group_oid: str
    store_group_id: str
    first_request_id: UUID
    status: str
    revision: int
    starts_at: datetime
    ends_at: datetime
    fell_back_to: datetime | None
    as_person: bool
    entra_ends_at: datetime | None
    out_of_aws_at: datetime | None
    ended_at: datetime | None
    holder_checked_at: datetime | None
    last_write_at: datetime | None
    end_reason: str
    removal_started_at: datetime | None
    problem: str


_ELSEWHERE = {
    "person_oid": "person__object_id",
    "group_oid": "group__object_id",
    "store_group_id": "group__store_group_id",
}
OF_A_GRANT = tuple(_ELSEWHERE.get(name, name) for name in Access._fields)
ALL_GRANTS: Readymade[tuple[Any, ...]] = Readymade(lambda: Grant.objects.values_list(*OF_A_GRANT))


class Part(NamedTuple):
    """What an approved item contributed to a grant, and for how long it was asked for."""

    grant_id: UUID
    item_id: UUID
    starts_at: datetime
    ends_at: datetime
    asked: timedelta


class Word(NamedTuple):
    """A decision that was counted."""

    item_id: UUID
    approver_id: UUID
    verdict: str
    duration: timedelta | None


@dataclass
class Scene:
    """What the invariants look at: the world, the calls that took effect, and what others did."""

    world: World
    calls: Calls
    now: datetime
    # Pairs that somebody else changed: what AWS or Entra shows of them isn't the portal's doing alone.
    disturbed: Collection[Pair] = ()
    # Pairs whose access had a cause outside to be refused.
    excused: Collection[Pair] = ()
    # Whether workers have done all that was owed by now.
    settled: bool = False
    # What was called earlier was another release's, which may have had other limits.
    since: datetime | None = None
    # How long an activation as the person may be on its way to PIM, which counts it from then, beyond what the portal
    # leaves for that: where the clouds' time runs faster than calls do.
    on_its_way: timedelta = timedelta(0)
    # The client ids under which the portal calls: the worker's own, and that of people's sign-in.
    applications: Collection[str] = (str(WORKER.identity.application_id), SIGNED_IN)
    trail: Trail = field(default_factory=Trail)
    grants: list[Access] = field(init=False)
    # All that the portal ever asked PIM to give, whatever came of it.
    asked: list[ScheduleRequest] = field(init=False)
    # Our assignments by the grant's id, which their marks begin with; what follows counts its extensions.
    ours: dict[str, list[tuple[ScheduleRequest, Schedule]]] = field(init=False)

    def __post_init__(self) -> None:
        self.grants = [Access(*row) for row in ALL_GRANTS.rows()]
        self.ours = {}
        schedules = self.world.state.schedules
        self.asked = [
            request
            for request in self.world.state.requests.values()
            if request.created_by.application_id in self.applications and request.action in GIVING
        ]
        for request in self.asked:
            schedule = schedules.get(request.target_schedule_id or "")
            if schedule is not None:
                self.ours.setdefault(_tag(request), []).append((request, schedule))

    @cached_property
    def parts(self) -> list[Part]:
        """What the grants stand on."""
        fields = ("grant_id", "item_id", "starts_at", "ends_at", "item__duration")
        return [Part(*row) for row in GrantInterval.objects.values_list(*fields)]

    @cached_property
    def words(self) -> list[Word]:
        """The decisions that were counted."""
        counted = Decision.objects.filter(status=DecisionStatus.COUNTED)
        return [Word(*row) for row in counted.values_list(*Word._fields)]

    @cached_property
    def people(self) -> dict[UUID, Person]:
        return Person.objects.in_bulk()

    @cached_property
    def approvers_behind(self) -> dict[UUID, list[Person]]:
        """For each grant, who approved the items that it stands on."""
        approved: dict[UUID, list[Person]] = {}
        for word in self.words:
            if word.verdict == Verdict.APPROVE:
                approved.setdefault(word.item_id, []).append(self.people[word.approver_id])
        behind: dict[UUID, list[Person]] = {}
        for part in self.parts:
            behind.setdefault(part.grant_id, []).extend(approved.get(part.item_id, []))
        return behind

    def pair(self, grant: Access) -> Pair:
        return grant.person_oid, grant.group_oid

    def held_in_entra(self, grant: Access) -> bool:
        """Whether an assignment of this very grant runs in PIM."""
        return any(schedule.ended_at is None for _, schedule in self.ours.get(str(grant.pk), []))

    def held_in_aws(self, grant: Access) -> bool:
        store = self.world.identity_store
        user = store.find_user_by_external_id(grant.person_oid)
        return user is not None and store.is_member(user.id, grant.store_group_id)


def _tag(request: ScheduleRequest) -> str:
    """The grant's id out of its mark in the justification: a tenant may forget ticket information."""
    return (request.justification or "").rpartition("[access-portal:")[2].rstrip("]").partition(".")[0]


def broken(scene: Scene) -> list[str]:
    """A sentence for every invariant that doesn't hold now."""
    replayed = differences(scene.trail)
    found = [
        *_nothing_without_approval(scene),
        *_nothing_past_what_was_approved(scene),
        *(f"I3 {each}" for each in replayed),
        *_one_assignment_each(scene),
        *_what_is_said_is_so(scene),
        *_every_write_has_its_event(scene),
        *_the_narrow_path_is_kept(scene),
        *_nobody_else_is_spoken_for(scene),
    ]
    if scene.settled:
        found += [*_late_access_is_shown(scene), *_no_refusal_without_cause(scene)]
    return found


def check(scene: Scene, *, context: str = "") -> None:
    """Raises AssertionError with every invariant that is broken."""
    found = broken(scene)
    assert not found, "\n".join([context, *found])


def check_what_is_said(scene: Scene, *, context: str = "") -> None:
    """I6 alone, which costs little: for after every pass. Raises AssertionError."""
    found = list(_what_is_said_is_so(scene))
    assert not found, "\n".join([context, *found])


def nothing_is_owed() -> list[str]:
    """I4: what hasn't come to its end."""
    return [
        *(f"I4 {r}" for r in _unfinished(RequestItem, [s for s in ItemStatus.values if ITEM.targets(s)])),
        *(f"I4 {r}" for r in _unfinished(Decision, [DecisionStatus.SUBMITTED])),
        *(f"I4 {r}" for r in _unfinished(Waiver, [WaiverStatus.SUBMITTED])),
        *(f"I4 {r}" for r in _unfinished(Grant, [s for s in GrantStatus.values if s not in TERMINAL])),
    ]


def _unfinished(
    model: type[RequestItem | Decision | Waiver | Grant], statuses: Collection[str]
) -> Iterator[str]:
    for row in model.objects.filter(status__in=statuses):
        yield f"{model.__name__} {row.pk} is still {row.status}"


def seal_is_sound() -> list[str]:
    """I9: seal everything with a key made for it, as the sealer would, and verify the whole trail."""
    key = SealingKey(Ed25519PrivateKey.generate())
    seal_everything(key)
    report = verify({key.id: key.trusted}, beside=(unexplained_facts,))
    return [f"I9 {finding.sentence}" for finding in report.findings]


# ---------------------------------------------------------------- each


def _nothing_without_approval(scene: Scene) -> Iterator[str]:
    """I1."""
    by_id = {str(grant.pk): grant for grant in scene.grants}
    sent: dict[object, int] = {}
    for _, event in scene.trail.of(ASSIGNMENT_SENT):
        sent.setdefault(event.grant_id, event.id)
    approved: dict[object, list[int]] = {}
    for _, event in scene.trail.of("item.approved"):
        approved.setdefault(event.request_id, []).append(event.id)
    behind, stands_on_nothing = scene.approvers_behind, _given_by_nobody(scene)
    yield from _emergencies_without_review()
    for tag, made in scene.ours.items():
        grant = by_id.get(tag)
        if grant is None:
            yield f"I1 PIM holds an assignment ({made[0][0].id}) with the mark {tag!r} that no grant has"
            continue
        events = approved.get(grant.first_request_id, [])
        if not any(event_id < sent.get(grant.pk, 0) for event_id in events):
            yield f"I1 grant {grant.pk} was sent to PIM before it was approved"
        if grant.pk in stands_on_nothing:
            yield f"I1 grant {grant.pk} has no counted approval, and no emergency was let through"
        for approver in behind.get(grant.pk, []):
            if same_human(approver, scene.people[grant.person_id]):
                yield f"I1 grant {grant.pk} was approved by the person who holds it"


def _given_by_nobody(scene: Scene) -> set[UUID]:
    """Grants of which a part was neither approved by anybody nor let through in an emergency."""
    let_through = Waiver.objects.filter(status=WaiverStatus.GRANTED, drill=False)
    good = {word.item_id for word in scene.words if word.verdict == Verdict.APPROVE}
    good.update(let_through.values_list("item_id", flat=True))
    with_parts = {part.grant_id for part in scene.parts}
    return {part.grant_id for part in scene.parts if part.item_id not in good} | (
        {grant.pk for grant in scene.grants} - with_parts
    )


def _emergencies_without_review() -> Iterator[str]:
    """I1: one review is owed by each panel, of which the rules here have one, and it is owed once."""
    for waiver in Waiver.objects.filter(status=WaiverStatus.GRANTED, kind=Waiver.Kind.EMERGENCY):
        if (owed := waiver.reviews.count()) != 1:
            yield f"I1 the emergency {waiver.pk} owes {owed} reviews"


def _nothing_past_what_was_approved(scene: Scene) -> Iterator[str]:
    """I2, the first half."""
    spans: dict[UUID, tuple[datetime, datetime]] = {}
    for part in scene.parts:
        first, last = spans.get(part.grant_id, (part.starts_at, part.ends_at))
        spans[part.grant_id] = min(first, part.starts_at), max(last, part.ends_at)
    for grant in scene.grants:
        span = spans.get(grant.pk)
        if span is None:
            yield f"I2 grant {grant.pk} stands on no approved item"
            continue
        if (grant.starts_at, grant.ends_at) != span:
            yield f"I2 grant {grant.pk} ends at {grant.ends_at}, approved until {span[1]}"
        for _, schedule in scene.ours.get(str(grant.pk), []):
            late = scene.on_its_way if grant.as_person else timedelta(0)
            if schedule.end is None or schedule.end > span[1] + late:
                yield f"I2 PIM holds grant {grant.pk} until {schedule.end}, approved until {span[1]}"
            if schedule.start < span[0]:
                yield f"I2 PIM began grant {grant.pk} at {schedule.start}, approved from {span[0]}"
    shorter: dict[UUID, list[timedelta]] = {}
    for word in scene.words:
        if word.duration is not None:
            shorter.setdefault(word.item_id, []).append(word.duration)
    for part in scene.parts:
        given = min([part.asked, *shorter.get(part.item_id, [])])
        if part.ends_at - part.starts_at > given:
            yield f"I2 item {part.item_id} was given more time than it asked for, or than was approved"


def _one_assignment_each(scene: Scene) -> Iterator[str]:
    """I5. Access that was extended may have to be assigned once more."""
    revisions = {str(grant.pk): grant.revision for grant in scene.grants}
    for tag, made in scene.ours.items():
        if len(made) > revisions.get(tag, 1):
            yield f"I5 PIM was given {len(made)} assignments for grant {tag}"
        if sum(1 for _, schedule in made if schedule.ended_at is None) > 1:
            yield f"I5 PIM holds more than one assignment for grant {tag}"


def _what_is_said_is_so(scene: Scene) -> Iterator[str]:
    """I6: at any moment, for what nobody else has touched."""
    unfinished = Counter(scene.pair(grant) for grant in scene.grants if grant.status not in TERMINAL)
    for grant in scene.grants:
        held = scene.held_in_entra(grant)
        touched = scene.pair(grant) in scene.disturbed
        if held and grant.status in NOT_IN_ENTRA:
            yield f"I6 grant {grant.pk} is {grant.status}, and Entra holds its assignment"
        if touched:
            continue
        # As the person, PIM is asked for a little less than the window, and its own end is the one that is shown.
        end = (grant.entra_ends_at if grant.as_person else None) or grant.ends_at
        if grant.status == GrantStatus.ACTIVE and scene.now < end:
            if not held:
                yield f"I6 grant {grant.pk} is ready, and Entra doesn't hold its assignment"
            elif not scene.held_in_aws(grant):
                yield f"I6 grant {grant.pk} is ready, and AWS doesn't show its membership"
        over = grant.status in TERMINAL and not unfinished[scene.pair(grant)]
        if over and scene.held_in_aws(grant):
            yield f"I6 grant {grant.pk} is {grant.status}, and AWS still shows its membership"


def _late_access_is_shown(scene: Scene) -> Iterator[str]:
    """I2, the second half: once workers have looked, access past its end is shown as leaving."""
    for grant in scene.grants:
        end = grant.fell_back_to or grant.ends_at
        late = scene.now > end + SHOWN_WITHIN and grant.status not in SHOWN_AS_LEAVING
        if late and scene.held_in_entra(grant):
            yield f"I2 grant {grant.pk} ended at {end}, is still in Entra, and is called {grant.status}"


def _no_refusal_without_cause(scene: Scene) -> Iterator[str]:
    """I7."""
    for grant in scene.grants:
        if grant.status in {GrantStatus.NOT_GRANTED, GrantStatus.NEVER_ARRIVED}:
            if not grant.problem:
                yield f"I7 grant {grant.pk} is {grant.status}, and nothing says why"
            if scene.pair(grant) in scene.excused or _ended_before_a_cycle(grant):
                continue
            if not _waited_for_the_earlier(scene, grant):
                yield f"I7 grant {grant.pk} is {grant.status} without a cause outside: {grant.problem}"


def _ended_before_a_cycle(grant: Access) -> bool:
    """Whether somebody gave it back or revoked it sooner than Entra's own cycle has to come. A worker that died before it
    asked for provisioning on demand leaves only the cycle, and PIM lets go of an assignment after five minutes.
    """
    return (
        grant.status == GrantStatus.NEVER_ARRIVED
        and grant.end_reason in {EndReason.ENDED_EARLY, EndReason.REVOKED}
        and grant.removal_started_at is not None
        and grant.removal_started_at < grant.starts_at + A_CYCLE
    )


def _waited_for_the_earlier(scene: Scene, grant: Access) -> bool:
    """Whether earlier access of the pair left too late for it: PIM keeps one for its first minutes, and AWS until Entra
    carries the removal. PIM holds one assignment a pair and the window doesn't move, so that it began with what was left.
    """
    if grant.status != GrantStatus.NOT_GRANTED:
        return False
    in_time = max(grant.starts_at, grant.ends_at - TOO_LITTLE - pacing.SLOWEST_POLL)
    return any(
        (other.out_of_aws_at or other.ended_at or scene.now) > in_time
        for other in scene.grants
        if other.pk != grant.pk
        and scene.pair(other) == scene.pair(grant)
        and other.starts_at <= grant.starts_at
        and (other.holder_checked_at or other.last_write_at)  # it has begun
    )


def _every_write_has_its_event(scene: Scene) -> Iterator[str]:
    """I8. One call may be for several grants: each has its own events, which name the call's one id."""
    told, ids = Counter[tuple[object, str]](), set()
    for name, event in scene.trail.of(*(name for pair in EVENTS.values() for name in pair)):
        told[event.grant_id, name] += 1
        ids.add(event.client_request_id)
    for operation, call_id, _ in scene.calls.writes:
        if call_id not in ids:
            yield f"I8 {operation} took effect with the id {call_id!r}, which no event tells of"
    owed = Counter[tuple[object, str]]()
    attempts = Attempt.objects.filter(kind__in=EVENTS)
    for grant_id, kind, outcome in attempts.values_list("grant_id", "kind", "outcome"):
        sent, answered = EVENTS[kind]
        owed[grant_id, sent] += 1
        owed[grant_id, answered] += outcome != Attempt.Outcome.RUNNING
    for key in told.keys() | owed.keys():
        if told[key] != owed[key]:
            yield f"I8 grant {key[0]}: {told[key]} events {key[1]}, and {owed[key]} calls for them"


def _the_narrow_path_is_kept(scene: Scene) -> Iterator[str]:
    """I10. Assignments and provisioning on demand draw on the same places.

    What PIM's own approval completes goes along with the ask and with the approval, and is one and the same where a
    span holds both.
    """
    went = [
        (at, f"carried {n}")
        for n, (operation, _, at) in enumerate(scene.calls.writes)
        if operation == ON_DEMAND
    ]
    if settings.NARROW_PATH_SHARED_WITH_PIM:
        went += [(at, request.id) for request in scene.asked for at in _went_at(scene, request)]
    went = sorted(each for each in went if scene.since is None or each[0] > scene.since)
    places, span = settings.NARROW_PATH_PLACES, settings.NARROW_PATH_SPAN
    for number, (first, _) in enumerate(went):
        within = itertools.takewhile(partial(_is_before, first + span), went[number:])
        if len({which for _, which in within}) > places:
            yield f"I10 more than {places} calls on the narrow path within {span} of {first}"


def _is_before(until: datetime, call: tuple[datetime, str]) -> bool:
    return call[0] < until


def _went_at(scene: Scene, request: ScheduleRequest) -> Iterator[datetime]:
    """When PIM was asked, and when the portal's approval made it happen."""
    yield request.created_at
    approval = scene.world.state.approvals.get(request.approval_id or "")
    for stage in approval.stages if approval else ():
        if stage.reviewed_at is not None:
            yield stage.reviewed_at


def _nobody_else_is_spoken_for(scene: Scene) -> Iterator[str]:
    """I11."""
    by_id = {str(grant.pk): grant for grant in scene.grants}
    approvals = scene.world.state.approvals
    for request in scene.asked:
        grant = by_id.get(_tag(request))
        if grant is None:
            continue  # I1 tells of it, once something came of it
        if (request.action == AS_PERSON) != grant.as_person:
            yield f"I11 grant {grant.pk} was asked for with {request.action}"
        if request.action == AS_PERSON and request.created_by.user_id != grant.person_oid:
            yield f"I11 grant {grant.pk} was asked for in the name of {request.created_by.user_id}"
        approval = approvals.get(request.approval_id or "")
        for stage in approval.stages if approval else ():
            if stage.reviewed_by is None:
                continue
            behind = scene.approvers_behind.get(grant.pk, [])
            if stage.reviewed_by not in {each.object_id for each in behind}:
                yield f"I11 grant {grant.pk} was approved in PIM in the name of {stage.reviewed_by}"
