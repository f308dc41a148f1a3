"""Portal sign-ins and role sessions: what they show, how long they last, and what cuts them."""

import json
from datetime import timedelta
from typing import Any

import pytest

from simulator.sample.builder import Builder, empty_world
from simulator.world.aws_state import RoleSession
from simulator.world.clock import WorldClock
from simulator.world.errors import WorldError
from simulator.world.provisioning import Subject
from tests.simulator.world.factory import START, Small, small_world

EVERYTHING: dict[str, Any] = {"Effect": "Deny", "Action": "*", "Resource": "*"}


def document(**condition: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING | {"Condition": condition}]})


def carried(*, duration: str = "PT1H") -> Small:
    """Ada's membership is in AWS, and nothing takes time to act unless a test says so."""
    small = small_world()
    small.world.switches.policy_effect_seconds = 0.0
    small.permission_set.session_duration = duration
    small.assign(small.ada, duration="PT1H")
    small.world.provisioning.on_demand([Subject(small.group.id, "Group", (small.ada.id,))])
    return small


def open_one(small: Small, **more: str) -> RoleSession:
    return small.world.access_portal.open_session(
        small.ada.id, small.account.id, small.permission_set.name, **more
    )


def may(small: Small, session: RoleSession) -> bool:
    small.world.advance()
    return small.world.access_portal.may_act(session.id).allowed


def cut_by_policy(small: Small, content: str, target: str = "") -> str:
    policies = small.world.control_policies
    policy = policies.create("Cut", "", content)
    policies.attach(policy.id, target or small.world.state.organization.root_id)
    return policy.id


# ---------------------------------------------------------------- portal sessions


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
def test_an_open_portal_shows_what_came_after_the_sign_in_later(seconds: float) -> None:
    small = small_world()
    small.world.switches.portal_shows_new_after_seconds = seconds
    portal = small.world.access_portal
    signed_in = portal.sign_in(small.ada.id)
    small.step(minutes=1)
    small.assign(small.ada, duration="PT8H")
    small.world.provisioning.on_demand([Subject(small.group.id, "Group", (small.ada.id,))])
    assert len(portal.shown(signed_in.id)) == (0 if seconds else 1)
    assert len(portal.shown(portal.sign_in(small.ada.id).id)) == 1
    if seconds:
        with pytest.raises(WorldError):
            open_one(small, portal_session_id=signed_in.id)
    small.step(hours=1)
    assert len(portal.shown(signed_in.id)) == 1
    open_one(small, portal_session_id=signed_in.id)


def test_a_portal_session_ends_by_itself_by_disabling_and_in_the_console() -> None:
    small = carried(duration="PT12H")
    portal = small.world.access_portal
    first = portal.sign_in(small.ada.id)
    assert first.ends_at == START + timedelta(hours=8)
    role = open_one(small, portal_session_id=first.id)
    small.world.happen("portal_sessions_ended", person=small.ada.id)
    assert portal.portal_session(first.id) is None
    assert portal.shown(first.id) == []
    assert may(small, role), "ending the portal session doesn't end role sessions"
    second = portal.sign_in(small.ada.id)
    small.step(hours=7, minutes=59)
    assert portal.portal_session(second.id) is not None
    small.step(minutes=1)
    assert portal.portal_session(second.id) is None
    third = portal.sign_in(small.ada.id)
    small.world.happen("person_disabled", person=small.ada.id)
    small.step(minutes=41)
    assert portal.portal_session(third.id) is None
    with pytest.raises(WorldError) as caught:
        portal.sign_in(small.ada.id)
    assert caught.value.status == 403
    assert may(small, role), "nor does disabling the person"
    small.step(hours=4)
    assert not may(small, role)


# ---------------------------------------------------------------- role sessions


@pytest.mark.parametrize(("duration", "hours"), [("PT1H", 1), ("PT4H", 4), ("PT12H", 12)])
def test_a_role_session_lasts_as_long_as_its_set_says(duration: str, hours: int) -> None:
    small = carried(duration=duration)
    session = open_one(small)
    small.remove_behind_back()
    small.step(hours=hours, seconds=-1)
    assert may(small, session)
    small.step(seconds=1)
    assert small.world.access_portal.may_act(session.id).refusal == "The session is over."


