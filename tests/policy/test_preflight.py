"""Who could decide, how old that knowledge is, and why nobody could."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from base.clock import business_now
from identity.models import DirectoryGroup, DirectoryMembership, Person
from policy.approvers import somebody_can_decide
from policy.demands import Approvers, Demands, Stage
from policy.preflight import MOST_NAMED, who_can_decide, why_nobody
from policy.scope import Ask, OnCall
from policy.sources import resolve
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db


def group(*members: Person, name: str = "Leads", **extra: object) -> DirectoryGroup:
    values: dict[str, object] = {"display_name": name, "synced_at": business_now(), **extra}
    row = DirectoryGroup.objects.create(object_id=make.oid(), **values)
    for member in members:
        DirectoryMembership.objects.create(group=row, person=member)
    return row


def rule(*stages: tuple[tuple[DirectoryGroup | Person, ...], int]) -> Demands:
    made = [
        Stage(
            Approvers(
                people=frozenset(each.object_id for each in named if isinstance(each, Person)),
                groups=frozenset(each.object_id for each in named if isinstance(each, DirectoryGroup)),
            ),
            quorum,
        )
        for named, quorum in stages
    ]
    return Demands(stages=tuple(made))


def test_names_and_the_oldest_reading_that_they_stand_on() -> None:
    ada, now = make.person("Ada Asker"), business_now()
    ben = make.person("Ben Boss", synced_at=now - timedelta(hours=3))
    leads = group(make.person("Cy Chief"), make.person("Dan Disabled", enabled=False), ada, synced_at=now)
    one, other = who_can_decide(rule(((ben, leads), 1), ((leads,), 1)), ada)
    assert (one.names, one.more, one.known_at) == (["Ben Boss", "Cy Chief"], False, ben.synced_at)
    assert (other.names, other.known_at) == (["Cy Chief"], leads.synced_at)


def test_who_somebodys_manager_is_and_who_is_on_call_has_an_age_too() -> None:
    ada, ben, now = make.person("Ada Asker"), make.person("Ben Boss"), business_now()
    hours = [timedelta(hours=each) for each in range(4)]
    Person.objects.update(synced_at=now)
    ask = Ask(
        "pim", None, frozenset(), (), now, manager=ben.object_id, manager_read_at=now - hours[2],
        on_call={"payments": OnCall(frozenset({ben.object_id}), read_at=now - hours[3])},
    )  # fmt: skip

    def known_at(**described: Any) -> datetime | None:
        stage = Stage(Approvers(frozenset(), frozenset(), **described), 1)
        (found,) = who_can_decide(resolve(Demands((stage,)), ask), ada)
        assert found.names == ["Ben Boss"]
        return found.known_at

    assert known_at(manager=True) == now - hours[2]
    assert known_at(manager=True, on_call="payments") == now - hours[3]


def test_many_are_not_all_named_and_what_was_never_read_has_no_age() -> None:
    ada = make.person("Ada Asker")
    many = group(*(make.person() for _ in range(MOST_NAMED + 3)), synced_at=None)
    (stage,) = who_can_decide(rule(((many,), 2)), ada)
    assert (len(stage.names), stage.more, stage.quorum, stage.known_at) == (MOST_NAMED, True, 2, None)


def test_why_nobody_can() -> None:
    ada = make.person("Ada Asker", employee_id="E1")
    twin, guest = make.person("Ada Admin", employee_id="E1"), make.person("Gil Guest", guest=True)
    ben = make.person("Ben Boss")
    gone = DirectoryGroup(object_id=make.oid())
    cases: list[tuple[Demands, str]] = [
        (rule(((group(name="Empty"),), 1)), "The group Empty has no members in Entra."),
        (rule(((group(name="Gone", missing=True),), 1)), "The group Gone no longer exists in Entra."),
        (rule(((gone,), 1)), f"The group {gone.object_id} has not been read from Entra yet."),
        (
            rule(((group(ada, twin),), 1)),
            "You are among those who decide, and nobody decides on their own request.",
        ),
        (rule(((guest,), 1)), "1 of them can't decide, being disabled or a guest in Entra."),
        (rule(((ben,), 1), ((ben, guest), 2)), "1 of them can't decide"),
        (rule(((ben,), 2)), "2 are needed and 1 could decide."),
        (rule(((ben,), 1), ((ben,), 1)), "The same people would have to decide at several stages"),
        (
            rule(((Person(object_id=make.oid()),), 1)),
            "The people whom the rule names are not known in Entra.",
        ),
    ]
    for document, sentence in cases:
        assert not somebody_can_decide(document, ada)
        assert sentence in why_nobody(document, ada)
    assert why_nobody(cases[5][0], ada).startswith("At stage 2, ")
