"""The life cycle and the catalogue with both answers to what isn't documented of Entra."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import override_settings

from catalog.models import Eligibility, SyncRun
from catalog.sync.directory import join_store_users
from catalog.sync.engine import Outcome, run_part
from clients.registry import clients, using
from identity.models import Person
from requests_app.models import Attempt
from simulator.sample.builder import Builder, empty_world
from simulator.world.clock import WorldClock
from simulator.world.pim import Ask, Caller
from simulator.world.state import Expiration, Identity
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import BEGINNING, Stage, check_invariants, stage
from tests.support.world_clients import world_clients

# Each with both answers: most are of no moment to the rest, and all are in the proof tier.
pytestmark = pytest.mark.proof

POST = "graph.POST assignmentScheduleRequests"


@pytest.fixture
def play(db: None, as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


@pytest.fixture
def slow_play(db: None, as_role: AsRole) -> Iterator[Stage]:
    """Without provisioning on demand: what arrives was carried by a cycle or by the fast path."""
    with stage(as_role, on_demand=False) as made:
        yield made


@pytest.mark.parametrize("echoed", [True, False])
def test_our_tag_settles_a_lost_answer(play: Stage, echoed: bool) -> None:
    play.world.switches.echo_ticket_info = echoed
    play.world.faults.add(POST, "lose_answer")
    item = play.ask()
    play.decide(item)
    play.play_out()
    check_invariants(play, item)


@pytest.mark.parametrize("blocks", [True, False])
def test_a_rule_of_second_factors_for_administrators(play: Stage, blocks: bool) -> None:
    play.world.switches.admin_mfa_rule_blocks_app = blocks
    play.world.policies.change(
        play.world_group.id, assignment_rules=["MultiFactorAuthentication", "Justification"]
    )
    item = play.ask()
    play.decide(item)
    grant = play.play_out()
    if blocks:
        assert grant.status == "not_granted"
        assert "MfaRule" in grant.problem or "multi-factor" in grant.problem
        assert play.assignments_made() == 0
        assert play.calls.count(POST) == 0, "refused, and not asked again"
    else:
        check_invariants(play, item)


@pytest.mark.parametrize("may", [True, False])
def test_groups_that_can_hold_roles_are_left_alone(play: Stage, may: bool) -> None:
    play.world.switches.app_may_assign_role_assignable = may
    play.decide(play.ask())
    play.world_group.is_assignable_to_role = True
    grant = play.play_out()
    assert grant.status == "not_granted"
    assert "directory role" in grant.problem
    assert play.calls.count(POST) == 0


@pytest.mark.parametrize(
    "code", ["PendingRoleAssignmentRequest", "RoleAssignmentExists", "InvalidRoleAssignmentRequest"]
)
def test_the_person_has_asked_pim_themselves(play: Stage, code: str) -> None:
    """An activation of theirs waits for an approver in PIM: ours is refused, and nothing is held in the end."""
    play.world.switches.pending_request_code = code
    play.world.policies.change(
        play.world_group.id, approval_required=True, approver_users=[str(play.boss.object_id)]
    )
    person = str(play.asker.object_id)
    asked = Ask(
        "selfActivate",
        play.world_group.id,
        person,
        expiration=Expiration("afterDuration", duration="PT1H"),
        justification="My own way",
    )
    play.world.pim.request_assignment(asked, Caller(Identity("portal", None, person), person, mfa=True))
    # PIM's approval is switched off, else the portal wouldn't begin; the request goes on waiting.
    play.world.policies.change(play.world_group.id, approval_required=False)
    play.decide(play.ask())
    grant = play.play_out()
    assert grant.status == "not_granted"
    assert grant.problem.endswith(".")
    assert play.assignments_made() == 0
    assert not play.in_entra()


@pytest.mark.parametrize("inherited", [True, False])
def test_eligible_through_a_group(play: Stage, inherited: bool) -> None:
    play.world.switches.eligibility_lists_inherited = inherited
    build = Builder(play.world)
    team = build.group("Team of admins")
    build.member(team, play.world.directory.user(str(play.boss.object_id)))
    build.eligible(play.world_group, team)
    Eligibility.objects.all().delete()
    assert run_part(SyncRun.Part.ELIGIBILITIES, accept_shrinking=True) is Outcome.DONE
    rows = Eligibility.objects.filter(group=play.group).values_list(
        "person__display_name", "through__display_name"
    )
    assert sorted(rows) == [("Ada Asker", None), ("Ben Boss", "Team of admins")]


@pytest.mark.parametrize("fast", [True, False])
def test_provisioning_may_carry_assignments_at_once(slow_play: Stage, fast: bool) -> None:
    slow_play.world.switches.admin_assign_fast_path = fast
    # Just after a cycle, so that the next one is forty minutes away.
    slow_play.world.provisioning.run_cycle()
    item = slow_play.ask()
    slow_play.decide(item)
    grant = slow_play.play_to("active")
    assert grant.arrived_at is not None
    assert grant.assigned_at is not None
    waited = grant.arrived_at - grant.assigned_at
    assert (waited <= timedelta(minutes=21)) is fast, waited
    slow_play.play_out()
    check_invariants(slow_play, item)


@pytest.mark.parametrize("fast", [True, False])
def test_provisioning_may_carry_removals_at_once(play: Stage, fast: bool) -> None:
    play.world.switches.removal_fast_path = fast
    item = play.ask()
    play.decide(item)
    play.finish_early(play.play_to("active"))
    grant = play.play_to("draining")
    assert grant.out_of_aws_at is not None
    assert grant.out_of_entra_at is not None
    assert (grant.out_of_aws_at - grant.out_of_entra_at <= timedelta(minutes=21)) is fast
    play.play_out()
    check_invariants(play, item)


@pytest.mark.parametrize("removes", [True, False])
def test_provisioning_on_demand_may_remove(play: Stage, removes: bool) -> None:
    play.world.switches.on_demand_removes = removes
    item = play.ask()
    play.decide(item)
    play.finish_early(play.play_to("active"))
    play.play_out()
    check_invariants(play, item)


@pytest.mark.parametrize("shared", [True, False])
def test_provisioning_on_demand_may_be_used_up_by_others(play: Stage, shared: bool) -> None:
    play.world.switches.on_demand_shares_bucket = shared
    item = play.ask()
    play.decide(item)
    # Five others activate for themselves in this very second.
    play.world.state.job.bucket = [play.world.now()] * 5
    grant = play.play_to("active")
    refused = Attempt.objects.filter(grant=grant, kind=Attempt.Kind.ON_DEMAND, outcome=Attempt.Outcome.RETRY)
    assert refused.exists() is shared
    play.play_out()
    check_invariants(play, item)


@pytest.mark.parametrize("skipped", [True, False])
def test_given_back_and_asked_for_again_before_the_cycle(play: Stage, skipped: bool) -> None:
    play.world.switches.skip_readd_before_cycle = skipped
    play.decide(play.ask())
    play.play_to("active")
    play.step(timedelta(minutes=6))
    play.finish_early(play.grant())
    first = play.play_to("deprovisioning")
    play.decide(play.ask())
    play.play(lambda: play.grant().pk != first.pk and play.grant().status == "active")
    assert play.in_entra()
    assert play.in_aws(), "what the portal calls active was seen in AWS"
    assert play.play_out().status == "ended"
    assert not play.in_entra()
    assert not play.in_aws()
    first.refresh_from_db()
    assert first.status == "ended"


@pytest.mark.parametrize("interval", ["PT10M", "PT2H"])
def test_cycles_may_come_more_or_less_often(slow_play: Stage, interval: str) -> None:
    slow_play.world.switches.job_interval = interval
    item = slow_play.ask(duration=timedelta(hours=4))
    slow_play.decide(item)
    slow_play.play_to("active")
    slow_play.play_out()
    check_invariants(slow_play, item)


@pytest.mark.parametrize("source", ["objectId", "mailNickname"])
def test_people_are_found_in_the_identity_store(db: None, source: str) -> None:
    build = Builder(empty_world(WorldClock.stepping(BEGINNING), seed=f"store {source}"))
    build.world.switches.user_external_id = source
    user = build.user("ada@acme.example", "Ada Asker", given_name="Ada", surname="Asker")
    build.member(build.group("AWS - All employees", assigned=True), user)
    build.provision()
    person = make.person(
        "Ada Asker", object_id=user.id, user_principal_name="ada@acme.example", store_user_id=""
    )
    with using(world_clients(build.world)[0]), override_settings(ENTRA_TENANT_ID=person.tenant_id):
        join_store_users(clients().identity_center.users().value)
    (stored,) = build.world.identity_store.users()
    assert (stored.external_id == user.id) is (source == "objectId")
    assert Person.objects.get(pk=person.pk).store_user_id == stored.id