def test_a_control_policy_cuts_the_named_persons_sessions_that_began_before() -> None:
    small = carried(duration="PT12H")
    old = open_one(small)
    small.step(minutes=10)
    moment = small.world.now().isoformat()
    policy = cut_by_policy(
        small,
        document(
            StringEquals={"identitystore:userId": small.user_id_in_store(small.ada)},
            DateLessThan={"aws:TokenIssueTime": moment},
        ),
    )
    assert not may(small, old)
    assert small.world.access_portal.may_act(old.id).denied_by == "Cut"
    new = open_one(small)
    assert may(small, new), "a session that begins later works"
    small.world.control_policies.detach(policy, small.world.state.organization.root_id)
    assert may(small, old)


def test_a_control_policy_binds_what_it_is_attached_to_and_never_the_management_account() -> None:
    world = empty_world(WorldClock.stepping(START), seed="levels")
    world.switches.policy_effect_seconds = 0.0
    builder = Builder(world)
    ada = builder.user("ada@acme.example", "Ada Moore", given_name="Ada", surname="Moore")
    group = builder.group("AWS - Admins", assigned=True)
    builder.member(group, ada)
    unit = builder.unit("Workloads")
    below = builder.account("Below", unit.id)
    beside = builder.account("Beside")
    management = world.state.organization.accounts[world.state.organization.management_account_id]
    permission_set = builder.permission_set("Admin", session_duration="PT12H")
    builder.provision()
    for account in (below, beside, management):
        builder.assign(group, permission_set, account)
    opened = {
        each.id: world.access_portal.open_session(ada.id, each.id, "Admin")
        for each in (below, beside, management)
    }

    def acting() -> set[str]:
        world.advance()
        return {key for key, each in opened.items() if world.access_portal.may_act(each.id).allowed}

    policies = world.control_policies
    policy = policies.create("Cut", "", document())
    assert acting() == {below.id, beside.id, management.id}
    for target, bound in (
        (below.id, {below.id}),
        (unit.id, {below.id}),
        (world.state.organization.root_id, {below.id, beside.id}),
        (management.id, set()),
    ):
        policies.attach(policy.id, target)
        assert acting() == set(opened) - bound, target
        policies.detach(policy.id, target)
        assert acting() == set(opened)


def test_an_inline_policy_cuts_only_where_it_was_provisioned() -> None:
    small = carried(duration="PT12H")
    other = small.builder.account("Other", account_id="333344445555")
    small.builder.assign(small.group, small.permission_set, other)
    here = open_one(small)
    there = small.world.access_portal.open_session(small.ada.id, other.id, small.permission_set.name)
    center = small.world.identity_center
    small.permission_set.inline_policy = document(
        **{"ForAnyValue:StringEquals": {"identitystore:userId": [small.user_id_in_store(small.ada)]}}
    )
    center.changed(small.permission_set)
    small.step(minutes=30)
    assert may(small, here), "roles keep the old policy until the set is provisioned"
    center.provision(small.permission_set.arn, small.account.id)
    small.step(seconds=4)
    assert may(small, here), "provisioning takes a while"
    small.step(seconds=1)
    assert not may(small, here)
    assert small.world.access_portal.may_act(here.id).denied_by == small.permission_set.name
    assert may(small, there)
    center.provision(small.permission_set.arn)
    small.step(seconds=5)
    assert not may(small, there)
    small.permission_set.inline_policy = ""
    center.changed(small.permission_set)
    center.provision(small.permission_set.arn)
    small.step(seconds=5)
    assert may(small, here)


def test_what_is_provisioned_is_what_the_set_was_when_it_was_asked_for() -> None:
    small = carried(duration="PT12H")
    session = open_one(small)
    center = small.world.identity_center
    center.provision(small.permission_set.arn)
    small.permission_set.inline_policy = document()
    center.changed(small.permission_set)
    small.step(minutes=5)
    assert may(small, session)
    assert small.permission_set.provisioned[small.account.id] == small.permission_set.revision - 1


def test_the_principals_arn_is_the_roles() -> None:
    small = carried(duration="PT12H")
    session = open_one(small)
    arn = small.world.identity_center.role_arn(small.account.id, small.permission_set)
    assert arn.startswith(
        f"arn:aws:iam::{small.account.id}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_EC2AdminAccess_"
    )
    pattern = (
        f"arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_{small.permission_set.name}_*"
    )
    policy = cut_by_policy(small, document(ArnLike={"aws:PrincipalArn": pattern}))
    assert not may(small, session)
    small.world.control_policies.update(policy, content=document(ArnEquals={"aws:PrincipalArn": arn}))
    assert not may(small, session)
    elsewhere = arn.replace("EC2AdminAccess", "Other")
    small.world.control_policies.update(policy, content=document(ArnEquals={"aws:PrincipalArn": elsewhere}))
    assert may(small, session)


