"""Comparing one group's three accounts of who may use it. Pure: everything that was read comes in as values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from base.words import moment_words
from clients.types import PimAssignment, PimRequest, StoreMembership
from oversight.models import FindingKind
from requests_app.lifecycle import TERMINAL, GrantStatus
from requests_app.models import Grant

# PIM rounds instants; a difference below this is none (see requests_app.actions.steps.seeing).
SAME_END = timedelta(minutes=2)
# PIM is given this long after the end of a window to take the membership away by itself.
PIM_MAY_BE_LATE = timedelta(minutes=5)

# A grant in one of these explains a membership in AWS.
_EXPLAINS = frozenset(
    {
        GrantStatus.ACTIVATING,
        GrantStatus.PROVISIONING,
        GrantStatus.ACTIVE,
        GrantStatus.REMOVING,
        GrantStatus.DEPROVISIONING,
    }
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with access: an Entra object id in lower case, or "store:" with the identity store's id."""

    principal: str
    name: str
    person_id: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A difference, before it is kept. No sentence holds anybody's name."""

    kind: FindingKind
    holder: Holder
    sentence: str
    proposal: str
    grant: Grant | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """Everything that was read about one group. All instants are business time.

    `began` is before the clouds were read, and `grants` were read after them, so that what moved meanwhile
    explains itself. `members` is None where AWS doesn't have the group. `histories` holds PIM's own requests of
    those whom the grants don't explain, by principal; `leaving` are principals whose foreign assignment ended so
    lately that provisioning may still be at it. `orphans_are_judged` is False while the portal doubts its own table.
    """

    began: datetime
    now: datetime
    cycle: timedelta  # how long one provisioning cycle may take, with some patience
    assignments: Sequence[PimAssignment]
    members: Sequence[StoreMembership] | None
    grants: Sequence[Grant]
    widened: Mapping[str, str]  # by grant id: what it opens beyond what was approved, as a sentence
    holders: Mapping[str, Holder]  # by principal
    owners: Mapping[str, str]  # principal by identity store user id
    histories: Mapping[str, Sequence[PimRequest]]
    leaving: frozenset[str]
    pim_request_id: str
    store_request_id: str
    orphans_are_judged: bool = True


def judge(facts: GroupFacts) -> Sequence[Found]:
    """Every difference of one group, at most one for each kind and holder."""
    found: dict[tuple[str, str], Found] = {}
    for each in (*_assignments(facts), *_ghosts(facts), *_members(facts), *_widened(facts)):
        found.setdefault((each.kind, each.holder.principal), each)
    return list(found.values())


def principal_of(grant: Grant) -> str:
    """The holder of a grant, as findings name them."""
    return grant.person.object_id.lower()


def owner_of(
    assignment: PimAssignment, grants: Iterable[Grant], history: Sequence[PimRequest] = ()
) -> Grant | None:
    """The grant that made this assignment: by the schedule it was told, or by the tag on PIM's own request."""
    mine = [grant for grant in grants if principal_of(grant) == assignment.principal_id.lower()]
    for grant in mine:
        if grant.pim_schedule_id and grant.pim_schedule_id == assignment.schedule_id:
            return grant
    tagged = {_grant_id(request.tag) for request in _requests_of(assignment, history)}
    personal = {_grant_id(r.personal_tag) for r in history if _made(r, assignment) and r.personal_tag}
    return next(
        (
            grant
            for grant in mine
            if str(grant.pk) in tagged or (grant.as_person and str(grant.pk) in personal)
        ),
        None,
    )


def unknown_tag(assignment: PimAssignment, grants: Iterable[Grant], history: Sequence[PimRequest]) -> str:
    """Our tag on an assignment of which the portal has no grant (a restored database, for one), else ""."""
    if owner_of(assignment, grants, history) is not None:
        return ""
    return next((request.tag for request in _requests_of(assignment, history)), "")


def _requests_of(assignment: PimAssignment, history: Sequence[PimRequest]) -> Iterator[PimRequest]:
    """PIM's requests with a tag of ours that made (or extended) this assignment."""
    for request in history:
        if request.tag and request.action.lower() != "adminremove" and _made(request, assignment):
            yield request


def _made(request: PimRequest, assignment: PimAssignment) -> bool:
    unnamed = not request.schedule_id and _same(request.ends_at, assignment.ends_at)
    return request.schedule_id == assignment.schedule_id or unnamed


def _grant_id(tag: str) -> str:
    return tag.partition(".")[0]


