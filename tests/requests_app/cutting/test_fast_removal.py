"""Fast removal, played against the simulated clouds: what goes at once, and what is never cut."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.test import override_settings
from django_subatomic.db import transaction

from audit.ledger.models import Event
from base import crash
from base.errors import Conflict
from requests_app.actions.ending import revoke
from requests_app.cutting import removing
from requests_app.cutting.models import FastRemoval
from requests_app.cutting.wanting import fast_remove_now
from requests_app.lifecycle import GrantStatus
from requests_app.models import Attempt, Grant
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.seldom import seldom
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.usefixtures("committed_db")
LOOKS = ((timedelta(minutes=2), timedelta(seconds=10)), (timedelta(days=1), timedelta(minutes=10)))
RARER = ("lose_request", "throttle", "error", "error_after")
DELETE = "aws.identitystore.DeleteGroupMembership"


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with override_settings(FAST_REMOVAL="direct"), stage(as_role, polls=LOOKS) as made:
        yield made


def granted(play: Stage) -> Grant:
    play.decide(play.ask())
    return play.play_to(GrantStatus.ACTIVE)


def events(grant: Grant, prefix: str) -> list[str]:
    found = Event.objects.filter(grant_id=grant.pk, type__startswith=prefix).order_by("id")
    return list(found.values_list("type", flat=True))


def test_out_of_aws_within_a_minute_instead_of_a_cycle(play: Stage) -> None:
    granted(play)
    ended = play.play_to(GrantStatus.DRAINING)
    assert ended.out_of_entra_at is not None
    assert ended.out_of_aws_at is not None
    assert ended.out_of_aws_at - ended.out_of_entra_at < timedelta(minutes=1)
    assert events(ended, "fast_removal.") == ["fast_removal.sent", "fast_removal.answered"]
    answered = Event.objects.get(grant_id=ended.pk, type="fast_removal.answered")
    assert answered.data["fields"]["vendor_request_id"].startswith(DELETE)
    assert answered.data["fields"]["outcome"] == "done"
    row = FastRemoval.objects.get(grant=ended)
    assert (row.reason, row.asks) == (FastRemoval.Reason.ENDED, 1)
    play.play_out()
    row.refresh_from_db()
    assert (row.outcome, row.next_action_at) == (FastRemoval.Outcome.GONE, None)


def test_nothing_is_sent_before_entra_was_read_as_empty(play: Stage) -> None:
    play.finish_early(granted(play))
    play.play_to(GrantStatus.REMOVING)
    play.cut()
    assert not FastRemoval.objects.exists()
    assert play.calls.count(DELETE) == 0


@pytest.mark.proof
def test_switched_off_the_cycle_does_it(as_role: AsRole) -> None:
    with stage(as_role, polls=LOOKS) as play:
        granted(play)
        ended = play.play_to(GrantStatus.DRAINING)
        assert not FastRemoval.objects.exists()
        assert play.calls.count(DELETE) == 0
        assert ended.out_of_aws_at is not None
        assert ended.out_of_entra_at is not None
        assert ended.out_of_aws_at - ended.out_of_entra_at > timedelta(minutes=5)


@pytest.mark.proof
@pytest.mark.parametrize("removes", [True, False])
def test_on_demand_instead(as_role: AsRole, removes: bool) -> None:
    with override_settings(FAST_REMOVAL="on_demand"), stage(as_role, polls=LOOKS) as play:
        play.world.switches.on_demand_removes = removes
        granted(play)
        ended = play.play_to(GrantStatus.DRAINING)
        assert ended.out_of_aws_at is not None
        assert ended.out_of_entra_at is not None
        assert (ended.out_of_aws_at - ended.out_of_entra_at < timedelta(minutes=1)) is removes
        assert play.calls.count(DELETE) == 0
        row = FastRemoval.objects.get(grant=ended)
        assert row.asks >= 1
        assert bool(row.problem) is not removes


def test_a_membership_of_somebody_else_stays(play: Stage) -> None:
    granted(play)
    play.step(timedelta(hours=1, minutes=1))
    play.world.directory.add_member(play.world_group.id, play.world_asker.id)
    play.play(lambda: play.grant().status == GrantStatus.DEPROVISIONING)
    for _ in range(20):
        play.work()
        play.step(timedelta(minutes=5))
    assert not FastRemoval.objects.exists()
    assert play.in_aws()


@pytest.mark.proof
def test_who_was_let_in_by_somebody_else_while_the_remover_was_away_is_not_cut(play: Stage) -> None:
    granted(play)
    play.cutters_run = False
    play.world.happen("job_paused")
    play.play_to(GrantStatus.DEPROVISIONING)
    assert FastRemoval.objects.get().closed_at is None
    play.world.happen("foreign_member", group=play.world_group.id, person=play.world_asker.id)
    play.step(timedelta(minutes=16))
    play.cut()
    assert play.calls.count(DELETE) == 0, "Entra was last read before somebody let the person in"
    play.cutters_run = True
    for _ in range(6):
        play.work()
        play.step(timedelta(minutes=5))
    assert play.calls.count(DELETE) == 0
    assert play.in_aws()
    assert FastRemoval.objects.get().outcome == FastRemoval.Outcome.YIELDED


@pytest.mark.proof
def test_a_membership_older_than_every_grant_is_not_ours(play: Stage) -> None:
    store = play.world.identity_store
    membership = store.add_member(play.group.store_group_id, play.asker.store_user_id, by="an administrator")
    membership.created_at = play.time.now - timedelta(days=3)
    granted(play)
    grant = play.play_to(GrantStatus.DEPROVISIONING)
    play.play(lambda: FastRemoval.objects.filter(outcome=FastRemoval.Outcome.REFUSED).exists())
    assert play.calls.count(DELETE) == 0
    assert events(grant, "fast_removal.") == ["fast_removal.refused"]
    play.step(timedelta(minutes=3))
    play.work()
    assert "older than every grant" in play.grant().problem


@pytest.mark.proof
def test_a_group_outside_the_list_is_left_alone(play: Stage) -> None:
    play.cutters_run = False
    granted(play)
    grant = play.play_to(GrantStatus.DEPROVISIONING)
    with override_settings(PORTAL_MANAGED_GROUPS_FILE=""):
        play.cut()
    assert FastRemoval.objects.get(grant=grant).outcome == FastRemoval.Outcome.REFUSED
    assert play.calls.count(DELETE) == 0


# ---------------------------------------------------------------- revocation


def test_a_revocation_does_not_wait_for_entra_and_is_repeated(play: Stage) -> None:
    grant = granted(play)
    with play.as_role("portal_web"):
        revoke(grant_id=grant.pk, person_id=play.boss.pk, reason="Laptop stolen", actor=make.actor(play.boss))
    play.play(lambda: not play.in_aws())
    assert play.grant().status == GrantStatus.REMOVING
    assert play.in_entra(), "PIM keeps it for its first five minutes"
    # Entra carries it once more, as it may while it still holds the membership.
    play.world.identity_store.add_member(play.group.store_group_id, play.asker.store_user_id)
    assert play.in_aws()
    play.play(lambda: not play.in_aws())
    assert play.in_entra()
    assert play.calls.count(DELETE) == 2
    play.play_to(GrantStatus.DRAINING)


# ---------------------------------------------------------------- the answer is lost, the cloud refuses


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["lose_answer", *RARER])
def test_whatever_the_cloud_does_it_is_gone_in_the_end(play: Stage, kind: str) -> None:
    play.world.faults.add(DELETE, kind)
    granted(play)
    ended = play.play_to(GrantStatus.DRAINING)
    assert ended.out_of_aws_at is not None
    assert ended.out_of_entra_at is not None
    assert ended.out_of_aws_at - ended.out_of_entra_at < timedelta(minutes=3)
    sent = Attempt.objects.filter(grant=ended, kind=Attempt.Kind.TAKE_OUT)
    assert sent.count() in (1, 2)
    assert not sent.filter(outcome=Attempt.Outcome.RUNNING).exists()


# ---------------------------------------------------------------- successors


def test_a_successor_approved_while_the_remover_is_about_to_delete_is_never_cut(play: Stage) -> None:
    """The cycle is faster, the next request is approved and its membership arrives, all within the remover's last step."""
    play.cutters_run = False
    first = granted(play)
    play.play_to(GrantStatus.DEPROVISIONING)

    def meanwhile(point: str) -> None:
        if point != "fast_removal.looked":
            return
        crash.install(None)
        play.world.provisioning.run_cycle()
        play.step(timedelta(minutes=1))
        with play.as_role("portal_worker"):
            play.play_to(GrantStatus.DRAINING)
            play.decide(play.ask())
            play.play_to(GrantStatus.ACTIVE)

    crash.install(meanwhile)
    play.cut()
    crash.install(None)
    assert play.grant().pk != first.pk
    assert play.in_aws(), "the successor's membership was cut"
    assert play.calls.count(DELETE) == 0
    for _ in range(5):
        play.work()
        play.step(timedelta(minutes=2))
    assert play.in_aws()


