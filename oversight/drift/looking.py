"""Reading what PIM and IAM Identity Center say about one group. Worker only; never inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django_subatomic.db import durable

from base.clock import business_now
from catalog.models import PimGroup
from clients.errors import NotFound
from clients.registry import clients
from clients.types import PimAssignment, PimRequest, Reading, StoreMembership, StoreUser
from identity.models import Person
from oversight.drift.judging import GroupFacts, Holder, owner_of, principal_of
from oversight.models import Finding, FindingKind, FindingStatus
from requests_app.lifecycle import OPEN, TERMINAL, GrantStatus
from requests_app.models import Grant
from requests_app.scope_growth import growths

# PIM's history is read for at most so many holders of one group in one look; the others keep their kind.
MOST_HISTORIES = 25
# Grants that ended longer ago than this explain nothing any more.
REMEMBERED = timedelta(days=7)
# Beyond one provisioning cycle, before something is called late or an orphan.
PATIENCE = timedelta(minutes=10)


class NotLooked(Exception):
    """This group can't be compared now; the message is a sentence for people."""


@dataclass(slots=True)
class StoreUsers:
    """Everybody in the identity store, read at most once in a slice, and only when somebody unknown turns up."""

    _by_id: dict[str, StoreUser] | None = field(default=None)

    def find(self, user_id: str) -> StoreUser | None:
        if self._by_id is None:
            users: Sequence[StoreUser] = read(clients().identity_center.users).value
            self._by_id = {user.user_id: user for user in users}
        return self._by_id.get(user_id)


@durable
def read[T](call: Callable[[], Reading[T]]) -> Reading[T]:
    """One reading call, provably outside any transaction. Raises what the port raises."""
    return call()


def look(group: PimGroup, users: StoreUsers, *, orphans_are_judged: bool) -> GroupFacts:
    """Read one group's facts: two calls, and one more for each holder whom no grant explains.

    Raises:
        NotLooked: the identity store doesn't know the group that it was joined with.
        clients.errors.ClientError: a source can't be read; nothing may be concluded.
    """
    began = business_now()
    pim = clients().pim
    assignments = read(lambda: pim.assignments(group.object_id))
    members, store_request_id = _members(group)
    known = grants_of(group, began)
    owners, store_names = _owners(members or (), users)
    histories = _histories(group, assignments.value, members or (), owners, known)
    # Read again, after the clouds: what moved meanwhile explains itself.
    grants = grants_of(group, began)
    principals = {a.principal_id.lower() for a in assignments.value} | set(owners.values())
    return GroupFacts(
        began=began,
        now=business_now(),
        cycle=settings.PROVISIONING_CYCLE + PATIENCE,
        assignments=assignments.value,
        members=members,
        grants=grants,
        widened={
            str(key): sentence
            for key, sentence in growths([grant for grant in grants if grant.status in OPEN], group).items()
        },
        holders=_holders(principals, store_names, grants),
        owners=owners,
        histories=histories,
        leaving=_leaving(group, histories, began),
        pim_request_id=assignments.receipt.vendor_request_id,
        store_request_id=store_request_id,
        orphans_are_judged=orphans_are_judged,
    )


def grants_of(group: PimGroup, now: datetime) -> Sequence[Grant]:
    """The grants that may explain something in this group: all that are not over, and those that ended lately."""
    rows = Grant.objects.filter(group=group).select_related("person", "group")
    not_over = rows.exclude(status__in=sorted(TERMINAL))
    lately = rows.filter(status__in=sorted(TERMINAL), ends_at__gt=now - REMEMBERED)
    return [*not_over, *lately]


def _members(group: PimGroup) -> tuple[Sequence[StoreMembership] | None, str]:
    if group.join_problem:
        raise NotLooked(group.join_problem)
    if not group.store_group_id:
        return None, ""
    try:
        reading = read(lambda: clients().identity_center.group_memberships(group.store_group_id))
    except NotFound as error:
        raise NotLooked(
            "IAM Identity Center no longer knows this group by its id. The next catalogue sync looks for it."
        ) from error
    return reading.value, reading.receipt.vendor_request_id


