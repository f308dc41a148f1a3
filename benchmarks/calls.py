"""How many calls a reading of the catalogue makes, counted at the ports. No time is measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.test import override_settings

from benchmarks.measuring import Figure
from benchmarks.setting import acting_as, database
from catalog.models import SyncRun
from catalog.sync.engine import Outcome, run_part
from catalog.sync.intervals import INTERVALS
from clients.registry import using
from clients.types import DirectoryGroup, OrganizationAccount, OrganizationUnit, StoreGroup
from tests.support.fake_clouds import TENANT, FakeClouds, a_permission_set, a_user, arn, eligible, guid
from tests.support.servers import PostgresServer

MOST_SLICES = 200


@dataclass(frozen=True, slots=True)
class Organisation:
    """How large a generated organisation is."""

    accounts: int
    permission_sets: int
    groups: int
    people: int

    def __str__(self) -> str:
        return f"{self.accounts:,} accounts, {self.permission_sets} permission sets, {self.groups} groups"


SIZES = (
    Organisation(40, 25, 30, 60),
    Organisation(250, 190, 125, 300),
    Organisation(1_000, 750, 500, 1_000),
)


def run(server: PostgresServer, *, sizes: tuple[Organisation, ...] = SIZES) -> Iterator[Figure]:
    """The first reading of each organisation, and the next one, which finds nothing new."""
    for size in sizes:
        clouds = clouds_of(size)
        with (
            database(server) as name,
            tempfile.TemporaryDirectory() as folder,
            acting_as(server, name, "worker"),
            using(clouds.clients()),
        ):
            allowed = Path(folder, "managed-groups.txt")
            allowed.write_text("\n".join(sorted(clouds.application)))
            with override_settings(PORTAL_MANAGED_GROUPS_FILE=str(allowed), ENTRA_TENANT_ID=TENANT):
                for turn in ("first", "next"):
                    clouds.calls.clear()
                    read_everything()
                    yield _figure(size, turn, clouds)


def _figure(size: Organisation, turn: str, clouds: FakeClouds) -> Figure:
    made = clouds.calls.total()
    naive = size.accounts * size.permission_sets
    largest = ", ".join(f"{number} {call}" for call, number in clouds.calls.most_common(4))
    return Figure(
        f"calls: {turn} reading, {size}",
        f"{made:,}",
        detail=f"one for each account and permission set would be {naive:,}, {naive / made:.1f} times as many; {largest}",
    )


def read_everything() -> None:
    """A whole reading, one part after the other."""
    for part in INTERVALS:
        read_whole(part)


def read_whole(part: SyncRun.Part) -> None:
    """One part of a reading, slice after slice."""
    outcome = Outcome.MORE
    for _ in range(MOST_SLICES):
        outcome = run_part(part)
        if outcome is not Outcome.MORE:
            break
    assert outcome is Outcome.DONE, (part, outcome)


def clouds_of(size: Organisation) -> FakeClouds:
    """Each group opens two permission sets on eight accounts; each person is eligible for three groups."""
    people = [a_user(n, f"Person No{n}") for n in range(1, size.people + 1)]
    groups = {n: DirectoryGroup(guid(n), f"AWS - Group {n}") for n in range(100_001, 100_001 + size.groups)}
    sets = [a_permission_set(f"Set{n}") for n in range(size.permission_sets)]
    accounts = [f"{n + 1:012}" for n in range(size.accounts)]
    numbers = list(groups)
    return FakeClouds(
        users={person.object_id: person for person in people},
        groups={group.object_id: group for group in groups.values()},
        application={group.object_id for group in groups.values()},
        eligibilities=[
            eligible(number, n)
            for n in range(1, size.people + 1)
            for number in {numbers[(3 * n + k) % size.groups] for k in range(3)}
        ],
        units=[OrganizationUnit("r-1", "Root", ""), OrganizationUnit("ou-1", "Workloads", "r-1")],
        accounts=[
            OrganizationAccount(each, f"account-{each}", f"a{each}@acme.example", "ACTIVE", "ou-1")
            for each in accounts
        ],
        permission_sets={each.arn: each for each in sets},
        assignments={
            f"store-{number}": {
                (accounts[(8 * n + k) % size.accounts], arn(f"Set{(2 * n + s) % size.permission_sets}"))
                for k in range(8)
                for s in range(2)
            }
            for n, number in enumerate(numbers)
        },
        store_groups=[
            StoreGroup(f"store-{number}", group.display_name, (group.object_id,))
            for number, group in groups.items()
        ],
    )
