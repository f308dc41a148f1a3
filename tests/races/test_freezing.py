"""An incident while others approve and start: once the freeze is committed, nothing begins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest
from django.db import connections

from audit.ledger.models import Event
from identity.models import Person
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision
from requests_app.actions.freezing import carry_freezes, freeze
from requests_app.freezes.models import Freeze
from requests_app.models import Grant, RequestItem
from tests.races.scene import PATIENCE_SECONDS, Paused, acting_as, at_once, raised
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.usefixtures("committed_db")


def operator(as_role: AsRole) -> Person:
    person = make.person("Olga Operator")
    with as_role("portal_web"):
        make.login(person, "Operator")
    return person


def freeze_the_asker(play: Stage, by: Person) -> UUID:
    action = partial(
        freeze,
        kind="person",
        subject=play.asker.object_id,
        person_id=by.pk,
        reason="The laptop of its holder was stolen",
        actor=make.actor(by),
    )
    return acting_as(play.as_role, "portal_web", action)()


def nothing_began_after_the_freeze() -> None:
    frozen = Event.objects.get(type="incident.frozen")
    started = Event.objects.filter(
        type__in=("item.approved", "grant.scheduled", "grant.activation_started", "outside.assignment_sent")
    )
    # Ids are given in the order in which events were written: the lock makes that the order of the commits.
    assert [event.type for event in started if event.id > frozen.id] == []


@pytest.mark.parametrize("stage_of_it", ["decision", "start"])
def test_an_approval_or_a_start_and_a_freeze_at_once(as_role: AsRole, stage_of_it: str) -> None:
    with stage(as_role) as play:
        olga = operator(as_role)
        item = play.ask()
        decision_id = play.decide(item)
        other: Callable[[], object] = partial(check_decision, decision_id=decision_id)
        if stage_of_it == "start":
            (grant_id,) = check_decision(decision_id=decision_id)
            other = partial(advance_grant, grant_id=grant_id)
        assert raised(at_once(other, lambda: freeze_the_asker(play, olga))) == []
        nothing_began_after_the_freeze()
        play.play(lambda: RequestItem.objects.get(pk=item.pk).status != "pending")
        play.play(lambda: not Grant.objects.filter(next_action_at__isnull=False).exists())
        assert set(Grant.objects.values_list("end_reason", flat=True)) <= {"incident"}
        assert not play.in_entra()
        assert not play.in_aws()


def test_a_freeze_waits_for_an_approval_that_was_let_through_and_ends_it(as_role: AsRole) -> None:
    """The approval has judged and not committed: the freeze commits after it, and sees what it made."""
    with stage(as_role) as play:
        olga = operator(as_role)
        item = play.ask()
        decision_id = play.decide(item)
        approving = Paused("deciding.before_commit")
        assert approving.start(partial(check_decision, decision_id=decision_id))
        done = threading.Event()

        def freezing() -> None:
            try:
                freeze_the_asker(play, olga)
            finally:
                connections.close_all()
                done.set()

        operating = threading.Thread(target=freezing, daemon=True)
        operating.start()
        assert not done.wait(0.5), "it didn't wait for the approval that was let through"
        assert not Freeze.objects.exists()
        approving.go_on()
        assert done.wait(PATIENCE_SECONDS)
        assert RequestItem.objects.get(pk=item.pk).status == "approved"
        nothing_began_after_the_freeze()
        assert carry_freezes() == 1
        assert (play.grant().status, play.grant().end_reason) == ("cancelled", "incident")
        assert play.assignments_made() == 0


def test_four_workers_carry_one_freeze_once(as_role: AsRole) -> None:
    with stage(as_role) as play:
        olga = operator(as_role)
        play.decide(play.ask())
        play.play_to("active")
        freeze_id = freeze_the_asker(play, olga)
        assert raised(at_once(*[carry_freezes] * 4)) == []
        row = Freeze.objects.get(pk=freeze_id)
        assert (row.grants_ended, row.carried_at is not None) == (1, True)
        assert Event.objects.filter(type="incident.carried").count() == 1
        assert Event.objects.filter(type="grant.revoked").count() == 1