def _owners(
    members: Sequence[StoreMembership], users: StoreUsers
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Who each member is, as findings name them; and the names of those whom only AWS knows."""
    ids = {member.user_id for member in members}
    owners = {
        store_id: object_id.lower()
        for store_id, object_id in Person.objects.filter(store_user_id__in=ids).values_list(
            "store_user_id", "object_id"
        )
    }
    names: dict[str, str] = {}
    for user_id in sorted(ids - owners.keys()):
        user = users.find(user_id)
        external = next(iter(user.external_ids), "").lower() if user else ""
        if external and Person.objects.filter(object_id=external).exists():
            owners[user_id] = external
        else:
            owners[user_id] = f"store:{user_id}"
            names[owners[user_id]] = user.user_name if user else user_id
    return owners, names


def _holders(
    principals: Iterable[str], store_names: Mapping[str, str], grants: Sequence[Grant]
) -> Mapping[str, Holder]:
    wanted = {*principals, *(principal_of(grant) for grant in grants)}
    people = Person.objects.filter(object_id__in=wanted)
    return {
        **{key: Holder(key, name) for key, name in store_names.items()},
        **{row.object_id.lower(): Holder(row.object_id.lower(), row.display_name, row.pk) for row in people},
    }


def _histories(
    group: PimGroup,
    assignments: Sequence[PimAssignment],
    members: Sequence[StoreMembership],
    owners: Mapping[str, str],
    grants: Sequence[Grant],
) -> Mapping[str, Sequence[PimRequest]]:
    """PIM's own requests of those whom the grants don't explain."""
    held = {assignment.principal_id.lower() for assignment in assignments}
    explained = {
        principal_of(grant)
        for grant in grants
        if grant.status not in TERMINAL and grant.status != GrantStatus.DRAINING
    }
    unexplained = {a.principal_id.lower() for a in assignments if owner_of(a, grants) is None}
    unexplained |= {
        owners[member.user_id]
        for member in members
        if owners[member.user_id] not in held | explained and not owners[member.user_id].startswith("store:")
    }
    settled = set(
        Finding.objects.filter(
            group=group, status__in=[FindingStatus.OPEN, FindingStatus.ACCEPTED], principal__in=unexplained
        )
        .filter(kind__in=[FindingKind.STANDING, FindingKind.FOREIGN_ASSIGNMENT])
        .values_list("principal", flat=True)
    )
    wanted = sorted(unexplained - settled)[:MOST_HISTORIES]
    return {principal: _history(group, principal) for principal in wanted}


def _history(group: PimGroup, principal: str) -> Sequence[PimRequest]:
    return read(lambda: clients().pim.requests(group.object_id, principal)).value


def _leaving(group: PimGroup, histories: Mapping[str, Sequence[PimRequest]], now: datetime) -> frozenset[str]:
    """Those whose assignment ended within a provisioning cycle, so that AWS may well show them still."""
    since = now - settings.PROVISIONING_CYCLE - PATIENCE
    lately = Finding.objects.filter(
        group=group,
        kind__in=[FindingKind.STANDING, FindingKind.FOREIGN_ASSIGNMENT, FindingKind.LATE],
        status__in=[FindingStatus.GONE, FindingStatus.HANDLED],
        last_seen_at__gt=since,
    ).values_list("principal", flat=True)
    ended = (
        principal
        for principal, history in histories.items()
        if any(_ended_since(request, since, now) for request in history)
    )
    return frozenset({*lately, *ended})


def _ended_since(request: PimRequest, since: datetime, now: datetime) -> bool:
    removed = "remove" in request.action.lower() or "deactivate" in request.action.lower()
    ended_at = request.created_at if removed else request.ends_at
    return ended_at is not None and since < ended_at <= now