@pytest.mark.proof
def test_a_successor_waits_while_a_deletion_may_be_on_its_way(play: Stage) -> None:
    """After the intent: the approval counts at once, but nothing is assigned until the deletion has ended."""
    play.cutters_run = False
    first = granted(play)
    play.play_to(GrantStatus.DEPROVISIONING)
    seen: list[str] = []

    def meanwhile(point: str) -> None:
        if point != "fast_removal.intent_recorded":
            return
        crash.install(None)
        play.world.provisioning.run_cycle()
        play.step(timedelta(seconds=3))
        with play.as_role("portal_worker"):
            play.play_to(GrantStatus.DRAINING)
            play.decide(play.ask())
            for _ in range(3):
                play.work()
                play.step(timedelta(seconds=3))
            seen.append(play.grant().status)

    crash.install(meanwhile)
    play.cut()
    crash.install(None)
    assert seen == [GrantStatus.SCHEDULED]
    assert play.grant().pk != first.pk
    play.play_to(GrantStatus.ACTIVE)
    for _ in range(5):
        play.work()
        play.step(timedelta(minutes=2))
    assert play.in_aws()


@pytest.mark.proof
@pytest.mark.parametrize("skips", [True, False])
def test_access_granted_again_after_a_fast_removal_arrives(play: Stage, skips: bool) -> None:
    play.world.switches.skip_readd_before_cycle = skips
    first = granted(play)
    play.play_to(GrantStatus.DRAINING)
    play.decide(play.ask())
    play.play(lambda: play.grant().pk != first.pk)
    again = play.play_to(GrantStatus.ACTIVE)
    assert again.pk != first.pk
    assert play.in_aws()


