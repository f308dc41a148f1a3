"""CloudTrail: what sessions and sign-ins leave behind, and the limits of looking it up."""

import json
from datetime import timedelta
from typing import Any

import pytest

from simulator.aws.roles import WORKER, Role
from simulator.aws.throttles import Throttles
from simulator.world.aws_state import RoleSession
from simulator.world.trail import is_read
from tests.simulator.aws.running import ACCESS_KEY, serving
from tests.simulator.aws.test_behaviour import MEMBER_KEY, Ticking, code_of
from tests.simulator.world.factory import Small, small_world

TARGET = {
    MEMBER_KEY: Role("Activity", ("cloudtrail:LookupEvents",), "222233334444"),
    ACCESS_KEY: Role("Admin"),
}


def carried() -> Small:
    small = small_world()
    small.world.switches.trail_delay_seconds = 0.0
    small.permission_set.session_duration = "PT12H"
    small.assign(small.ada, duration="PT8H")
    small.step(minutes=41)
    return small


def opened(small: Small) -> RoleSession:
    portal = small.world.access_portal
    session_id = portal.sign_in(small.ada.id).id
    return portal.open_session(
        small.ada.id, small.account.id, small.permission_set.name, portal_session_id=session_id
    )


def records(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(each["CloudTrailEvent"]) for each in answer["Events"]]


@pytest.mark.parametrize("on_behalf", [True, False])
def test_what_a_role_session_leaves_in_its_account(on_behalf: bool) -> None:
    small = carried()
    small.world.switches.sessions_carry_on_behalf_of = on_behalf
    session = opened(small)
    began = small.world.now()
    small.step(minutes=2)
    bucket = "arn:aws:s3:::reports"
    small.world.access_portal.act(session.id, "s3:GetBucketPolicy", resource=bucket)
    small.step(minutes=1)
    small.world.access_portal.act(session.id, "ec2:StopInstances")
    with serving(small.world, roles=TARGET) as aws:
        trail = aws.client("cloudtrail", access_key=MEMBER_KEY)
        events = trail.lookup_events()["Events"]
        assert [each["EventName"] for each in events] == ["StopInstances", "GetBucketPolicy"]
        assert [each["ReadOnly"] for each in events] == ["false", "true"]
        assert events[1]["Resources"] == [{"ResourceType": "AWS::S3::Reports", "ResourceName": bucket}]
        assert {each["Username"] for each in events} == {"ada@acme.example"}
        assert (
            aws.client("cloudtrail", region="us-east-2", access_key=MEMBER_KEY).lookup_events()["Events"]
            == []
        )
    record = json.loads(events[0]["CloudTrailEvent"])
    identity = record["userIdentity"]
    role = small.world.identity_center.role_name(small.account.id, small.permission_set)
    assert identity["type"] == "AssumedRole"
    assert identity["principalId"].split(":") == [
        small.world.access_portal.role_id(session),
        "ada@acme.example",
    ]
    assert identity["arn"] == f"arn:aws:sts::{small.account.id}:assumed-role/{role}/ada@acme.example"
    assert identity["accessKeyId"] == session.access_key_id
    issuer = identity["sessionContext"]["sessionIssuer"]
    assert issuer["userName"] == role
    assert issuer["arn"] == small.world.identity_center.role_arn(small.account.id, small.permission_set)
    assert identity["sessionContext"]["attributes"]["creationDate"] == f"{began:%Y-%m-%dT%H:%M:%SZ}"
    assert (record["eventSource"], record["recipientAccountId"]) == ("ec2.amazonaws.com", small.account.id)
    user_id = small.user_id_in_store(small.ada)
    behalf = {"userId": user_id, "identityStoreArn": small.world.identity_center.store_arn()}
    assert identity.get("onBehalfOf") == (behalf if on_behalf else None)


