"""Late removals: told once for each hop, tried on for ever, never called ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django_subatomic.db import transaction

from audit.ledger.models import Event
from audit.ledger.recorder import Actor
from requests_app.actions.deciding import check_decision
from requests_app.actions.moving import move
from requests_app.actions.telling import tell_overdue
from requests_app.lifecycle import GrantStatus
from requests_app.overdue import overdue, overdue_grants
from requests_app.presentation import standing
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        made.decide(made.ask())
        made.play_to("active")
        yield made


def hops(play: Stage) -> list[str]:
    told = Event.objects.filter(grant_id=play.grant().pk, type="grant.overdue").order_by("id")
    return [event.data["fields"]["hop"] for event in told]


def test_what_is_in_time_is_not_overdue(play: Stage) -> None:
    while play.grant().status != "draining":
        assert overdue(play.grant()) is None, play.describe()
        play.work()
        play.step(play._until_next())
    assert hops(play) == []


def test_without_a_worker_it_is_overdue_and_told_once(play: Stage) -> None:
    grant = play.grant()
    play.time.now = grant.ends_at + timedelta(minutes=5)
    assert overdue(grant) is None
    play.time.now += timedelta(seconds=1)
    (late,) = overdue_grants()
    assert (late.grant.pk, late.hop, late.since) == (grant.pk, "Entra", grant.ends_at + timedelta(minutes=5))
    shown = standing("approved", grant)
    assert (shown.tone, shown.words, shown.until) == ("problem", "Overdue", late.since)


def test_what_has_been_told_keeps_nothing_else_from_being_told(
    play: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests_app.overdue.MOST", 1)
    person, group = make.person(), make.pim_group()
    with play.as_role("portal_web"):
        item = make.pending_item(person, group, play.rule)
    other = make.scheduled_grant(item)
    with transaction():
        move(other, GrantStatus.ACTIVATING, actor=Actor.worker(), fields={"group_name": "another"})
    play.time.now = play.grant().ends_at + timedelta(hours=9)
    assert [tell_overdue(), tell_overdue(), tell_overdue()] == [1, 1, 0]


def test_what_is_lengthened_when_it_is_overdue_and_late_again_is_told_again(play: Stage) -> None:
    play.time.now = play.grant().ends_at + timedelta(minutes=6)
    assert tell_overdue() == 1
    check_decision(decision_id=play.decide(play.ask()))
    play.time.now = play.grant().ends_at + timedelta(minutes=6)
    assert tell_overdue() == 1
    assert hops(play) == ["Entra", "Entra"]


def test_aws_that_keeps_it_is_overdue_once_and_tried_on(play: Stage) -> None:
    grant = play.play_to("deprovisioning")
    play.world.happen("quarantine")
    assert grant.out_of_entra_at is not None
    play.play(lambda: bool(hops(play)), at_most=timedelta(hours=3))
    assert play.time.now - grant.out_of_entra_at < timedelta(minutes=75)
    play.play(lambda: play.time.now > grant.out_of_entra_at + timedelta(hours=5), at_most=timedelta(hours=9))  # type: ignore[operator] # asserted above
    assert hops(play) == ["AWS"]
    late = play.grant()
    assert late.status == "deprovisioning"
    assert late.next_action_at is not None, "it is tried on"
    assert standing("approved", late).words == "Overdue"
    play.world.happen("quarantine_lifted")
    play.world.provisioning.run_cycle()
    assert overdue(play.play_to("draining")) is None


def test_what_reappears_and_is_late_again_is_told_again(play: Stage) -> None:
    grant = play.play_to("deprovisioning")
    play.world.happen("quarantine")
    play.play(lambda: hops(play) == ["AWS"], at_most=timedelta(hours=3))
    play.world.happen("quarantine_lifted")
    play.play_to("draining")
    play.world.happen("foreign_store_member", group=grant.group.object_id, person=grant.person.object_id)
    play.play(lambda: play.grant().status in ("removing", "deprovisioning"), at_most=timedelta(hours=3))
    again = play.grant()
    assert (again.overdue_entra_at, again.overdue_aws_at) == (None, None)
    play.play(lambda: hops(play) != ["AWS"], at_most=timedelta(hours=4))
    assert hops(play) == ["AWS", "AWS"], "Entra was let go at once"
