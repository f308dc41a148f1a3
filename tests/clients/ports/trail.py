"""Cases of ActivityTrail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from clients import errors
from clients.types import TrailQuestion
from tests.clients.ports.cloud import Cloud, case
from tests.simulator.world.factory import START


@case("ActivityTrail.look_up")
def events_are_looked_up_in_one_account_and_region(cloud: Cloud) -> None:
    small, portal = cloud.small, cloud.small.world.access_portal
    small.world.switches.trail_delay_seconds = 0.0
    small.permission_set.session_duration = "PT12H"
    cloud.carried()
    session = portal.open_session(small.ada.id, small.account.id, "EC2AdminAccess")
    for _ in range(52):
        portal.act(session.id, "ec2:StopInstances")
    now = small.world.now()
    here = TrailQuestion(small.account.id, "eu-west-1", START, now, "Username", "ada@acme.example")
    first = cloud.clients.trail.look_up(here)
    assert first.receipt.vendor_request_id
    rest = cloud.clients.trail.look_up(here, page=first.value.next_page).value
    assert (len(first.value.events), len(rest.events), rest.next_page) == (50, 2, "")
    assert len({each.event_id for each in (*first.value.events, *rest.events)}) == 52
    found = rest.events[0]
    assert (found.source, found.name, found.error_code) == ("ec2.amazonaws.com", "StopInstances", "")
    assert (found.account_id, found.identity_type) == (small.account.id, "AssumedRole")
    assert found.principal_id == f"{portal.role_id(session)}:ada@acme.example"
    assert found.role_arn == small.world.identity_center.role_arn(small.account.id, small.permission_set)
    assert (found.at, found.session_started_at, found.store_user_id) == (now, now, "")
    assert cloud.clients.trail.look_up(replace(here, value="ada")).value.events == ()
    assert cloud.clients.trail.look_up(replace(here, region="us-east-1")).value.events == ()
    assert cloud.clients.trail.look_up(replace(here, ends_at=now - timedelta(minutes=1))).value.events == ()
    with pytest.raises(errors.Refused):
        cloud.clients.trail.look_up(here, page="nothing")
    owner = cloud.clients.identity_center.instance().value.owner_account_id
    opened = TrailQuestion(owner, "eu-west-1", START, now, "EventName", "Federate")
    (federate,) = cloud.clients.trail.look_up(opened).value.events
    assert (federate.source, federate.store_user_id) == ("sso.amazonaws.com", cloud.store_ada)
    assert (federate.opened_account_id, federate.opened_permission_set) == (
        small.account.id,
        "EC2AdminAccess",
    )


@case("ActivityTrail.look_up")
def what_one_account_refuses_is_said_of_that_account(cloud: Cloud) -> None:
    small = cloud.small
    small.world.faults.add(
        f"aws.cloudtrail.LookupEvents@{small.account.id}/*", "error", status=403, code="AccessDeniedException"
    )
    question = TrailQuestion(small.account.id, "eu-west-1", START, small.world.now())
    with pytest.raises(errors.NotPermitted):
        cloud.clients.trail.look_up(question)
    assert cloud.clients.trail.look_up(question).value.events == ()
    small.world.faults.add("aws.cloudtrail.*", "throttle", retry_after=3, count=2)
    with pytest.raises(errors.Throttled):
        cloud.clients.trail.look_up(question)
