"""An approval for something that has since grown is void, at every moment before PIM is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import AccountAssignment, AwsAccount, PermissionSet, PimGroup
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision
from requests_app.actions.sweeping import sweep
from requests_app.scope_growth import growth, growths
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def opened_by(group: PimGroup) -> PermissionSet:
    held = PermissionSet.objects.filter(account_assignments__group=group).first()
    assert held is not None
    return held


def grow(group: PimGroup) -> None:
    """One more account, as the catalogue sync would write it."""
    account = AwsAccount.objects.create(account_id="999900001111", name="payments-prod", state="ACTIVE")
    AccountAssignment.objects.create(group=group, account=account, permission_set=opened_by(group))
    PimGroup.objects.filter(pk=group.pk).update(scope_hash="grown")


def test_before_the_start_it_is_not_granted_and_says_why(play: Stage) -> None:
    play.decide(play.ask())
    owed = sweep()
    (grant_id,) = check_decision(decision_id=owed.decisions[0])
    grow(play.group)
    advance_grant(grant_id=grant_id)
    grant = play.grant()
    assert grant.status == "not_granted"
    assert "payments-prod" in grant.problem
    assert "void" in grant.problem
    assert play.assignments_made() == 0


def test_after_the_start_nothing_is_sent_either(play: Stage) -> None:
    play.world.faults.add("graph.GET assignmentScheduleInstances", "error", count=1)
    play.decide(play.ask())
    grant = play.play_to("activating")
    grow(play.group)
    grant = play.play_to("not_granted", "provisioning")
    assert (grant.status, grant.problem_code) == ("not_granted", "scope_grown")
    assert play.assignments_made() == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("account", "payments-prod"),
        ("session", "longer"),
        ("content", "allows has changed"),
        ("less", ""),
        ("nothing", ""),
    ],
)
def test_what_counts_as_growth(play: Stage, change: str, said: str) -> None:
    play.decide(play.ask())
    grant = play.play_to("active")
    match change:
        case "account":
            grow(play.group)
        case "session":
            held = opened_by(play.group)
            PermissionSet.objects.filter(pk=held.pk).update(session_duration=timedelta(hours=12))
            PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="longer")
        case "content":
            PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="content")
        case "less":
            AccountAssignment.objects.filter(group=play.group).delete()
            PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="")
        case _:
            pass
    sentence = growth(grant)
    assert (said in sentence) if said else sentence == ""


def test_many_grants_cost_as_many_queries_as_one(play: Stage) -> None:
    play.decide(play.ask())
    grant = play.play_to("active")
    grow(play.group)
    with CaptureQueriesContext(connection) as asked:
        growths([grant], play.group)
    assert len(asked) <= 4
