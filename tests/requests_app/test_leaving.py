"""Leavers lose what is open and what they wait for; nobody is one because something couldn't be read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import pytest

from audit.ledger.models import Event
from base import crash
from catalog.models import Eligibility
from identity.models import Person
from requests_app.actions.sweeping import sweep
from requests_app.models import RequestItem, Revocation
from simulator.sample.builder import Builder
from tests.requests_app.conftest import AsRole
from tests.support.stage import Died, Stage, stage

pytestmark = pytest.mark.django_db

ELIGIBILITIES = "graph.GET eligibilityScheduleInstances"
SOON = timedelta(minutes=25)


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        made.decide(made.ask(duration=timedelta(hours=4)))
        made.play_to("active")
        yield made


def test_a_disabled_account_loses_its_access_at_the_next_look(play: Stage) -> None:
    play.world_asker.account_enabled = False
    grant = play.play_to("removing", "deprovisioning")
    assert grant.end_reason == "leaver"
    revocation = Revocation.objects.get(grant=grant)
    assert revocation.by is None
    assert "disabled" in revocation.reason
    assert play.time.now - grant.starts_at < SOON
    assert Event.objects.get(type="grant.revoked").actor_kind == "worker"


def test_who_is_gone_from_entra_loses_it_too(play: Stage) -> None:
    others = {key: user for key, user in play.world.state.users.items() if key != play.world_asker.id}
    with patch.object(play.world.directory, "find_user", others.get):
        grant = play.play_to("removing", "deprovisioning")
    assert grant.end_reason == "leaver"
    assert "gone from Entra" in Revocation.objects.get(grant=grant).reason


def test_a_lost_eligibility_counts_when_seen_twice(play: Stage) -> None:
    play.world.pim.end_eligibility(play.world_group.id, play.world_asker.id)
    play.play(lambda: play.grant().holder_doubt == "ineligible", at_most=SOON)
    assert play.grant().status == "active", "one look alone makes nobody a leaver"
    seen = play.time.now
    assert play.play_to("removing", "deprovisioning").end_reason == "leaver"
    assert timedelta(minutes=1) <= play.time.now - seen < timedelta(minutes=2)


def test_what_is_there_again_at_the_second_look_takes_the_doubt_back(play: Stage) -> None:
    play.world.pim.end_eligibility(play.world_group.id, play.world_asker.id)
    play.play(lambda: play.grant().holder_doubt == "ineligible", at_most=SOON)
    Builder(play.world).eligible(play.world_group, play.world_asker)
    play.play(lambda: play.grant().holder_doubt == "", at_most=SOON)
    assert play.grant().status == "active"


def test_what_can_not_be_read_makes_nobody_a_leaver(play: Stage) -> None:
    for operation in (ELIGIBILITIES, "graph.GET users"):
        play.world.faults.add(operation, "error", count=None)
    play.step(timedelta(minutes=30))
    play.work()
    grant = play.grant()
    assert (grant.status, grant.holder_doubt) == ("active", "")


def test_what_the_catalogue_saw_makes_the_look_come_sooner(play: Stage) -> None:
    play.step(timedelta(minutes=5))
    play.world_asker.account_enabled = False
    play.work()
    assert play.grant().status == "active", "not looked at yet"
    Person.objects.filter(pk=play.asker.pk).update(enabled=False)
    play.work()
    assert play.grant().end_reason == "leaver"


def test_a_stale_catalogue_alone_ends_nothing(play: Stage) -> None:
    Eligibility.objects.filter(person=play.asker).delete()
    play.step(timedelta(minutes=5))
    play.work()
    grant = play.grant()
    assert (grant.status, grant.holder_doubt) == ("active", "")


@pytest.mark.parametrize("how", ["disabled", "eligible"])
def test_a_pending_request_of_a_leaver_is_closed_with_the_reason(play: Stage, how: str) -> None:
    item = play.ask()
    sweep()
    assert RequestItem.objects.get(pk=item.pk).status == "pending"
    if how == "disabled":
        Person.objects.filter(pk=play.asker.pk).update(enabled=False)
    else:
        Eligibility.objects.filter(person=play.asker).delete()
    sweep()
    closed = RequestItem.objects.get(pk=item.pk)
    assert closed.status == "closed"
    assert how in closed.close_reason
    assert Event.objects.get(type="item.closed").data["fields"]["reason"] == closed.close_reason


def test_a_worker_that_dies_over_its_finding_looks_again(play: Stage) -> None:
    play.world_asker.account_enabled = False

    def die(reached: str) -> None:
        if reached == "leaving.before_settle":
            raise Died(reached)

    crash.install(die)
    with pytest.raises(Died):
        play.play(lambda: False, at_most=SOON)
    crash.install(None)
    assert not Revocation.objects.exists()
    play.step(timedelta(seconds=61))
    assert play.play_to("removing", "deprovisioning").end_reason == "leaver"
    assert Revocation.objects.count() == 1
