"""PIM for Groups, reading side: schedules, instances and the history of requests."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from simulator.world.errors import not_found
from simulator.world.state import Group, Membership, Schedule, ScheduleRequest, User

if TYPE_CHECKING:
    from simulator.world.world import World


@dataclass(frozen=True)
class Instance:
    """An assignment or eligibility that holds at the moment of reading. Permanent: both ends None."""

    id: str
    kind: str
    schedule_id: str
    group_id: str
    principal_id: str
    access_id: str
    start: datetime | None
    end: datetime | None
    member_type: str
    assignment_type: str
    activated_using: str | None = None


class PimReads:
    """What PIM answers; stale-read faults on `pim.read` apply."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._by_group: dict[str, list[Schedule]] = defaultdict(list)
        self._by_principal: dict[str, list[Schedule]] = defaultdict(list)
        self._requests_by_group: dict[str, list[ScheduleRequest]] = defaultdict(list)
        for schedule in world.state.schedules.values():
            self.index(schedule)
        for request in world.state.requests.values():
            self._requests_by_group[request.group_id].append(request)

    def index(self, schedule: Schedule) -> None:
        self._by_group[schedule.group_id].append(schedule)
        self._by_principal[schedule.principal_id].append(schedule)

    # ------------------------------------------------------------ reads

    def _lag(self) -> timedelta:
        return self._world.faults.staleness("pim.read")

    def _schedules(self, group_id: str | None, principal_id: str | None) -> Iterable[Schedule]:
        if group_id is not None:
            rows = self._by_group.get(group_id, [])
            return [row for row in rows if principal_id in (None, row.principal_id)]
        if principal_id is not None:
            return self._by_principal.get(principal_id, [])
        return self._world.state.schedules.values()

    def _list_schedules(self, kind: str, group_id: str | None, principal_id: str | None) -> list[Schedule]:
        at = self._world.now() - self._lag()
        return [
            row
            for row in self._schedules(group_id, principal_id)
            if row.kind == kind and row.created_at <= at and (row.ended_at is None or row.ended_at > at)
        ]

    def assignment_schedules(
        self, *, group_id: str | None = None, principal_id: str | None = None
    ) -> list[Schedule]:
        """Assignments that hold or will hold."""
        return self._list_schedules("assignment", group_id, principal_id)

    def eligibility_schedules(
        self, *, group_id: str | None = None, principal_id: str | None = None
    ) -> list[Schedule]:
        """Eligibilities that hold or will hold."""
        return self._list_schedules("eligibility", group_id, principal_id)

    def assignment_instances(
        self, *, group_id: str | None = None, principal_id: str | None = None
    ) -> list[Instance]:
        """Who is assigned now, members that came by other means included (permanent, both ends None).

        Asked by person alone, groups that PIM doesn't manage are left out.
        """
        at = self._world.now() - self._lag()
        rows = self._instances("assignment", group_id, principal_id, at)
        return rows + self._plain_members(group_id, principal_id, at)

    def eligibility_instances(
        self, *, group_id: str | None = None, principal_id: str | None = None
    ) -> list[Instance]:
        """Who is eligible now."""
        at = self._world.now() - self._lag()
        rows = self._instances("eligibility", group_id, principal_id, at)
        if group_id is not None and self._world.switches.eligibility_lists_inherited:
            rows += [
                _through(row, user.id)
                for row in list(rows)
                if self._world.directory.find_group(row.principal_id) is not None
                for user in self._world.directory.transitive_members(row.principal_id)
                if isinstance(user, User) and principal_id in (None, user.id)
            ]
        return rows

    def instances_of(self, user_id: str, kind: str) -> list[Instance]:
        """What this person holds or may activate, through groups too (filterByCurrentUser on principal)."""
        at = self._world.now() - self._lag()
        rows = self._instances(kind, None, user_id, at)
        for group in self._world.directory.member_groups(user_id):
            rows += [_through(row, user_id) for row in self._instances(kind, None, group.id, at)]
        return rows

    def _instances(
        self, kind: str, group_id: str | None, principal_id: str | None, at: datetime
    ) -> list[Instance]:
        return [
            Instance(
                id=row.instance_id,
                kind=kind,
                schedule_id=row.id,
                group_id=row.group_id,
                principal_id=row.principal_id,
                access_id=row.access_id,
                start=row.start if row.end is not None or kind == "eligibility" else None,
                end=row.end,
                member_type=row.member_type,
                assignment_type=row.assignment_type,
                activated_using=row.activated_using,
            )
            for row in self._schedules(group_id, principal_id)
            if row.kind == kind
            and row.started_at is not None
            and row.started_at <= at
            and (row.ended_at is None or row.ended_at > at)
        ]

    def _plain_members(self, group_id: str | None, principal_id: str | None, at: datetime) -> list[Instance]:
        directory = self._world.directory
        if group_id is not None:
            found = directory.find_group(group_id)
            groups = [found] if found is not None else []
        else:
            groups = [group for group in directory.groups() if group.pim_onboarded]
        return [
            _permanent(group.id, member)
            for group in groups
            for member in (group.members.values() if principal_id is None else _pick(group, principal_id))
            if member.schedule_id is None and member.added_at <= at
        ]

    def assignment_requests(
        self, *, group_id: str | None = None, principal_id: str | None = None
    ) -> list[ScheduleRequest]:
        """Assignment requests, newest first."""
        return self._list_requests("assignment", group_id, principal_id)

    def eligibility_requests(
        self, *, group_id: str | None = None, principal_id: str | None = None
    ) -> list[ScheduleRequest]:
        """Eligibility requests, newest first."""
        return self._list_requests("eligibility", group_id, principal_id)

    def _list_requests(
        self, kind: str, group_id: str | None, principal_id: str | None
    ) -> list[ScheduleRequest]:
        at = self._world.now() - self._lag()
        rows = (
            self._requests_by_group.get(group_id, [])
            if group_id is not None
            else list(self._world.state.requests.values())
        )
        return [
            row
            for row in reversed(rows)
            if row.kind == kind and row.created_at <= at and principal_id in (None, row.principal_id)
        ]

    def request(self, request_id: str) -> ScheduleRequest:
        """One request. Raises WorldError 404."""
        found = self._world.state.requests.get(request_id)
        if found is None or found.created_at > self._world.now() - self._lag():
            raise not_found(request_id, "ResourceNotFound")
        return found


def _through(row: Instance, user_id: str) -> Instance:
    return replace(row, principal_id=user_id, member_type="group")


def _pick(group: Group, principal_id: str) -> list[Membership]:
    member = group.members.get(principal_id)
    return [member] if member is not None else []


def _permanent(group_id: str, member: Membership) -> Instance:
    name = f"{group_id}_member_{member.id}"
    return Instance(
        id=name,
        kind="assignment",
        schedule_id=name,
        group_id=group_id,
        principal_id=member.principal_id,
        access_id="member",
        start=None,
        end=None,
        member_type="direct",
        assignment_type="assigned",
    )
