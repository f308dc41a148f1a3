"""The sample organisation is whole, and generated worlds have the size asked for."""

from datetime import timedelta

import pytest

from simulator.sample import generate, load_sample, sample_approvers
from simulator.world.clock import WorldClock
from simulator.world.durations import parse_duration
from simulator.world.world import World
from tests.simulator.world.factory import START


@pytest.fixture(scope="module")
def sample() -> World:
    return load_sample(WorldClock.stepping(START))


def pim_groups(world: World) -> list[str]:
    return [group.id for group in world.directory.groups() if group.pim_onboarded]


def test_its_size(sample: World) -> None:
    assert len(sample.directory.users()) == 60
    assert len(sample.state.organization.accounts) == 40
    assert len(sample.identity_center.permission_sets()) == 25
    assert len(pim_groups(sample)) == 30
    assert len(sample.state.managed_group_ids) == 29


def test_the_group_and_permission_set_of_the_pattern(sample: World) -> None:
    group = sample.directory.find_group_by_name("AWS - Amazon EC2 Admin")
    assert group is not None
    assert group.description == "Amazon EC2 administrator permissions"
    assert sample.policies.policy(group.id).activation_maximum == "PT1H"
    found = sample.identity_center.find_permission_set("EC2AdminAccess")
    assert found is not None
    assert found.session_duration == "PT1H"
    assert list(found.managed_policies) == ["arn:aws:iam::aws:policy/AmazonEC2FullAccess"]
    store = sample.identity_store.find_group_by_external_id(group.id)
    assert store is not None
    assert store.members == {}
    assert sample.identity_center.assignments(principal_id=store.id, permission_set_arn=found.arn)


def test_everybody_but_two_is_in_identity_center(sample: World) -> None:
    missing = [
        user.display_name
        for user in sample.directory.users()
        if sample.identity_store.find_user_by_external_id(user.id) is None
    ]
    assert sorted(missing) == ["Peter Novak", "Suharto"]


def test_what_is_not_requestable_is_there(sample: World) -> None:
    policies = [sample.policies.policy(group_id) for group_id in pim_groups(sample)]
    assert any("MultiFactorAuthentication" in policy.activation_rules for policy in policies)
    assert any("Ticketing" in policy.activation_rules for policy in policies)
    assert any(policy.authentication_context for policy in policies)
    assert any(policy.approval_required for policy in policies)
    assert any("Justification" not in policy.activation_rules for policy in policies)
    assert any(group.is_assignable_to_role for group in sample.directory.groups())
    maxima = {parse_duration(policy.activation_maximum) for policy in policies}
    assert min(maxima) == timedelta(minutes=30)
    assert max(maxima) == timedelta(hours=24)


def test_eligibilities_of_every_kind(sample: World) -> None:
    rows = [
        row for group_id in pim_groups(sample) for row in sample.pim.eligibility_instances(group_id=group_id)
    ]
    assert any(sample.directory.find_group(row.principal_id) for row in rows)
    assert any(row.end is not None and row.end < START + timedelta(days=2) for row in rows)
    ended = [s for s in sample.state.schedules.values() if s.kind == "eligibility" and s.ended_at is not None]
    assert len(ended) == 1


def test_people_to_try(sample: World) -> None:
    featured = sorted((u for u in sample.directory.users() if u.featured), key=lambda u: u.featured_order)
    assert len(featured) == 6
    assert [role for user in featured for role in user.app_roles] == ["Operator", "Auditor", "Operator"]
    employee = featured[0]
    assert len(sample.pim.instances_of(employee.id, "eligibility")) >= 5
    assert any(user.user_type == "Guest" for user in sample.directory.users())
    assert sample.state.foreign_users


def test_every_pim_group_has_somebody_who_decides(sample: World) -> None:
    approvers = sample_approvers(sample)
    assert set(approvers) == set(pim_groups(sample))
    for group_id in set(approvers.values()):
        assert len(sample.directory.members(group_id)) >= 2


def test_ids_are_the_same_whenever_it_is_loaded(sample: World) -> None:
    again = load_sample(WorldClock.stepping(START + timedelta(days=400)))
    assert list(again.state.users) == list(sample.state.users)
    assert again.state.tenant_id == sample.state.tenant_id
    assert again.state.managed_group_ids == sample.state.managed_group_ids
    assert list(again.state.identity_center.permission_sets) == list(
        sample.state.identity_center.permission_sets
    )


def test_a_generated_world_has_the_size_asked_for_and_repeats_itself() -> None:
    size = {"accounts": 30, "permission_sets": 20, "groups": 15, "people": 80, "eligible_per_group": 5}
    world = generate(WorldClock.stepping(START), seed="a", **size)
    assert len(world.state.organization.accounts) == 31
    assert len(world.identity_center.permission_sets()) == 20
    assert len(pim_groups(world)) == 15
    assert len(world.identity_store.users()) == 80
    assert len(world.pim.eligibility_schedules()) == 75
    assert world.state == generate(WorldClock.stepping(START), seed="a", **size).state
    assert world.state != generate(WorldClock.stepping(START), seed="b", **size).state