def _same(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= SAME_END


def _holder(facts: GroupFacts, principal: str) -> Holder:
    return facts.holders.get(principal) or Holder(principal, principal)


def _assignments(facts: GroupFacts) -> Iterator[Found]:
    for assignment in facts.assignments:
        principal = assignment.principal_id.lower()
        history = facts.histories.get(principal, ())
        evidence = {
            "schedule_id": assignment.schedule_id,
            "ends_at": assignment.ends_at.isoformat() if assignment.ends_at else "never",
            "pim_request_id": facts.pim_request_id,
        }
        holder = _holder(facts, principal)
        grant = owner_of(assignment, facts.grants, history)
        if grant is not None:
            yield from _ours(facts, assignment, grant, holder, evidence)
        elif tag := unknown_tag(assignment, facts.grants, history):
            if facts.orphans_are_judged:
                yield Found(
                    FindingKind.ORPHAN,
                    holder,
                    "PIM holds an assignment with this portal's mark, of which this database knows no grant.",
                    "If the database was restored, run “manage.py reconcile”. What it can't explain must be removed in "
                    "Entra by hand.",
                    evidence={**evidence, "tag": tag},
                )
        elif assignment.ends_at is None:
            yield Found(
                FindingKind.STANDING,
                holder,
                "PIM holds a permanent membership, which no approval ever ends.",
                "Make it an eligibility in Entra, or accept it as a known exception until a date.",
                evidence=evidence,
            )
        else:
            made = (
                "activated in Entra by its holder"
                if assignment.activated
                else "assigned in Entra by somebody"
            )
            yield Found(
                FindingKind.FOREIGN_ASSIGNMENT,
                holder,
                f"PIM holds a membership that was {made}, not through the portal; it ends "
                f"{moment_words(assignment.ends_at, facts.now)}.",
                "Ask whoever made it. It ends by itself; remove it in Entra if it should end now.",
                evidence=evidence,
            )


def _ours(
    facts: GroupFacts, assignment: PimAssignment, grant: Grant, holder: Holder, evidence: dict[str, str]
) -> Iterator[Found]:
    gone_before = grant.out_of_entra_at is not None and grant.out_of_entra_at < facts.began
    over = grant.status in TERMINAL or grant.stands_until + PIM_MAY_BE_LATE < facts.now or gone_before
    if over:
        yield Found(
            FindingKind.LATE,
            holder,
            f"The approved end was {moment_words(grant.stands_until, facts.now)}, and PIM still holds the membership.",
            "The portal keeps asking PIM to remove it. If it stays, remove it in Entra by hand.",
            grant,
            evidence,
        )
    elif not any(_same(assignment.ends_at, end) for end in (grant.ends_at, grant.sure_until)):
        ends = moment_words(assignment.ends_at, facts.now) if assignment.ends_at else "never"
        yield Found(
            FindingKind.CHANGED_END,
            holder,
            f"PIM will end this membership {ends}; approved was {moment_words(grant.ends_at, facts.now)}.",
            "Somebody changed the assignment in Entra. Set the approved end there, or end the access.",
            grant,
            evidence,
        )


def _ghosts(facts: GroupFacts) -> Iterator[Found]:
    held = {assignment.principal_id.lower() for assignment in facts.assignments}
    in_aws = {facts.owners.get(member.user_id) for member in facts.members or ()}
    for grant in facts.grants:
        principal = principal_of(grant)
        if grant.ends_at <= facts.now or grant.over_in_pim(facts.now):
            continue
        assigned = grant.status in (GrantStatus.PROVISIONING, GrantStatus.ACTIVE)
        if assigned and _before(grant.assigned_at, facts.began) and principal not in held:
            yield Found(
                FindingKind.GHOST,
                _holder(facts, principal),
                "The grant is in force, and PIM holds no membership of it.",
                "Somebody removed it in Entra. The portal ends the grant at its next look; ask again if it is needed.",
                grant,
                {"pim_request_id": facts.pim_request_id},
            )
        elif (
            grant.status == GrantStatus.ACTIVE
            and _before(grant.arrived_at, facts.began)
            and facts.members is not None
            and principal not in in_aws
        ):
            yield Found(
                FindingKind.GHOST,
                _holder(facts, principal),
                "The grant is in force and PIM holds it, but IAM Identity Center no longer shows the membership.",
                "Provision the group on demand in Entra; a full cycle may be needed before SCIM looks again.",
                grant,
                {"store_request_id": facts.store_request_id},
            )


def _members(facts: GroupFacts) -> Iterator[Found]:
    held = {assignment.principal_id.lower() for assignment in facts.assignments}
    for member in facts.members or ():
        principal = facts.owners.get(member.user_id, f"store:{member.user_id}")
        mine = [grant for grant in facts.grants if principal_of(grant) == principal]
        evidence = {
            "membership_id": member.membership_id,
            "store_user_id": member.user_id,
            "member_since": member.created_at.isoformat() if member.created_at else "not known",
            "store_request_id": facts.store_request_id,
        }
        explaining = [grant for grant in mine if grant.status in _EXPLAINS]
        raced = any(grant.out_of_aws_at and grant.out_of_aws_at >= facts.began for grant in mine)
        if explaining:
            yield from _late_in_aws(facts, explaining, principal, evidence)
        elif (
            principal not in held
            and principal not in facts.leaving
            and not raced
            and facts.orphans_are_judged
        ):
            last = max(mine, key=lambda grant: grant.ends_at, default=None)
            yield Found(
                FindingKind.ORPHAN,
                _holder(facts, principal),
                "IAM Identity Center shows a membership that no grant and no assignment in PIM explains.",
                "Find out in Entra and AWS who made it. If nobody needs it, remove the membership there; the portal "
                "never removes what it didn't make.",
                last,
                evidence,
            )


def _late_in_aws(
    facts: GroupFacts, explaining: Sequence[Grant], principal: str, evidence: dict[str, str]
) -> Iterator[Found]:
    leaving = [grant for grant in explaining if grant.status == GrantStatus.DEPROVISIONING]
    if len(leaving) < len(explaining):
        return
    for grant in leaving:
        if grant.out_of_entra_at is not None and grant.out_of_entra_at + facts.cycle < facts.now:
            yield Found(
                FindingKind.LATE,
                _holder(facts, principal),
                f"Entra ended the membership {moment_words(grant.out_of_entra_at, facts.now)}, and IAM Identity Center "
                "still shows it.",
                "Look at the provisioning job in Entra; provision the group on demand, or remove the membership in AWS.",
                grant,
                evidence,
            )


def _widened(facts: GroupFacts) -> Iterator[Found]:
    for grant in facts.grants:
        sentence = facts.widened.get(str(grant.pk), "")
        if sentence:
            yield Found(
                FindingKind.WIDENED,
                _holder(facts, principal_of(grant)),
                sentence,
                "End the access if the change was not meant for its holder; who approved it has not seen the change.",
                grant,
            )


def _before(instant: datetime | None, other: datetime) -> bool:
    return instant is not None and instant < other
