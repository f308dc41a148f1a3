"""Judging in the sync: AWS managed policies are read, each permission set is judged, and anew when something changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from audit.ledger.models import Event
from catalog.judging.judgement import Unknown
from catalog.judging.storing import judge_sets, read_judgement
from catalog.models import Judgement, ManagedPolicy, PermissionSet, SyncRun
from catalog.sync.engine import Outcome, run_part
from catalog.sync.managed_policies import TOO_LONG, is_aws_managed
from clients.errors import ClientError, NotFound, NotPermitted, Throttled, Unreachable
from tests.support.aws_policies import aws_policy
from tests.support.fake_clouds import FakeClouds, a_permission_set, arn

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("step")]
type Step = Callable[[timedelta], datetime]
EC2 = "arn:aws:iam::aws:policy/AmazonEC2FullAccess"
POWER = "arn:aws:iam::aws:policy/PowerUserAccess"
DAY = timedelta(hours=25)


@pytest.fixture
def policies(clouds: FakeClouds) -> FakeClouds:
    clouds.managed_policies[EC2] = ("v5", aws_policy("AmazonEC2FullAccess"))
    clouds.managed_policies[POWER] = ("v12", aws_policy("PowerUserAccess"))
    clouds.permission_sets[arn("Power")] = a_permission_set(
        "Power", managed_policies=(("PowerUserAccess", POWER),)
    )
    return clouds


def sync() -> None:
    assert run_part(SyncRun.Part.PERMISSION_SETS) is Outcome.DONE


def judgement(name: str) -> Judgement:
    return Judgement.objects.get(permission_set__arn=arn(name))


def dangers(name: str) -> set[str]:
    return {str(each["danger"]) for each in judgement(name).findings}


def unknown(name: str) -> list[tuple[Unknown, str]]:
    judged = read_judgement(judgement(name))
    assert judged is not None
    return list(judged.unknown)


def test_every_permission_set_is_judged_by_what_aws_says(policies: FakeClouds) -> None:
    sync()
    assert Judgement.objects.count() == PermissionSet.objects.count()
    assert "network" in dangers("EC2AdminAccess")
    assert {"trail", "assume"} <= dangers("Power")
    stored = read_judgement(judgement("Power"))
    assert stored is not None
    assert (stored.complete, stored.reach.wide.bit_count() > 20_000) == (True, True)
    assert judgement("Power").content_hash == PermissionSet.objects.get(arn=arn("Power")).content_hash


def test_nothing_is_read_or_judged_twice_while_nothing_changes(policies: FakeClouds, step: Step) -> None:
    sync()
    before = list(Judgement.objects.order_by("pk").values_list("pk", "judged_at"))
    policies.calls.clear()
    step(timedelta(minutes=40))
    sync()
    assert policies.calls["managed_policy_version"] == policies.calls["managed_policy_document"] == 0
    step(DAY)
    sync()
    assert policies.calls["managed_policy_version"] == 2
    assert policies.calls["managed_policy_document"] == 0
    assert list(Judgement.objects.order_by("pk").values_list("pk", "judged_at")) == before


def test_a_policy_that_aws_changed_is_judged_anew_and_recorded(policies: FakeClouds, step: Step) -> None:
    sync()
    policies.managed_policies[EC2] = ("v6", aws_policy("AdministratorAccess"))
    step(DAY)
    sync()
    assert dangers("EC2AdminAccess") == {"everything"}
    event = Event.objects.get(type="catalog.managed_policy_changed")
    assert event.data["fields"] == {"name": "AmazonEC2FullAccess", "arn": EC2, "before": "v5", "after": "v6"}


def test_a_permission_set_that_changed_is_judged_anew(policies: FakeClouds) -> None:
    sync()
    changed = replace(policies.permission_sets[arn("Power")], permissions_boundary=EC2)
    policies.permission_sets[arn("Power")] = changed
    sync()
    assert "trail" not in dangers("Power")
    assert judgement("Power").bounded
    assert judgement("Power").content_hash == PermissionSet.objects.get(arn=arn("Power")).content_hash


@pytest.mark.parametrize(
    "error",
    [
        NotPermitted("AWS doesn't allow the worker iam.get_policy."),
        Unreachable("AWS can't be reached."),
        Throttled("AWS asks to wait.", retry_after=timedelta(seconds=5)),
    ],
)
@pytest.mark.parametrize("operation", ["managed_policy_version", "managed_policy_document"])
def test_what_cannot_be_read_is_unknown_and_stops_nothing(
    policies: FakeClouds, error: ClientError, operation: str, step: Step
) -> None:
    policies.failing[operation] = error
    sync()
    assert unknown("Power") == [(Unknown.MANAGED, "PowerUserAccess")]
    assert dangers("Power") == set()
    assert set(ManagedPolicy.objects.values_list("problem", flat=True)) == {error.sentence}
    policies.failing.clear()
    step(timedelta(minutes=30))
    sync()
    assert unknown("Power") == []
    assert set(ManagedPolicy.objects.values_list("problem", flat=True)) == {""}


def test_what_was_read_before_stays_while_aws_is_away_and_goes_when_aws_has_it_no_more(
    policies: FakeClouds, step: Step
) -> None:
    sync()
    policies.failing["managed_policy_version"] = Unreachable("AWS can't be reached.")
    step(DAY)
    sync()
    assert {"trail", "assume"} <= dangers("Power")
    policies.failing["managed_policy_version"] = NotFound("There is no such policy.")
    step(DAY)
    sync()
    assert unknown("Power") == [(Unknown.MANAGED, "PowerUserAccess")]


def test_a_document_beyond_all_measure_is_unknown(
    policies: FakeClouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sync.managed_policies.LONGEST_DOCUMENT", 600)
    sync()
    assert ManagedPolicy.objects.get(problem=TOO_LONG).arn == EC2
    assert unknown("EC2AdminAccess") == [(Unknown.MANAGED, "AmazonEC2FullAccess")]


def test_another_release_judges_anew_and_doesnt_read_what_it_cannot(
    policies: FakeClouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync()
    row = judgement("Power")
    row.actions = "another"
    assert read_judgement(row) is None
    rows = list(PermissionSet.objects.all())
    assert judge_sets(rows) == 0
    monkeypatch.setattr("catalog.judging.storing._version", lambda: "another")
    assert judge_sets(rows) == len(rows)


def test_only_aws_own_policies_are_looked_up() -> None:
    assert is_aws_managed("arn:aws:iam::aws:policy/job-function/ViewOnlyAccess")
    assert is_aws_managed("arn:aws-us-gov:iam::aws:policy/ReadOnlyAccess")
    assert not is_aws_managed("arn:aws:iam::111122223333:policy/acme")
    assert not is_aws_managed("/acme/limits")
    assert not is_aws_managed("")
