"""Asks of one person at once: for the same PIM groups, of which one stands, whole; and for more than may wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from unittest.mock import patch
from uuid import UUID

import pytest

from base.errors import Conflict
from catalog.models import PimGroup
from identity.models import Person
from requests_app.actions import submitting
from requests_app.actions.submitting import ItemsRefused, Wanted, submit_items
from requests_app.models import AccessRequest, RequestItem
from tests.races.scene import acting_as, at_once
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole

pytestmark = pytest.mark.usefixtures("committed_db")

ROUNDS = 3


def ask(asker: Person, groups: Sequence[PimGroup]) -> UUID:
    return submit_items(
        requester_id=asker.pk,
        wanted=[Wanted(group.object_id, timedelta(hours=1)) for group in groups],
        justification="Fix the stuck deployment",
        reference="",
        actor=make.actor(asker),
    )


def test_two_asks_that_overlap_wait_for_each_other_and_one_is_told(as_role: AsRole) -> None:
    boss = make.person("Ben Boss")
    groups = [make.pim_group(accounts=1) for _ in range(8)]
    make.rule(boss, groups=tuple(groups))
    for number in range(ROUNDS):
        asker = make.person(f"Ada {number}")
        for group in groups:
            make.eligibility(asker, group)
        forward, backward = partial(ask, asker, groups), partial(ask, asker, groups[::-1])
        results = at_once(*(acting_as(as_role, "portal_web", each) for each in (forward, backward)))
        (refusal,) = [each for each in results if isinstance(each, Exception)]
        assert isinstance(refusal, ItemsRefused), repr(refusal)
        assert set(refusal.refusals) == {group.object_id for group in groups}
        (made,) = [each for each in results if not isinstance(each, Exception)]
        assert AccessRequest.objects.get(requester=asker).pk == made
        assert RequestItem.objects.filter(requester=asker).count() == len(groups)


def test_asks_at_once_leave_no_more_waiting_than_may(as_role: AsRole) -> None:
    asker, groups = make.person("Ada Asker"), [make.pim_group(accounts=1) for _ in range(4)]
    make.rule(make.person("Ben Boss"), groups=tuple(groups))
    for group in groups:
        make.eligibility(asker, group)
    with patch.object(submitting, "MOST_PENDING", 2):
        results = at_once(*(acting_as(as_role, "portal_web", partial(ask, asker, [each])) for each in groups))
    refused = [each for each in results if isinstance(each, Exception)]
    assert [each.code for each in refused if isinstance(each, Conflict)] == ["item.too_many"] * 2, repr(
        refused
    )
    assert RequestItem.objects.filter(requester=asker).count() == 2
