"""People and approver groups as the directory has them, and each person's twin in IAM Identity Center."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F

from base.clock import business_clock, business_now, real_now
from catalog.models import GroupEligibility
from catalog.sync.managers import read_managers, stale_managers
from catalog.sync.principals import expand, identify, read_people, tenant_id
from catalog.sync.work import Work
from clients.registry import clients
from clients.types import StoreUser
from identity.models import DirectoryGroup, Person
from identity.sync import mark_group_missing

PER_STEP = 20
GROUPS_PER_STEP = 8
# One call a person: the longest unread first, at most this many in a run.
PEOPLE_PER_RUN = 200
# People whom no group's members brought along are read again after this (real time).
PERSON_STALE_AFTER = timedelta(hours=1)
STORE_USERS_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Interest:
    """Object ids that somebody needs to know more about."""

    groups: frozenset[str]
    people: frozenset[str]
    managers: bool = False  # of whoever is eligible for something
    schedules: frozenset[str] = frozenset()  # by name: who is on call (`policy.on_call` reads them)


_interests: list[Callable[[], Interest]] = []


def register_interest(source: Callable[[], Interest]) -> None:
    """Have the directory sync follow what `source` names; for rooms that stand above the catalogue."""
    if source not in _interests:
        _interests.append(source)


def managers_matter() -> bool:
    """Whether somebody needs to know who the managers of eligible people are."""
    return any(source().managers for source in _interests)


def schedules_named() -> frozenset[str]:
    """The on-call schedules that somebody needs to know more about."""
    return frozenset().union(*(source().schedules for source in _interests))


def unread() -> bool:
    """Whether somebody names people or groups that were never looked for, so that the next reading can't wait."""
    named = [source() for source in _interests]
    groups = {each.lower() for interest in named for each in interest.groups}
    people = {each.lower() for interest in named for each in interest.people}
    read = DirectoryGroup.objects.filter(object_id__in=groups, synced_at__isnull=False)
    known = Person.objects.filter(tenant_id=tenant_id(), object_id__in=people)
    return read.count() < len(groups) or known.count() < len(people)


class Directory:
    """Groups that matter with their people, then people who were not met that way, managers, then the store's users."""

    def advance(self, work: Work) -> bool:
        """See the engine's Part."""
        match work.cursor.get("stage", "names"):
            case "names":
                _read_names(work)
                work.cursor["stage"] = "members"
            case "members":
                if _read_members(work):
                    work.cursor["people"] = _stale_people(real_now())
                    work.cursor["stage"] = "people"
            case "people":
                waiting: list[str] = work.cursor.get("people", [])
                read_people(work, waiting[:PER_STEP])
                work.cursor["people"] = waiting[PER_STEP:]
                if not work.cursor["people"]:
                    work.cursor["managers"] = stale_managers(PEOPLE_PER_RUN) if managers_matter() else []
                    work.cursor["stage"] = "managers"
            case "managers":
                reports: list[str] = work.cursor.get("managers", [])
                read_managers(work, reports[:PER_STEP])
                work.cursor["managers"] = reports[PER_STEP:]
                if not work.cursor["managers"]:
                    work.cursor["stage"] = "store"
            case _:
                _read_store_users(work)
                return True
        return False


def _read_names(work: Work) -> None:
    """Which groups matter, and whether the directory still has them."""
    named = [source() for source in _interests]
    wanted = {each.lower() for interest in named for each in interest.groups}
    eligible = GroupEligibility.objects.values_list("directory_group__object_id", flat=True)
    wanted |= set(eligible)
    found = work.fetch(lambda: clients().directory.read_groups(sorted(wanted))) if wanted else ()
    present = {group.object_id.lower(): group for group in found}
    known = DirectoryGroup.objects.filter(object_id__in=wanted, missing=False)
    work.check_plausible(
        "approver and eligible groups",
        before=known.count(),
        after=known.filter(object_id__in=present).count(),
    )
    now = business_now()
    for object_id in sorted(wanted - present.keys()):
        mark_group_missing(object_id, now=now)
        work.changes["groups_missing"] += 1
    for object_id, group in present.items():
        DirectoryGroup.objects.update_or_create(
            object_id=object_id, defaults={"display_name": group.display_name[:256], "missing": False}
        )
    people = {each.lower() for interest in named for each in interest.people}
    identify(work, people)
    work.cursor["groups"] = sorted(present)


def _read_members(work: Work) -> bool:
    waiting: list[str] = work.cursor.get("groups", [])
    expand(work, list(DirectoryGroup.objects.filter(object_id__in=waiting[:GROUPS_PER_STEP])))
    work.cursor["groups"] = waiting[GROUPS_PER_STEP:]
    return not work.cursor["groups"]


def _stale_people(now: datetime) -> list[str]:
    clock = business_clock()
    before = clock.at(now - PERSON_STALE_AFTER)
    people = Person.objects.filter(tenant_id=tenant_id(), enabled=True)
    unread = people.filter(synced_at=None) | people.filter(synced_at__lt=before)
    oldest = unread.order_by(F("synced_at").asc(nulls_first=True), "object_id")
    return list(oldest.values_list("object_id", flat=True)[:PEOPLE_PER_RUN])


def _read_store_users(work: Work) -> None:
    last = work.carried.get("store_users_read_at")
    if last and real_now() - datetime.fromisoformat(last) < STORE_USERS_EVERY:
        work.carry("store_users_read_at", last)
        return
    users = work.fetch(clients().identity_center.users)
    work.check_plausible(
        "people in IAM Identity Center",
        before=Person.objects.exclude(store_user_id="").count(),
        after=len(users),
    )
    work.changes["store_users"] += join_store_users(users)
    work.carry("store_users_read_at", real_now().isoformat())


def join_store_users(users: tuple[StoreUser, ...]) -> int:
    """Give each person the id of their twin: by external id, else by user name. Gives how many changed."""
    by_id = {external.lower(): user.user_id for user in users for external in user.external_ids}
    by_name = {user.user_name.lower(): user.user_id for user in users}
    changed = []
    for person in Person.objects.filter(tenant_id=tenant_id()):
        twin = by_id.get(person.object_id) or by_name.get(person.user_principal_name.lower(), "")
        # One that is missing from the list keeps its id: removals are read back with it.
        if twin and twin != person.store_user_id:
            person.store_user_id = twin
            changed.append(person)
    Person.objects.bulk_update(changed, ["store_user_id"], batch_size=500)
    return len(changed)