@pytest.mark.proof
@pytest.mark.parametrize("skips", [True, False])
def test_access_granted_again_arrives_although_provisioning_on_demand_fails_at_first(
    play: Stage, skips: bool
) -> None:
    play.world.switches.skip_readd_before_cycle = skips
    first = granted(play)
    play.play_to(GrantStatus.DRAINING)
    play.world.faults.add("graph.POST provisionOnDemand", "error", count=4)
    play.decide(play.ask(duration=timedelta(hours=4)))
    play.play(lambda: play.grant().pk != first.pk)
    again = play.play_to(GrantStatus.ACTIVE)
    assert again.arrived_at is not None
    assert again.arrived_at - again.starts_at < timedelta(minutes=90)


# ---------------------------------------------------------------- an operator's click


def test_an_operator_has_it_removed_now(as_role: AsRole) -> None:
    with stage(as_role, polls=LOOKS) as play:
        granted(play)
        play.world.provisioning.quarantine()
        grant = play.play_to(GrantStatus.DEPROVISIONING)
        with play.as_role("portal_web"):
            with pytest.raises(Conflict, match="switched off"):
                fast_remove_now(grant_id=grant.pk, actor=make.actor(play.boss))
            with override_settings(FAST_REMOVAL="direct"):
                fast_remove_now(grant_id=grant.pk, actor=make.actor(play.boss))
        with override_settings(FAST_REMOVAL="direct"):
            play.cut()
            assert play.calls.count(DELETE) == 0, "Entra has not been read for it"
            play.play_to(GrantStatus.DRAINING)
        assert events(grant, "fast_removal.")[0] == "fast_removal.asked"


@pytest.mark.proof
def test_not_for_access_that_is_in_force(play: Stage) -> None:
    grant = granted(play)
    with play.as_role("portal_web"), pytest.raises(Conflict, match="left Entra"):
        fast_remove_now(grant_id=grant.pk, actor=make.actor(play.boss))


# ---------------------------------------------------------------- what the remover can't do


def test_the_remover_moves_no_grant(play: Stage) -> None:
    grant = granted(play)
    with (
        play.as_role("portal_remover"),
        pytest.raises(DatabaseError, match="permission denied"),
        transaction(),
    ):
        Grant.objects.filter(pk=grant.pk).update(problem="mine")
    with (
        play.as_role("portal_remover"),
        pytest.raises(DatabaseError, match="permission denied"),
        transaction(),
    ):
        FastRemoval.objects.create(grant=grant, reason="ended", wanted_at=play.time.now)


@pytest.mark.parametrize(
    ("column", "refusal"),
    seldom(
        [
            ("sending_until", "permission denied"),
            ("lease_until", "permission denied"),
            ("entra_read_at", "only a worker"),
            ("next_action_at", "only a worker"),
        ],
        unless=lambda column: column[0] in {"lease_until", "entra_read_at"},
    ),
)
def test_the_web_process_can_want_a_removal_and_no_more(play: Stage, column: str, refusal: str) -> None:
    granted(play)
    play.world.happen("quarantine")
    grant = play.play_to(GrantStatus.DEPROVISIONING)
    now = play.time.now
    FastRemoval.objects.filter(grant=grant).update(outcome="yielded", closed_at=now, next_action_at=None)
    with play.as_role("portal_web"):
        fast_remove_now(grant_id=grant.pk, actor=make.actor(play.boss))
        row = FastRemoval.objects.filter(grant=grant)
        with pytest.raises(DatabaseError, match=refusal), transaction():
            row.update(**{column: now})


def test_nothing_is_owed_while_the_setting_is_off(play: Stage) -> None:
    play.cutters_run = False
    granted(play)
    play.play_to(GrantStatus.DEPROVISIONING)
    row = FastRemoval.objects.get()
    with override_settings(FAST_REMOVAL="off"):
        assert removing.owed() == []
        assert removing.remove_fast(removal_id=row.pk) is False
    assert removing.owed() == [row.pk]