@pytest.mark.parametrize("kind", ["IdentityCenterUser", "Unknown"])
def test_identity_centers_own_events_are_in_its_account_and_name_nobody(kind: str) -> None:
    small = carried()
    small.world.switches.sign_in_identity_type = kind
    opened(small)
    with serving(small.world) as aws:
        federate, authenticate = records(aws.client("cloudtrail").lookup_events())
    for record in (federate, authenticate):
        identity = record["userIdentity"]
        assert identity["type"] == kind
        assert identity["onBehalfOf"]["userId"] == small.user_id_in_store(small.ada)
        assert not {"userName", "principalId"} & set(identity)
        assert record["eventSource"] == "sso.amazonaws.com"
    assert (authenticate["eventName"], federate["eventName"]) == ("Authenticate", "Federate")
    assert authenticate["additionalEventData"]["UserName"] == "ada@acme.example"
    assert "ada@acme.example" not in json.dumps(federate)
    assert federate["serviceEventDetails"] == {"account_id": small.account.id, "role_name": "EC2AdminAccess"}


def test_a_denied_call_is_kept_with_its_refusal() -> None:
    small = carried()
    session = opened(small)
    small.world.switches.policy_effect_seconds = 0.0
    deny = '{"Statement": [{"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]}'
    policy = small.world.control_policies.create("Cut", "", deny)
    small.world.control_policies.attach(policy.id, small.account.id)
    small.world.advance()
    assert not small.world.access_portal.act(session.id, "ec2:StopInstances").allowed
    with serving(small.world, roles=TARGET) as aws:
        (record,) = records(aws.client("cloudtrail", access_key=MEMBER_KEY).lookup_events())
    assert record["errorCode"] == "AccessDenied"
    small.step(hours=12)
    assert small.world.access_portal.act(session.id, "ec2:StopInstances").refusal == "The session is over."
    assert len(small.world.trail.visible(small.account.id, "eu-west-1")) == 1


@pytest.mark.parametrize("by_session", [True, False])
def test_one_attribute_at_a_time(by_session: bool) -> None:
    small = carried()
    small.world.switches.trail_username_is_session_name = by_session
    session = opened(small)
    for action in ("ec2:StopInstances", "s3:ListBuckets", "ec2:StopInstances"):
        small.world.access_portal.act(session.id, action)
        small.step(seconds=1)
    role = small.world.identity_center.role_name(small.account.id, small.permission_set)
    with serving(small.world, roles=TARGET) as aws:
        trail = aws.client("cloudtrail", access_key=MEMBER_KEY)

        def found(key: str, value: str) -> int:
            asked = [{"AttributeKey": key, "AttributeValue": value}]
            return len(trail.lookup_events(LookupAttributes=asked)["Events"])

        assert found("EventName", "StopInstances") == 2
        assert found("EventSource", "s3.amazonaws.com") == 1
        assert found("ReadOnly", "true") == 1
        assert found("AccessKeyId", session.access_key_id) == 3
        assert found("Username", "ada@acme.example") == (3 if by_session else 0)
        assert found("Username", role) == (0 if by_session else 3)
        assert found("EventName", "stopinstances") == 0
        two = [{"AttributeKey": "EventName", "AttributeValue": each} for each in "ab"]
        assert code_of(trail.lookup_events, LookupAttributes=two) == "InvalidLookupAttributesException"
        assert code_of(trail.lookup_events, MaxResults=51) == "InvalidMaxResultsException"
        assert code_of(trail.lookup_events, NextToken="x") == "InvalidNextTokenException"
        times = {"StartTime": small.world.now(), "EndTime": small.world.now() - timedelta(hours=1)}
        assert code_of(trail.lookup_events, **times) == "InvalidTimeRangeException"


def test_fifty_a_page_ninety_days_and_a_delay() -> None:
    small = carried()
    session = opened(small)
    for _ in range(120):
        small.world.access_portal.act(session.id, "ec2:StopInstances")
        small.step(seconds=1)
    with serving(small.world, roles=TARGET) as aws:
        trail = aws.client("cloudtrail", access_key=MEMBER_KEY)
        pages = list(trail.get_paginator("lookup_events").paginate())
        assert [len(page["Events"]) for page in pages] == [50, 50, 20]
        assert len({event["EventId"] for page in pages for event in page["Events"]}) == 120
        token = pages[0]["NextToken"]
        other = [{"AttributeKey": "ReadOnly", "AttributeValue": "false"}]
        code = code_of(trail.lookup_events, NextToken=token, LookupAttributes=other)
        assert code == "InvalidNextTokenException", "a token belongs to its question"
        half = small.world.now() - timedelta(seconds=60)
        rows = trail.get_paginator("lookup_events").paginate(StartTime=half)
        assert sum(len(page["Events"]) for page in rows) == 60
        small.world.switches.trail_delay_seconds = 110.0
        assert len(trail.lookup_events()["Events"]) == 11
        small.step(minutes=5)
        assert len(trail.lookup_events()["Events"]) == 50
        small.step(days=90)
        assert trail.lookup_events()["Events"] == []