def test_in_us_east_1_the_role_has_no_region_in_its_path() -> None:
    small = small_world()
    small.world.state.identity_center.region = "us-east-1"
    arn = small.world.identity_center.role_arn(small.account.id, small.permission_set)
    assert ":role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_EC2AdminAccess_" in arn


@pytest.mark.parametrize("seconds", [0.0, 120.0])
def test_policies_take_a_while_to_act(seconds: float) -> None:
    small = carried(duration="PT12H")
    small.world.switches.policy_effect_seconds = seconds
    session = open_one(small)
    root = small.world.state.organization.root_id
    policy = cut_by_policy(small, document())
    assert may(small, session) is bool(seconds)
    small.step(seconds=seconds)
    assert not may(small, session)
    small.world.control_policies.detach(policy, root)
    small.world.control_policies.delete(policy)
    assert may(small, session) is not bool(seconds), "a deleted policy acts until its end has arrived"
    small.step(seconds=seconds)
    assert may(small, session)
    assert small.world.state.organization.deleted_policies == {}
    small.permission_set.inline_policy = document()
    small.world.identity_center.changed(small.permission_set)
    small.world.identity_center.provision(small.permission_set.arn)
    small.step(seconds=5)
    assert may(small, session) is bool(seconds)
    small.step(seconds=seconds)
    assert not may(small, session)


def test_sessions_and_policies_are_kept_with_the_world(tmp_path: Any) -> None:
    small = carried(duration="PT12H")
    session = open_one(small)
    signed_in = small.world.access_portal.sign_in(small.ada.id)
    cut_by_policy(small, document())
    small.world.advance()
    small.world.save(tmp_path / "world.json")
    again = type(small.world).load(tmp_path / "world.json", small.world.clock)
    assert not again.access_portal.may_act(session.id).allowed
    assert again.access_portal.portal_session(signed_in.id) == signed_in


# ---------------------------------------------------------------- account access manager


def entitled() -> tuple[Small, RoleSession]:
    """Ada's membership opens a role that isn't a permission set's, and she has opened it."""
    small = carried()
    account = small.account.id
    small.world.happen("role_entitled", account=account, role="Investigator", group=small.group.id)
    return small, small.world.account_access.open_session(small.ada.id, account, "Investigator")


@pytest.mark.parametrize("ends", [True, False])
def test_whether_a_session_of_an_entitled_role_ends_with_the_membership_is_a_switch(ends: bool) -> None:
    small, session = entitled()
    small.world.switches.account_access_ends_with_membership = ends
    assert may(small, session)
    assert small.world.access_portal.visible(small.ada.id)[0].permission_set.name == "EC2AdminAccess"
    small.remove_behind_back()
    assert may(small, session) is not ends
    with pytest.raises(WorldError):
        small.world.account_access.open_session(small.ada.id, small.account.id, "Investigator")
    small.step(hours=1)
    assert not may(small, session), "its own end, in any case"


@pytest.mark.parametrize("keeps", [True, False])
def test_how_an_entitled_role_is_named_is_a_switch(keeps: bool) -> None:
    small, session = entitled()
    small.world.switches.account_access_keeps_role_name = keeps
    name, arn = small.world.access_portal.role(session)
    if keeps:
        assert arn == f"arn:aws:iam::{small.account.id}:role/Investigator"
    else:
        assert f":role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_{name[15:]}" in arn
        assert name.startswith("AWSReservedSSO_Investigator_")
    of_the_set = {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*/AWSReservedSSO_EC2AdminAccess_*"}}
    policy_id = cut_by_policy(small, document(**of_the_set))
    assert may(small, session), "what denies a permission set's sessions doesn't touch it"
    persons = document(StringEquals={"identitystore:userId": session.user_id})
    small.world.control_policies.update(policy_id, content=persons)
    assert not may(small, session)
    small.world.access_portal.act(session.id, "ec2:StopInstances")
    record = json.loads(small.world.state.organization.trail[-1].record)
    assert record["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == arn
    assert record["errorCode"] == "AccessDenied"
