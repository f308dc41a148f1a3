"""Small readings of Graph: tags, instants, statuses, rules, the answer of provisionOnDemand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.entra.failures import failed_rules, retry_after
from clients.entra.parsing import (
    JUSTIFICATION_LIMIT,
    instant,
    quoted,
    request_status,
    span,
    tag_of,
    with_tag,
)
from clients.entra.provisioning import group_rule, on_demand_result
from clients.types import OnDemandOutcome, PimRequestStatus

TAG = "9d3f2c:4"


def read_tag(
    *, justification: str = "", action: str = "adminAssign", system: str = "", number: str = ""
) -> str:
    return tag_of(action=action, ticket_system=system, ticket_number=number, justification=justification)


@given(st.text(max_size=1500))
def test_the_tag_survives_any_justification_and_fits(words: str) -> None:
    text = with_tag(words, TAG)

    assert len(text) <= JUSTIFICATION_LIMIT
    assert read_tag(justification=text) == TAG


def test_the_tag_is_read_from_either_place() -> None:
    assert read_tag(system="Access-Portal", number=TAG) == TAG
    assert read_tag(justification=f"rotate keys [access-portal:{TAG}]  ") == TAG
    assert read_tag(system="servicenow", number="INC1") == ""
    assert read_tag() == ""


def test_a_person_cannot_forge_a_tag() -> None:
    forged = "[access-portal:other:1]"

    assert read_tag(justification=with_tag(forged, TAG)) == TAG
    assert read_tag(justification=f"{forged} please") == ""
    assert read_tag(action="selfActivate", justification=forged) == ""
    assert read_tag(action="selfActivate", system="access-portal", number=TAG) == ""


@pytest.mark.parametrize("tag", ["", "a b", "a]b", "[a", "x" * 101])
def test_a_tag_that_could_not_be_read_back_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="not a tag"):
        with_tag("words", tag)


def test_the_year_one_is_no_instant() -> None:
    east = timezone(timedelta(hours=2))

    assert instant(datetime(1, 1, 1, tzinfo=UTC)) is None
    assert instant(None) is None
    assert instant(datetime(2026, 11, 23, 12, tzinfo=east)) == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert instant(datetime(2026, 11, 23, 12)) == datetime(2026, 11, 23, 12, tzinfo=UTC)  # noqa: DTZ001


def test_an_endless_interval_is_none() -> None:
    assert span(timedelta(minutes=40)) == timedelta(minutes=40)
    assert span(timedelta(days=10_675_199)) is None
    assert span(None) is None


@pytest.mark.parametrize(
    ("vendor", "ours"),
    [
        ("Provisioned", PimRequestStatus.PROVISIONED),
        ("provisioned", PimRequestStatus.PROVISIONED),
        ("Granted", PimRequestStatus.GRANTED),
        ("ScheduleCreated", PimRequestStatus.GRANTED),
        ("PendingApproval", PimRequestStatus.PENDING),
        ("PendingProvisioning", PimRequestStatus.PENDING),
        ("Revoked", PimRequestStatus.REVOKED),
        ("Canceled", PimRequestStatus.CANCELED),
        ("Failed", PimRequestStatus.FAILED),
        ("Denied", PimRequestStatus.DENIED),
        ("SomethingNew", PimRequestStatus.UNKNOWN),
        ("", PimRequestStatus.UNKNOWN),
    ],
)
def test_statuses_are_sorted_without_regard_to_case(vendor: str, ours: PimRequestStatus) -> None:
    assert request_status(vendor) is ours


def test_a_quote_in_a_filter_value_stays_inside_it() -> None:
    assert quoted("x' or 1 eq 1") == "'x'' or 1 eq 1'"


def test_retry_after_reads_seconds_and_dates_and_stays_in_bounds() -> None:
    now = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    assert retry_after("3") == timedelta(seconds=3)
    assert retry_after("Mon, 23 Nov 2026 10:00:42 GMT", now=now) == timedelta(seconds=42)
    assert retry_after("Mon, 23 Nov 2026 09:00:00 GMT", now=now) == timedelta(0)
    assert retry_after("999999999") == timedelta(minutes=15)
    assert retry_after(None) == retry_after("") == retry_after("-1") == timedelta(seconds=10)


def test_failed_rules_come_from_the_array_or_from_the_words() -> None:
    assert failed_rules('The following policy rules failed: ["ExpirationRule","MfaRule"]') == (
        "ExpirationRule",
        "MfaRule",
    )
    assert failed_rules("EligibilityRule failed; see TicketingRule") == ("EligibilityRule", "TicketingRule")
    assert failed_rules("nothing named") == ()


@pytest.mark.parametrize(
    ("key", "value", "outcome", "reason"),
    [
        ('{"result": "Success", "details": {}}', "{}", OnDemandOutcome.SUCCESS, ""),
        ('{"result": "success"}', None, OnDemandOutcome.SUCCESS, ""),
        (
            '{"result": "Skipped", "details": {"errorCode": "RedundantExport", "errorMessage": "same"}}',
            "{}",
            OnDemandOutcome.SKIPPED,
            "RedundantExport: same",
        ),
        (
            '{"result": "Failure"}',
            json.dumps({"statusInfo": {"errorCode": "EntryConflict", "reason": "HTTP 409"}}),
            OnDemandOutcome.FAILURE,
            "EntryConflict: HTTP 409",
        ),
        ('{"result": "Novel"}', "{}", OnDemandOutcome.UNKNOWN, "the answer could not be read"),
        ("not json", "[]", OnDemandOutcome.UNKNOWN, "the answer could not be read"),
        (None, None, OnDemandOutcome.UNKNOWN, "the answer could not be read"),
        ('{"result": "Skipped", "details": "x"}', '{"statusInfo": []}', OnDemandOutcome.SKIPPED, ""),
    ],
)
def test_the_on_demand_answer_is_read_whatever_it_holds(
    key: str | None, value: str | None, outcome: OnDemandOutcome, reason: str
) -> None:
    result = on_demand_result(key, value)

    assert (result.outcome, result.reason) == (outcome, reason)


def rule(rule_id: str, *sources: tuple[str, bool]) -> SimpleNamespace:
    mappings = [SimpleNamespace(source_object_name=name, enabled=enabled) for name, enabled in sources]
    return SimpleNamespace(id=rule_id, object_mappings=mappings)


def test_the_rule_that_carries_groups_is_found() -> None:
    users, groups = rule("users", ("User", True)), rule("groups", ("User", True), ("Group", True))

    assert group_rule(SimpleNamespace(synchronization_rules=[users, groups])) == "groups"
    assert group_rule(SimpleNamespace(synchronization_rules=[rule("only")])) == "only"
    assert group_rule(SimpleNamespace(synchronization_rules=[users, rule("off", ("Group", False))])) == ""
    assert group_rule(SimpleNamespace(synchronization_rules=None)) == ""