def test_two_a_second_for_each_account_and_region() -> None:
    ticking, small = Ticking(), carried()
    with serving(small.world, throttles=Throttles(clock=ticking), roles=TARGET) as aws:
        here = aws.client("cloudtrail", access_key=MEMBER_KEY).lookup_events
        for _ in range(2):
            here()
        assert code_of(here) == "ThrottlingException"
        aws.client("cloudtrail", access_key=MEMBER_KEY, region="us-east-2").lookup_events()
        aws.client("cloudtrail").lookup_events()
        ticking.now += 0.5
        here()


def test_a_member_accounts_role_is_assumed_for_a_while() -> None:
    small = carried()
    small.world.access_portal.act(opened(small).id, "ec2:StopInstances")
    with serving(small.world) as aws:
        sts = aws.client("sts")
        arn = f"arn:aws:iam::{small.account.id}:role/AccessPortalActivity"
        arguments = {"RoleSessionName": "portal", "DurationSeconds": 900}
        given = sts.assume_role(RoleArn=arn, **arguments)
        key = given["Credentials"]["AccessKeyId"]
        assert given["AssumedRoleUser"]["Arn"].endswith(":assumed-role/AccessPortalActivity/portal")
        trail = aws.client("cloudtrail", access_key=key)
        assert [each["EventName"] for each in trail.lookup_events()["Events"]] == ["StopInstances"]
        assert aws.client("sts", access_key=key).get_caller_identity()["Account"] == small.account.id
        instances = aws.client("sso-admin", access_key=key).list_instances
        assert code_of(instances) == "AccessDeniedException"
        other = arn.replace("Activity", "Anything")
        assert code_of(sts.assume_role, RoleArn=other, **arguments) == "AccessDenied"
        stranger = arn.replace(small.account.id, "999999999999")
        assert code_of(sts.assume_role, RoleArn=stranger, **arguments) == "AccessDenied"
        small.step(minutes=15)
        assert code_of(trail.lookup_events) == "ExpiredTokenException"


def test_names_of_reading_operations() -> None:
    assert is_read("GetObject")
    assert is_read("DescribeInstances")
    assert not is_read("StopInstances")
    assert not is_read("DeleteUser")
    assert not is_read("Authenticate")


def test_the_worker_looks_events_up_with_the_accounts_role_alone(small: Small) -> None:
    with serving(small.world, roles={ACCESS_KEY: WORKER}) as running:
        assert code_of(running.client("cloudtrail").lookup_events) == "AccessDeniedException"
        arn = f"arn:aws:iam::{small.account.id}:role/AccessPortalActivity"
        assume = running.client("sts").assume_role
        key = assume(RoleArn=arn, RoleSessionName="portal")["Credentials"]["AccessKeyId"]
        assert running.client("cloudtrail", access_key=key).lookup_events()["Events"] == []
        other = arn.replace("AccessPortalActivity", "Administrator")
        assert code_of(assume, RoleArn=other, RoleSessionName="portal") == "AccessDenied"


def test_a_fault_of_one_account_and_region(small: Small) -> None:
    small.world.faults.add(
        "aws.cloudtrail.LookupEvents@*/eu-west-1", "error", status=400, code="Here", count=None
    )
    small.world.faults.add(
        f"aws.sts.AssumeRole@{small.account.id}", "error", status=400, code="There", count=None
    )
    with serving(small.world) as running:
        assert code_of(running.client("cloudtrail").lookup_events) == "Here"
        assert running.client("cloudtrail", region="us-east-1").lookup_events()["Events"] == []
        arn = f"arn:aws:iam::{small.account.id}:role/AccessPortalActivity"
        assume = running.client("sts").assume_role
        assert code_of(assume, RoleArn=arn, RoleSessionName="portal") == "There"
        owner = arn.replace(small.account.id, small.world.state.organization.management_account_id)
        assert assume(RoleArn=owner, RoleSessionName="portal")["Credentials"]
