"""Severing, played against the simulated access portal: sessions opened at every awkward moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import DatabaseError
from django.test import override_settings
from django_subatomic.db import transaction

from audit.ledger.models import Event
from catalog.models import PermissionSet
from requests_app.cutting import planning
from requests_app.cutting.documents import NOBODY, SID_PREFIX, ours_in
from requests_app.cutting.models import Severance, SeveringPlace
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant
from simulator.world.errors import WorldError
from tests.pages.moving import bring
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.requests_app.cutting.scene import OPERATORS_OWN, Scene, scene
from tests.support.burst import crowd

pytestmark = pytest.mark.usefixtures("committed_db")
HOUR = timedelta(hours=1)
RARER = ("lose_request", "throttle", "error", "error_after")


@pytest.fixture(
    params=[pytest.param(False, id="scp"), pytest.param(True, id="inline", marks=pytest.mark.proof)]
)
def made(request: pytest.FixtureRequest, as_role: AsRole) -> Iterator[Scene]:
    with scene(as_role, inline=request.param) as built:
        yield built


def statements(made: Scene) -> list[dict[str, object]]:
    place = SeveringPlace.objects.get()
    ours = ours_in(made.policy.content if place.key.startswith("scp:") else made.granted.inline_policy)
    return [row for row in ours if row != NOBODY]


def types(grant: Grant) -> list[str]:
    found = Event.objects.filter(grant_id=grant.pk, type__startswith="severance.").order_by("id")
    return list(found.values_list("type", flat=True))


def test_sessions_opened_at_every_awkward_moment_are_cut(made: Scene) -> None:
    grant = made.grant()
    made.wait(40)
    other_set, other_account = made.open(permission_set=made.extra), made.open(made.elsewhere)
    before_the_end = made.open()
    assert made.works(before_the_end), "nothing is denied while the access is in force"
    ending = made.play.play_to(GrantStatus.DEPROVISIONING)
    assert ending.pk == grant.pk
    made.wait(10)
    assert not made.works(before_the_end), "opened before the end"
    between = made.open()
    assert not made.works(between), "opened between Entra's removal and AWS's"
    drained = made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
    assert drained.out_of_aws_at is not None
    in_the_cache = made.open()
    assert not made.works(in_the_cache), "opened within AWS's hour after the read-back"
    assert [row["Condition"].get("DateLessThan") for row in statements(made)] == [None]  # type: ignore[attr-defined]
    assert made.works(other_set), "another permission set on the same account"
    assert made.works(other_account), "the same permission set on another account"
    gone = max(
        past.removed_at
        for past in made.play.world.state.identity_center.past_memberships
        if past.removed_at is not None
    )
    made.play.step(gone + timedelta(minutes=59) - made.play.time.now)
    made.play.work()
    last = made.open()
    made.wait(6)
    assert not made.works(last), "opened just before the limit"
    (limited,) = statements(made)
    assert "DateLessThan" in limited["Condition"]  # type: ignore[operator]
    with pytest.raises(WorldError):
        made.open()
    made.wait(70)
    assert made.play.grant().status == GrantStatus.ENDED
    assert statements(made) == []
    assert Severance.objects.get().lifted_at is not None
    assert types(grant) == [
        "severance.wanted",
        "severance.confirmed",
        "severance.limited",
        "severance.lifted",
    ]


def test_after_a_new_approval_the_new_session_works_and_the_old_one_does_not(made: Scene) -> None:
    first = made.grant()
    made.wait(45)
    old = made.open()
    drained = made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
    assert drained.pk == first.pk
    made.wait(5)
    cached = made.open()
    assert not made.works(old)
    made.play.decide(made.play.ask())
    made.play.play(
        lambda: made.play.grant().pk != first.pk and made.play.grant().status == GrantStatus.ACTIVE,
        at_most=timedelta(hours=2),
    )
    made.wait(6)
    new = made.open()
    assert made.works(new), "the new access"
    assert not made.works(old), "opened under the first approval"
    assert not made.works(cached), "opened after the first approval's end"


@pytest.mark.proof
def test_the_last_possible_use_is_earlier_only_once_the_denial_was_read_back(made: Scene) -> None:
    made.play.cutters_run = False  # the severer is down
    made.grant()
    drained = made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
    assert drained.out_of_aws_at is not None
    assert drained.last_possible_use_at == drained.out_of_aws_at + 2 * HOUR
    made.play.cutters_run = True
    made.wait(12)
    confirmed = Severance.objects.get().confirmed_at
    assert confirmed is not None
    assert made.play.grant().last_possible_use_at == confirmed + timedelta(minutes=5)
    made.wait(10)
    assert made.play.grant().status == GrantStatus.ENDED
    assert Event.objects.filter(type="grant.last_use_changed").count() == 1


@pytest.mark.proof
def test_the_operators_own_statements_stay(as_role: AsRole) -> None:
    with scene(as_role) as made:
        made.grant()
        made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
        kept = json.loads(made.policy.content)["Statement"]
        own = json.loads(OPERATORS_OWN)["Statement"]
        assert kept[0] == own
        assert all(row["Sid"].startswith(SID_PREFIX) for row in kept[1:])
        made.wait(200)
        assert json.loads(made.policy.content)["Statement"] == [own]


@pytest.mark.proof
def test_a_denial_that_somebody_takes_away_is_noticed_and_written_again(as_role: AsRole) -> None:
    with scene(as_role) as made:
        grant = made.grant()
        made.wait(40)
        session = made.open()
        made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
        assert not made.works(session)
        made.play.world.control_policies.update(made.policy.id, content=OPERATORS_OWN)
        made.wait(16)
        assert "severance.lost" in types(grant)
        assert not made.works(session)
        assert statements(made)


@pytest.mark.proof
def test_a_policy_that_does_not_bind_the_account_proves_nothing(as_role: AsRole) -> None:
    with scene(as_role) as made:
        made.play.world.control_policies.detach(made.policy.id, made.play.world.state.organization.root_id)
        made.grant()
        drained = made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
        made.wait(12)
        assert Severance.objects.get().confirmed_at is None
        assert drained.out_of_aws_at is not None
        assert made.play.grant().last_possible_use_at == drained.out_of_aws_at + 2 * HOUR
        assert made.account.id in SeveringPlace.objects.get().problem


@pytest.mark.proof
def test_without_room_the_oldest_is_refused_loudly(as_role: AsRole) -> None:
    with scene(as_role) as made, override_settings(SEVERING_POLICY_SIZE=200):
        grant = made.grant()
        drained = made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
        made.wait(12)
        assert types(grant) == ["severance.wanted", "severance.refused"]
        assert "no room" in SeveringPlace.objects.get().problem
        assert drained.out_of_aws_at is not None
        assert made.play.grant().last_possible_use_at == drained.out_of_aws_at + 2 * HOUR


@pytest.mark.proof
def test_however_many_end_none_is_left_out(as_role: AsRole) -> None:
    with (
        scene(as_role) as made,
        patch.object(planning, "GRANTS_AT_ONCE", 1),
        patch.object(planning, "ROWS_AT_ONCE", 1),
    ):
        made.grant()
        made.play.play_to(GrantStatus.DEPROVISIONING)
        crowded = crowd(made.play, 2, groups=1)
        rule = make.rule(made.play.boss, groups=tuple(here for here, _ in crowded.groups))
        for person, group in crowded.members:
            assignment = group.account_assignments.get()
            PermissionSet.objects.filter(pk=assignment.permission_set_id).update(name="EC2AdminAccess_Other")
            with as_role("portal_web"):
                item = make.pending_item(person, group, rule)
            bring(make.scheduled_grant(item), GrantStatus.DEPROVISIONING)
        with as_role("portal_severer"):
            planning.plan()
        assert Severance.objects.filter(lifted_at=None).count() == 3


@pytest.mark.proof
def test_switched_off_nothing_is_denied_anew_and_what_is_denied_stays_until_it_is_over(
    as_role: AsRole,
) -> None:
    with scene(as_role) as made:
        made.grant()
        made.play.play_to(GrantStatus.ENDED)
        with override_settings(SESSION_SEVERING="off"):
            made.wait(10)
            assert statements(made), "the page says that it is over"
            made.wait(170)
            assert statements(made) == []
            made.grant()
            made.play.play_to(GrantStatus.DRAINING)
            assert Severance.objects.count() == 1


@pytest.mark.proof
def test_where_no_place_is_prepared_nothing_is_denied(as_role: AsRole) -> None:
    with scene(as_role, SESSION_SEVERING_PLACES="SomethingElse=inline") as made:
        made.grant()
        made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
        assert not Severance.objects.exists()
        assert made.policy.content == OPERATORS_OWN


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["lose_answer", *RARER])
def test_whatever_the_cloud_does_it_is_denied_in_the_end(as_role: AsRole, kind: str) -> None:
    with scene(as_role) as made:
        made.play.world.faults.add("aws.organizations.UpdatePolicy", kind)
        made.grant()
        made.wait(45)
        session = made.open()
        made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
        assert not made.works(session)
        assert Severance.objects.get().confirmed_at is not None


def test_the_severer_moves_no_grant_and_the_worker_writes_no_denial(as_role: AsRole) -> None:
    with scene(as_role) as made:
        grant = made.grant()
        denied = pytest.raises(DatabaseError, match="permission denied")
        with as_role("portal_severer"), denied, transaction():
            Grant.objects.filter(pk=grant.pk).update(problem="mine")
        with as_role("portal_worker"), denied, transaction():
            SeveringPlace.objects.create(key="scp:p-0123456789")


@pytest.mark.proof
def test_the_denial_of_what_never_arrived_is_lifted_too(as_role: AsRole) -> None:
    with scene(as_role) as made:
        made.play.world.faults.add("graph.POST provisionOnDemand", "error", count=None)
        made.play.decide(made.play.ask(duration=timedelta(minutes=10)))
        made.play.play_to(GrantStatus.PROVISIONING)
        grant = made.play.play_to(GrantStatus.NEVER_ARRIVED)
        assert grant.ended_at is not None
        assert Severance.objects.get().lifted_at is None
        made.wait(3 * 60)
        assert Severance.objects.get().lifted_at is not None
        assert statements(made) == []
