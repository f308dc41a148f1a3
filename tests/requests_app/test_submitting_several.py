"""Asking for several PIM groups in one request: all of them or none, each refusal named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from audit.ledger.models import Event
from base.errors import Conflict, Invalid, Missing
from catalog.models import PimGroup
from identity.models import Person
from requests_app.actions import submitting
from requests_app.actions.submitting import ItemsRefused, Wanted, submit_items
from requests_app.actions.withdrawing import withdraw_item, withdraw_waiting
from requests_app.lifecycle import ItemStatus
from requests_app.models import AccessRequest, RequestItem
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole

HOUR = timedelta(hours=1)


@pytest.fixture
def groups(asker: Person, boss: Person) -> list[PimGroup]:
    """Three groups that Ada may ask for and Ben decides on."""
    made = [make.pim_group(accounts=2) for _ in range(3)]
    for each in made:
        make.eligibility(asker, each)
    make.rule(boss, groups=tuple(made))
    return made


@pytest.fixture(autouse=True)
def as_web(as_role: AsRole, groups: list[PimGroup]) -> Any:
    """Requests are made by the web process, with its rights."""
    with as_role("portal_web"):
        yield


def ask(asker: Person, groups: Sequence[PimGroup], *spans: timedelta, **changes: Any) -> UUID:
    lengths = spans or (HOUR,) * len(groups)
    return submit_items(
        requester_id=asker.pk,
        wanted=[Wanted(group.object_id, span) for group, span in zip(groups, lengths, strict=True)],
        actor=make.actor(asker),
        **{"justification": "Fix the stuck deployment", "reference": "", **changes},
    )


def refused(asker: Person, groups: Sequence[PimGroup], *spans: timedelta) -> dict[str, str]:
    """The sentences by the group that each is about."""
    with pytest.raises(ItemsRefused) as caught:
        ask(asker, groups, *spans)
    return {key: error.sentence for key, error in caught.value.refusals.items()}


def test_one_request_has_an_item_for_each_with_its_own_length(asker: Person, groups: list[PimGroup]) -> None:
    request = AccessRequest.objects.get(pk=ask(asker, groups, HOUR, 2 * HOUR, 3 * HOUR))
    items = RequestItem.objects.filter(request=request)
    assert {item.group_id: item.duration for item in items} == {
        group.pk: span for group, span in zip(groups, (HOUR, 2 * HOUR, 3 * HOUR), strict=True)
    }
    assert {item.status for item in items} == {ItemStatus.PENDING}
    assert [item.scope.count() for item in items] == [2, 2, 2]
    assert request.item_count == 3
    events = Event.objects.filter(request_id=request.pk)
    assert sorted(event.type for event in events) == ["item.requested"] * 3 + ["request.submitted"]
    assert events.get(type="request.submitted").data["fields"]["items"] == 3


def test_each_that_can_not_be_had_is_named_and_nothing_is_asked_for(
    asker: Person, groups: list[PimGroup]
) -> None:
    told = refused(asker, groups, HOUR, 9 * HOUR, timedelta(minutes=1))
    assert list(told) == [groups[1].object_id, groups[2].object_id]
    assert "At most 8 h" in told[groups[1].object_id]
    assert "at least 10 min" in told[groups[2].object_id]
    assert not AccessRequest.objects.exists()


def test_what_waits_already_is_named_and_keeps_the_others_from_being_asked_for(
    asker: Person, groups: list[PimGroup]
) -> None:
    ask(asker, groups[1:2])
    told = refused(asker, groups)
    assert list(told) == [groups[1].object_id]
    assert "already have a request" in told[groups[1].object_id]
    assert AccessRequest.objects.count() == RequestItem.objects.count() == 1
    assert Event.objects.filter(type="request.submitted").count() == 1


def test_a_group_that_is_not_theirs_is_as_absent_as_one_that_is_not_there(
    asker: Person, groups: list[PimGroup], as_role: AsRole
) -> None:
    with as_role("portal_worker"):
        foreign = make.pim_group()
    with pytest.raises(Missing):
        ask(asker, [*groups, foreign])
    assert not AccessRequest.objects.exists()


def test_none_too_many_and_twice_the_same_are_refused(
    asker: Person, groups: list[PimGroup], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Invalid, match="Between 1 and 10"):
        ask(asker, [])
    with pytest.raises(Invalid, match="there twice"):
        ask(asker, [groups[0], groups[0]])
    monkeypatch.setattr(submitting, "MOST_ITEMS", 2)
    with pytest.raises(Invalid, match="Between 1 and 2"):
        ask(asker, groups)
    assert not AccessRequest.objects.exists()


def test_all_of_them_count_towards_what_may_wait(
    asker: Person, groups: list[PimGroup], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "MOST_PENDING", 2)
    with pytest.raises(Conflict, match="Withdraw one"):
        ask(asker, groups)
    ask(asker, groups[:2])


def test_one_is_withdrawn_or_all_that_wait(asker: Person, groups: list[PimGroup], boss: Person) -> None:
    request_id = ask(asker, groups)
    first, *others = RequestItem.objects.filter(request_id=request_id).order_by("pk")
    withdraw_item(item_id=first.pk, person_id=asker.pk, actor=make.actor(asker))
    assert {item.status for item in RequestItem.objects.exclude(pk=first.pk)} == {ItemStatus.PENDING}
    with pytest.raises(Missing):
        withdraw_waiting(request_id=request_id, person_id=boss.pk, actor=make.actor(boss))
    assert withdraw_waiting(request_id=request_id, person_id=asker.pk, actor=make.actor(asker)) == len(others)
    assert {item.status for item in RequestItem.objects.all()} == {ItemStatus.WITHDRAWN}
    with pytest.raises(Conflict, match="Nothing of this request waits"):
        withdraw_waiting(request_id=request_id, person_id=asker.pk, actor=make.actor(asker))
