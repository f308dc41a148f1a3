"""A database that is older than the world: forgotten grants are rebuilt, nothing that ended is granted again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction

from audit.ledger.models import Event
from oversight.drift.runs import run_slice
from oversight.models import DriftRun, Finding, FindingKind
from requests_app.lifecycle import TERMINAL
from requests_app.models import Grant
from requests_app.waivers.settling import check_waiver
from tests.requests_app.waiver_scene import ask, emergency, only_rule, review_of, waiver_of
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db
type AsRole = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


class Backup:
    """The database as of now, to come back to: a savepoint of this test's transaction. The world goes on."""

    def __init__(self) -> None:
        self._sid = transaction.savepoint_create()

    def restore(self) -> None:
        transaction.savepoint_rollback(self._sid)


def reconcile() -> str:
    out = StringIO()
    call_command("reconcile", stdout=out)
    return out.getvalue()


def test_a_running_grant_that_was_forgotten_is_rebuilt_and_ends_as_approved(play: Stage) -> None:
    play.decide(play.ask())
    backup = Backup()
    lost = play.play_to("active")
    backup.restore()
    assert not Grant.objects.exists()
    assert "1 grants rebuilt, 0 new findings" in reconcile()
    grant = play.grant()
    assert (grant.pk, grant.tag, grant.ends_at) == (lost.pk, lost.tag, lost.ends_at)
    assert play.play_to("active", *TERMINAL).status == "active"
    assert play.play_out().status == "ended"
    assert play.assignments_made() == 1
    assert not play.in_entra()
    assert not play.in_aws()
    approved = Event.objects.filter(type="item.approved").count()
    assert approved == Event.objects.filter(type="grant.scheduled").count() == 1


@pytest.mark.parametrize("over", [False, pytest.param(True, marks=pytest.mark.proof)])
def test_an_emergency_that_was_forgotten_is_not_let_through_twice(play: Stage, over: bool) -> None:
    only_rule(play, emergency(play.asker, reviewers=[play.boss]))
    item = ask(play, minutes=60)
    backup = Backup()
    check_waiver(waiver_id=waiver_of(item).pk)
    lost = play.play_to("active")
    if over:
        play.finish_early(lost)
        play.play_to("deprovisioning")
    backup.restore()
    assert "1 grants rebuilt, 0 new findings" in reconcile()
    assert check_waiver(waiver_id=waiver_of(item).pk) == (), "it is settled"
    assert play.grant().pk == lost.pk
    assert review_of(item).open
    assert (
        "before the database was restored"
        in Event.objects.get(type="waiver.granted").data["fields"]["checked"]
    )
    play.play_out()
    assert play.assignments_made() == 1
    assert not play.in_aws()


@pytest.mark.proof
def test_a_grant_that_was_forgotten_and_is_over_is_proven_over_and_never_granted_again(play: Stage) -> None:
    play.decide(play.ask(duration=timedelta(hours=4)))
    backup = Backup()
    play.finish_early(play.play_to("active"))
    play.play_to("deprovisioning")
    backup.restore()
    assert "1 grants rebuilt" in reconcile()
    grant = play.play_out()
    assert grant.status in ("ended", "never_arrived")
    assert play.assignments_made() == 1
    assert not play.in_aws()


@pytest.mark.proof
def test_a_grant_that_the_restored_database_believes_scheduled_is_not_granted_again(play: Stage) -> None:
    play.world.faults.add("graph.GET assignmentScheduleInstances", "error", count=1)
    play.decide(play.ask(duration=timedelta(hours=4)))
    play.play_to("activating")
    backup = Backup()
    play.finish_early(play.play_to("active"))
    play.play_to("deprovisioning")
    play.step(timedelta(minutes=10))
    backup.restore()
    assert play.grant().status == "activating"
    grant = play.play_out()
    assert grant.status in ("ended", "never_arrived")
    assert grant.problem_code in ("forgotten", "")
    assert play.assignments_made() == 1


def test_what_no_approval_explains_becomes_a_finding_and_is_left_alone(play: Stage) -> None:
    item = play.ask()
    backup = Backup()
    play.decide(item)
    play.play_to("active")
    backup.restore()
    assert "0 grants rebuilt, 1 new findings" in reconcile()
    found = Finding.objects.get()
    assert found.kind == FindingKind.ORPHAN
    assert found.evidence["tag"]
    assert Event.objects.filter(type="drift.found").count() == 1
    play.step(timedelta(minutes=11))
    run_slice()
    assert Finding.objects.get().status == "open"
    assert play.in_aws()


def test_the_comparison_rebuilds_by_itself(play: Stage) -> None:
    play.decide(play.ask())
    backup = Backup()
    lost = play.play_to("active")
    backup.restore()
    run_slice()
    assert play.grant().pk == lost.pk
    assert DriftRun.objects.count() == 1


def test_a_group_that_cannot_be_read_fails_the_command_and_changes_nothing(play: Stage) -> None:
    play.decide(play.ask())
    play.world.faults.add("graph.GET assignmentScheduleInstances", "error", count=None)
    with pytest.raises(Exception, match="could not be read"):
        reconcile()
    assert not Grant.objects.exists()
