"""Two workers settle one emergency: once; and a withdrawal at the same moment has one outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import cast

import pytest

from audit.ledger.models import Event
from requests_app.actions.withdrawing import withdraw_item
from requests_app.models import Grant, RequestItem
from requests_app.waivers.models import OwedReview, Waiver
from requests_app.waivers.settling import check_waiver
from tests.races.scene import acting_as, at_once
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.requests_app.waiver_scene import ask, emergency, only_rule, waiver_of
from tests.support.stage import stage

pytestmark = pytest.mark.usefixtures("committed_db")


def test_two_workers_and_a_withdrawal_settle_an_emergency_once(as_role: AsRole) -> None:
    with stage(as_role) as play:
        only_rule(play, emergency(play.asker, reviewers=[play.boss]))
        for number in range(2):
            item = ask(play)
            settle = partial(check_waiver, waiver_id=waiver_of(item).pk)
            withdraw = partial(
                withdraw_item, item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker)
            )
            racers: list[Callable[[], object]] = [settle, settle]
            if number % 2:
                racers.append(acting_as(as_role, "portal_web", cast("Callable[[], object]", withdraw)))
            at_once(*racers)
            item.refresh_from_db()
            waiver = waiver_of(item)
            assert (item.status, waiver.status) in (("approved", "granted"), ("withdrawn", "refused"))
            granted = int(waiver.granted)
            assert Grant.objects.filter(intervals__item=item).count() == granted
            assert OwedReview.objects.filter(waiver=waiver).count() == granted
            told = Counter(Event.objects.filter(request_id=item.request_id).values_list("type", flat=True))
            assert told["waiver.granted"] + told["waiver.refused"] == 1
            assert told["item.approved"] == granted
            if granted:
                play.play_to("ended")
        assert Waiver.objects.filter(status="submitted").count() == 0
        assert RequestItem.objects.filter(status="pending").count() == 0
