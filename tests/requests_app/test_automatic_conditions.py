"""The conditions of automatic approval, one by one. Pure: what isn't known never holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta

import pytest

from catalog.judging.comparing import Role
from catalog.judging.judgement import Content
from catalog.judging.judgement import judge as judge_set
from policy.hours import Hours
from policy.scope import Opened, Scope
from policy.waiving import Automatic
from requests_app.waivers.conditions import Facts, judge

HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORKING = Hours(frozenset(range(5)), time(8), time(18), "UTC")
SANDBOX = Scope(account_tags=(("stage", frozenset({"sandbox"})),))


def opened(stage: str) -> Opened:
    return Opened("111111111111", "Admin", frozenset({"r-ab12"}), (("stage", stage),) if stage else ())


def role(*actions: str, **more: object) -> Role:
    """A permission set whose inline policy allows these actions everywhere."""
    policy = {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
    return Role(1, "Set", judge_set(Content(inline=json.dumps(policy), **more), {}))  # type: ignore[arg-type]  # a test's shortcut


def facts(
    *,
    duration: timedelta = HOUR,
    asked_at: datetime = MONDAY,
    reference: str = "",
    opens: tuple[Opened, ...] = (),
    roles: tuple[Role, ...] = (),
) -> Facts:
    return Facts(duration, asked_at, reference, opens, roles)


@pytest.mark.parametrize(
    ("automatic", "given", "holds"),
    [
        (Automatic(HOUR), facts(), True),
        (Automatic(HOUR), facts(duration=2 * HOUR), False),
        (Automatic(HOUR, reference_required=True), facts(reference="INC1"), True),
        (Automatic(HOUR, reference_required=True), facts(), False),
        (Automatic(HOUR, during=(WORKING,)), facts(), True),
        (Automatic(HOUR, during=(WORKING,)), facts(asked_at=MONDAY + 10 * HOUR), False),
        (Automatic(HOUR, only=(SANDBOX,)), facts(opens=(opened("sandbox"),)), True),
        (Automatic(HOUR, only=(SANDBOX,)), facts(opens=(opened("sandbox"), opened("production"))), False),
        (Automatic(HOUR, only=(SANDBOX,)), facts(opens=(opened(""),)), False),
        (Automatic(HOUR, only=(SANDBOX,)), facts(), False),  # nothing is known to be opened
        (Automatic(HOUR, read_only=True), facts(roles=(role("ec2:DescribeInstances", "s3:ListAllMyBuckets"),)), True),
        (Automatic(HOUR, read_only=True), facts(roles=(role("ec2:Describe*"), role("ec2:RunInstances"))), False),
        (Automatic(HOUR, read_only=True), facts(roles=(role("ec2:Describe*", "brandnew:GetThing"),)), False),
        (Automatic(HOUR, read_only=True), facts(roles=(role("ec2:Describe*", managed=["arn:aws:x"]),)), False),
        (Automatic(HOUR, read_only=True), facts(roles=(Role(1, "Set", None),)), False),  # not judged yet
        (Automatic(HOUR, read_only=True), facts(), False),
    ],
)  # fmt: skip
def test_each_condition_holds_only_where_it_is_known_to(
    automatic: Automatic, given: Facts, holds: bool
) -> None:
    found = judge(automatic, given)
    assert all(each.holds for each in found) is holds, [each.words for each in found]
    assert all(each.words.endswith(".") for each in found)
