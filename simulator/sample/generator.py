"""Worlds of any size from a seed: for measuring, and for property tests."""

import random
from datetime import timedelta

from simulator.sample.builder import Builder, empty_world
from simulator.world.aws_state import Account, PermissionSet
from simulator.world.clock import WorldClock
from simulator.world.state import Group, User
from simulator.world.world import World

_GIVEN = (
    "Ada", "Bo", "Chidi", "Dana", "Eiko", "Farid", "Gita", "Hana", "Ivo", "Jun", "Kai", "Lena", "Mo", "Nia", "Oto",
    "Pia", "Quinn", "Ren", "Sol", "Tua", "Uma", "Vera", "Wen", "Xenia", "Yan", "Zoe",
)  # fmt: skip
_SURNAMES = (
    "Abara", "Berg", "Costa", "Dahl", "Eze", "Fonseca", "Gupta", "Holm", "Ito", "Jansen", "Kaya", "Lund", "Moreau",
    "Nagy", "Okoye", "Park", "Quist", "Rossi", "Sato", "Toth", "Ueda", "Vargas", "Wolf", "Xu", "Yilmaz", "Zeman",
)  # fmt: skip
_POLICIES = (
    "ReadOnlyAccess",
    "AmazonEC2FullAccess",
    "AmazonS3FullAccess",
    "PowerUserAccess",
    "SecurityAudit",
)
_MAXIMA = ("PT30M", "PT1H", "PT2H", "PT4H", "PT8H", "PT12H", "PT24H")
_UNITS = ("Security", "Infrastructure", "Production", "Staging", "Development", "Sandbox")


def generate(
    clock: WorldClock,
    *,
    seed: str = "large",
    accounts: int = 1000,
    permission_sets: int = 750,
    groups: int = 500,
    people: int = 5000,
    eligible_per_group: int = 30,
) -> World:
    """A world of this size; the same seed gives the same world. The initial cycle is done."""
    choice = random.Random(seed)
    world = empty_world(clock, seed=seed, tenant_name="Large")
    builder = Builder(world)
    made_accounts = _accounts(builder, accounts, choice)
    made_sets = [
        builder.permission_set(
            f"Set{number:04}",
            managed=(f"arn:aws:iam::aws:policy/{choice.choice(_POLICIES)}",),
            description=f"Permission set number {number}.",
            session_duration=f"PT{choice.choice((1, 2, 4, 8, 12))}H",
        )
        for number in range(1, permission_sets + 1)
    ]
    made_people = _people(builder, people, choice)
    baseline = builder.group("AWS - All employees", assigned=True)
    for person in made_people:
        builder.member(baseline, person)
    made_groups = [
        _group(builder, number, made_people, eligible_per_group, choice) for number in range(1, groups + 1)
    ]
    builder.provision()
    for group in made_groups:
        _assign(builder, group, made_sets, made_accounts, choice)
    world.state.journal.clear()
    world.state.provisioning_log.clear()
    return world


def _accounts(builder: Builder, count: int, choice: random.Random) -> list[Account]:
    units = [builder.unit(name) for name in _UNITS]
    found = []
    for number in range(1, count + 1):
        unit = choice.choice(units)
        found.append(
            builder.account(
                f"account-{number:04}",
                unit.id,
                account_id=f"2{number:011}",
                tags={"owner": choice.choice(_SURNAMES), "environment": unit.name.lower()},
            )
        )
    return found


def _people(builder: Builder, count: int, choice: random.Random) -> list[User]:
    found = []
    for number in range(1, count + 1):
        given, surname = choice.choice(_GIVEN), choice.choice(_SURNAMES)
        name = f"{given.lower()}.{surname.lower()}.{number}@large.example"
        found.append(
            builder.user(
                name,
                f"{given} {surname}",
                given_name=given,
                surname=surname,
                mail=name,
                department=choice.choice(_UNITS),
                job_title="Engineer",
                employee_id=f"{number:06}",
            )
        )
    return found


def _group(builder: Builder, number: int, people: list[User], eligible: int, choice: random.Random) -> Group:
    group = builder.group(f"AWS - Group {number:04}", description=f"PIM group number {number}", assigned=True)
    builder.world.policies.change(group.id, activation_maximum=choice.choice(_MAXIMA))
    builder.world.state.managed_group_ids.append(group.id)
    for person in choice.sample(people, min(eligible, len(people))):
        builder.eligible(group, person, ends_in=timedelta(days=choice.randint(1, 335)))
    return group


def _assign(
    builder: Builder, group: Group, sets: list[PermissionSet], accounts: list[Account], choice: random.Random
) -> None:
    if not sets or not accounts:
        return
    for permission_set in choice.sample(sets, min(choice.randint(1, 3), len(sets))):
        for account in choice.sample(accounts, min(choice.randint(1, 5), len(accounts))):
            builder.assign(group, permission_set, account)
