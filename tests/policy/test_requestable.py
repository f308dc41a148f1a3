"""May this be asked for, and for how long: every reason why not, alone and together; the shortest bound wins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import Eligibility, PimGroup
from clients.types import ProvisioningCode
from identity.models import Person
from policy.matching import Match
from policy.models import Rule, RuleVersion
from policy.requestable import POLICY_STALE_AFTER, Circumstances, Requestability, judge

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GROUP = "7c9a1f3e-0000-4000-8000-000000000101"
BOSS = "7c9a1f3e-0000-4000-8000-0000000000b1"


def a_person(**changes: Any) -> Person:
    values = {"object_id": "p", "display_name": "Ada Ames", "given_name": "Ada", "surname": "Ames", **changes}
    return Person(**values)


def a_group(**changes: Any) -> PimGroup:
    values = {
        "object_id": GROUP,
        "display_name": "AWS - Amazon EC2 Admin",
        "store_group_id": "store",
        "managed": True,
        "assigned_to_application": True,
        "policy_read_at": NOW,
        "activation_maximum": timedelta(hours=8),
        "account_count": 1,
        **changes,
    }
    return PimGroup(**values)


def held(starts_at: datetime | None = None, ends_at: datetime | None = None) -> Eligibility:
    return Eligibility(starts_at=starts_at, ends_at=ends_at)


def a_version(longest: timedelta | None = None) -> RuleVersion:
    document: dict[str, Any] = {"groups": [], "stages": [{"people": [BOSS], "groups": []}]}
    if longest is not None:
        document["longest_duration"] = f"PT{int(longest.total_seconds())}S"
    return RuleVersion(rule=Rule(name="Everything"), number=1, document=document, document_hash="h")


def a_match(longest: timedelta | None = None) -> Match:
    version = a_version(longest)
    return Match((version,), version.parsed.demands, ("It applies.",))


def around(**changes: Any) -> Circumstances:
    values: dict[str, Any] = {
        "match": a_match(),
        "somebody_can_decide": True,
        "provisioning": ProvisioningCode.ACTIVE.value,
        "now": NOW,
        **changes,
    }
    return Circumstances(**values)


def judged(
    *,
    person: dict[str, Any] | None = None,
    group: dict[str, Any] | None = None,
    eligibilities: Sequence[Eligibility] = (),
    **circumstances: Any,
) -> Requestability:
    return judge(
        a_person(**person or {}),
        a_group(**group or {}),
        eligibilities or [held()],
        around(**circumstances),
    )


def codes(judgement: Requestability) -> set[str]:
    return {refusal.code for refusal in judgement.refusals}


def test_nothing_stands_against_it() -> None:
    judgement = judged()
    assert judgement.allowed
    assert judgement.longest == timedelta(hours=8)


REASONS: list[tuple[str, dict[str, Any]]] = [
    ("person.disabled", {"person": {"enabled": False}}),
    ("person.names", {"person": {"given_name": ""}}),
    ("person.names", {"person": {"surname": ""}}),
    ("person.names", {"person": {"display_name": ""}}),
    ("group.gone", {"group": {"present": False}}),
    ("group.not_managed", {"group": {"managed": False}}),
    ("group.role_assignable", {"group": {"role_assignable": True}}),
    ("group.kind", {"group": {"dynamic": True}}),
    ("group.kind", {"group": {"synced_from_on_premises": True}}),
    ("group.kind", {"group": {"security_enabled": False}}),
    ("group.not_assigned", {"group": {"assigned_to_application": False}}),
    ("group.join", {"group": {"join_problem": "The names disagree."}}),
    ("group.not_in_aws", {"group": {"store_group_id": ""}}),
    ("group.opens_nothing", {"group": {"account_count": 0}}),
    ("policy.unread", {"group": {"policy_read_at": None}}),
    ("policy.unread", {"group": {"activation_maximum": None}}),
    (
        "policy.stale",
        {"group": {"policy_read_at": NOW - POLICY_STALE_AFTER - timedelta(seconds=1)}},
    ),
    ("pim.authentication_context", {"group": {"authentication_context": "unnamed"}}),
    ("pim.mfa", {"group": {"requires_mfa": True}}),
    ("pim.floor", {"group": {"authentication_context": "c1"}}),
    ("pim.floor", {"group": {"requires_approval": True}}),
    ("pim.floor", {"group": {"requires_approval": True, "approver_people": [GROUP]}}),
    ("provisioning.stopped", {"provisioning": ProvisioningCode.QUARANTINE.value}),
    ("provisioning.stopped", {"provisioning": ProvisioningCode.PAUSED.value}),
    ("provisioning.stopped", {"provisioning": ProvisioningCode.NOT_RUN.value}),
    ("provisioning.stopped", {"provisioning": ProvisioningCode.UNKNOWN.value}),
    ("rule.none", {"match": Match((), None, ("No rule says who decides.",))}),
    ("rule.nobody", {"somebody_can_decide": False}),
    ("eligibility.not_begun", {"eligibilities": [held(NOW + timedelta(hours=1))]}),
    ("eligibility.none", {"eligibilities": [held(ends_at=NOW)]}),
    ("eligibility.ends", {"eligibilities": [held(ends_at=NOW + timedelta(minutes=4))]}),
]


@pytest.mark.parametrize(("code", "changes"), REASONS)
def test_each_reason_alone_refuses_with_a_sentence(code: str, changes: dict[str, Any]) -> None:
    judgement = judged(**changes)
    assert codes(judgement) == {code}
    assert not judgement.allowed
    assert judgement.longest is None
    (refusal,) = judgement.refusals
    assert refusal.sentence.endswith(".")


def test_all_reasons_are_told_at_once() -> None:
    judgement = judged(
        person={"enabled": False},
        group={"managed": False, "requires_mfa": True, "requires_approval": True},
        match=Match((), None, ("No rule says who decides.",)),
    )
    assert codes(judgement) == {
        "person.disabled",
        "group.not_managed",
        "pim.mfa",
        "rule.none",
    }


@pytest.mark.parametrize("code", ["pim.authentication_context", "pim.mfa"])
def test_what_pim_demands_is_sent_to_entra_not_stepped_around(code: str) -> None:
    changes = next(changes for name, changes in REASONS if name == code)
    (refusal,) = judged(**changes).refusals
    assert "in Entra" in refusal.sentence


def test_a_permanent_eligibility_outlasts_one_that_ends() -> None:
    ending = held(ends_at=NOW + timedelta(hours=1))
    assert judged(eligibilities=[ending]).longest == timedelta(hours=1)
    assert judged(eligibilities=[ending, held()]).longest == timedelta(hours=8)
    later = held(NOW + timedelta(hours=2))
    assert judged(eligibilities=[ending, later]).longest == timedelta(hours=1), (
        "not begun, so it adds nothing"
    )


spans = st.timedeltas(min_value=timedelta(minutes=1), max_value=timedelta(days=400))


@given(
    activation=spans,
    assignment=st.none() | spans,
    rule=st.none() | spans.map(lambda span: timedelta(seconds=int(span.total_seconds()))),
    left=st.none() | spans,
    lengthens=st.booleans(),
)
def test_the_shortest_bound_wins_and_is_never_less_than_can_be_given(
    activation: timedelta,
    assignment: timedelta | None,
    rule: timedelta | None,
    left: timedelta | None,
    lengthens: bool,
) -> None:
    judgement = judged(
        group={"activation_maximum": activation, "assignment_maximum": assignment},
        eligibilities=[held(ends_at=None if left is None else NOW + left)],
        match=a_match(rule),
        lengthens=lengthens,
    )
    bounds = [bound for bound in (activation, assignment, rule, left) if bound is not None]
    if min(bounds) < (settings.PIM_MINIMUM if lengthens else settings.SHORTEST_ACCESS):
        assert not judgement.allowed
        assert "is given for no less" in judgement.refusals[0].sentence
        assert judgement.longest is None
    else:
        assert judgement.allowed
        assert judgement.longest == min(bounds)


@given(picked=st.sets(st.sampled_from(range(len(REASONS))), min_size=1))
def test_no_combination_of_reasons_lets_anybody_through(picked: set[int]) -> None:
    changes: dict[str, Any] = {"person": {}, "group": {}}
    for number in sorted(picked):
        for name, value in REASONS[number][1].items():
            if isinstance(value, dict):
                changes[name] |= value
            else:
                changes[name] = value
    assert not judged(**changes).allowed
