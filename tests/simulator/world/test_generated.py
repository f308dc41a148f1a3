"""Worlds from a seed: the large one, and small ones for properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.sample import generate, named_world
from simulator.sample.named import SMALL
from simulator.world.clock import WorldClock
from simulator.world.errors import WorldError
from simulator.world.pim import Ask, Caller
from simulator.world.state import Expiration, Identity, User
from simulator.world.world import World

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
APPLICATION = Caller(Identity(application_name="Access Portal"))
# (what, which eligible pair, how many minutes pass afterwards)
plays = st.lists(
    st.tuples(
        st.sampled_from(("assign", "remove", "disable", "enable", "join", "leave", "wait")),
        st.integers(0, 10_000),
        st.integers(0, 130),
    ),
    max_size=12,
)


def test_the_large_world_has_its_size_and_can_be_used() -> None:
    world = named_world("large", WorldClock.stepping(START))
    state = world.state
    assert len(state.organization.accounts) == 1_000 + 1  # and the management account
    assert len(world.identity_center.permission_sets()) == 750
    assert len(state.managed_group_ids) == 500
    assert len(world.directory.users()) == 5_000
    assert len(world.identity_store.users()) == 5_000
    store_groups = [world.identity_store.find_group_by_external_id(each) for each in state.managed_group_ids]
    assert all(store_groups)
    assert len({row.principal_id for row in state.identity_center.assignments}) == 500

    group_id = state.managed_group_ids[-1]
    (first, *_) = world.pim.eligibility_instances(group_id=group_id)
    world.pim.request_assignment(_ask("adminAssign", group_id, first.principal_id), APPLICATION)
    world.step(timedelta(minutes=45))
    assert _carried(world, group_id) == {first.principal_id}


def test_a_world_is_named() -> None:
    clock = WorldClock.stepping(START)
    assert len(named_world("sample", clock).state.managed_group_ids) > 5
    assert len(named_world("generated:x", clock).state.managed_group_ids) == SMALL["groups"]
    for unknown in ("generated:", "huge", ""):
        with pytest.raises(ValueError, match="there is no world"):
            named_world(unknown, clock)


@settings(max_examples=20, deadline=None)
@given(seed=st.text(max_size=8), groups=st.integers(0, 4), people=st.integers(1, 6), played=plays)
def test_the_same_seed_and_plays_give_the_same_world(
    seed: str, groups: int, people: int, played: list[tuple[str, int, int]]
) -> None:
    assert _played(seed, groups, people, played).state == _played(seed, groups, people, played).state


@settings(max_examples=30, deadline=None)
@given(seed=st.text(max_size=8), groups=st.integers(1, 4), people=st.integers(1, 6), played=plays)
def test_two_cycles_after_the_last_change_aws_shows_what_entra_holds(
    seed: str, groups: int, people: int, played: list[tuple[str, int, int]]
) -> None:
    world = _played(seed, groups, people, played, skip_readd_before_cycle=False)
    world.step(timedelta(hours=1, minutes=1))  # the longest assignment of a play is over
    for _ in range(2):
        world.step(timedelta(minutes=41))

    for group_id in world.state.managed_group_ids:
        members = {each.id for each in world.directory.members(group_id) if isinstance(each, User)}
        assert {each.principal_id for each in world.pim.assignment_instances(group_id=group_id)} == members
        assert _carried(world, group_id) == members


def _played(
    seed: str, groups: int, people: int, played: list[tuple[str, int, int]], **switches: bool
) -> World:
    world = generate(
        WorldClock.stepping(START),
        seed=seed,
        accounts=3,
        permission_sets=2,
        groups=groups,
        people=people,
        eligible_per_group=2,
    )
    for name, value in switches.items():
        setattr(world.switches, name, value)
    for what, number, minutes in played:
        _play(world, what, number)
        world.step(timedelta(minutes=minutes))
    return world


def _play(world: World, what: str, number: int) -> None:
    pairs = world.pim.eligibility_instances()
    if not pairs:
        return
    pair = pairs[number % len(pairs)]
    try:
        if what == "assign":
            world.pim.request_assignment(_ask("adminAssign", pair.group_id, pair.principal_id), APPLICATION)
        elif what == "remove":
            world.pim.request_assignment(_ask("adminRemove", pair.group_id, pair.principal_id), APPLICATION)
        elif what in ("disable", "enable"):
            world.directory.set_enabled(pair.principal_id, enabled=what == "enable")
        elif what == "join":
            world.directory.add_member(pair.group_id, pair.principal_id)
        elif what == "leave":
            world.directory.remove_member(pair.group_id, pair.principal_id)
    except WorldError as refused:
        if refused.status not in (400, 404):
            raise


def _ask(action: str, group_id: str, principal_id: str) -> Ask:
    expiration = Expiration("afterDuration", "PT1H") if action == "adminAssign" else None
    return Ask(action, group_id, principal_id, expiration=expiration, justification="play")


def _carried(world: World, group_id: str) -> set[str]:
    """Who is a member in IAM Identity Center, by Entra object id."""
    group = world.identity_store.find_group_by_external_id(group_id)
    assert group is not None
    users = world.state.identity_center.users
    return {users[each].external_id or "" for each in group.members}
