"""The tracker, the badge and the headline, for every status there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accessportal.templatetags.portal import TONE_SHAPES
from requests_app.lifecycle import TERMINAL, GrantStatus, ItemStatus
from requests_app.models import Grant, RequestItem
from requests_app.pages import STANDING_SHAPES
from requests_app.presentation import STATE_WORDS, Step, phases, standing

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
SEEN: dict[GrantStatus, tuple[str, ...]] = {
    GrantStatus.PROVISIONING: ("assigned_at",),
    GrantStatus.ACTIVE: ("assigned_at", "arrived_at"),
    GrantStatus.REMOVING: ("assigned_at", "arrived_at", "removal_started_at"),
    GrantStatus.DEPROVISIONING: ("assigned_at", "arrived_at", "removal_started_at", "out_of_entra_at"),
    GrantStatus.DRAINING: (
        "assigned_at",
        "arrived_at",
        "removal_started_at",
        "out_of_entra_at",
        "out_of_aws_at",
        "last_possible_use_at",
    ),
}
SEEN[GrantStatus.ENDED] = (*SEEN[GrantStatus.DRAINING], "ended_at")
SEEN[GrantStatus.NEVER_ARRIVED] = ("assigned_at", "removal_started_at", "out_of_entra_at", "ended_at")


def an_item(status: ItemStatus) -> RequestItem:
    return RequestItem(status=status, created_at=NOW, lapses_at=NOW + timedelta(days=1), decided_at=NOW)


def a_grant(status: GrantStatus, **extra: Any) -> Grant:
    known = dict.fromkeys(SEEN.get(status, ()), NOW)
    return Grant(status=status, starts_at=NOW, ends_at=NOW + timedelta(hours=1), **{**known, **extra})


def steps(item: RequestItem, grant: Grant | None, *, being_checked: bool = False) -> dict[str, Step]:
    found = phases(item, grant, being_checked=being_checked)
    return {step.name: step for phase in found for step in phase.steps}


@pytest.mark.parametrize("status", ItemStatus)
def test_every_item_status_has_words_and_a_shape(status: ItemStatus) -> None:
    shown = standing(status, None)
    assert shown.tone in TONE_SHAPES
    assert shown.tone in STANDING_SHAPES
    assert shown.words
    assert all(step.state in STATE_WORDS for step in steps(an_item(status), None).values())


@pytest.mark.parametrize("status", GrantStatus)
def test_every_grant_status_has_words_and_at_most_one_step_in_progress(status: GrantStatus) -> None:
    grant = a_grant(status)
    assert standing(ItemStatus.APPROVED, grant).tone in TONE_SHAPES
    shown = steps(an_item(ItemStatus.APPROVED), grant)
    now = [step.name for step in shown.values() if step.state == "now"]
    assert len(now) == (0 if status in TERMINAL else 1), now
    if status in TERMINAL:
        assert not [step.name for step in shown.values() if step.state == "next"]


@pytest.mark.parametrize(
    ("status", "current"),
    [
        (GrantStatus.SCHEDULED, "Assigned in Entra"),
        (GrantStatus.ACTIVATING, "Assigned in Entra"),
        (GrantStatus.PROVISIONING, "In AWS"),
        (GrantStatus.ACTIVE, "Ready"),
        (GrantStatus.REMOVING, "Out of Entra"),
        (GrantStatus.DEPROVISIONING, "Out of AWS"),
        (GrantStatus.DRAINING, "Ended"),
    ],
)
def test_the_step_in_progress(status: GrantStatus, current: str) -> None:
    assert steps(an_item(ItemStatus.APPROVED), a_grant(status))[current].state == "now"


def test_denied_withdrawn_and_lapsed_show_no_way_in() -> None:
    for status in (ItemStatus.DENIED, ItemStatus.WITHDRAWN, ItemStatus.LAPSED):
        assert len(phases(an_item(status), None, being_checked=False)) == 1


def test_a_decision_that_is_being_checked_says_so() -> None:
    assert "Decision being checked" in steps(an_item(ItemStatus.PENDING), None, being_checked=True)


def test_between_read_back_and_last_possible_use_the_honest_words() -> None:
    shown = steps(an_item(ItemStatus.APPROVED), a_grant(GrantStatus.DRAINING))["Ended"]
    assert (shown.note, shown.until) == ("Membership removed; sessions possible until", NOW)
    headline = standing(ItemStatus.APPROVED, a_grant(GrantStatus.DRAINING))
    assert (headline.sentence, headline.until) == ("Membership removed; sessions possible until", NOW)


def test_what_never_arrived_is_in_trouble_where_it_was_missed() -> None:
    shown = steps(an_item(ItemStatus.APPROVED), a_grant(GrantStatus.NEVER_ARRIVED))
    assert (shown["In AWS"].state, shown["Ready"].state) == ("problem", "skipped")
    assert shown["Out of AWS"].state == "done"


def test_what_it_waits_for_is_said() -> None:
    grant = a_grant(GrantStatus.ACTIVATING, problem="Waiting for Entra: it answers 503.")
    assert steps(an_item(ItemStatus.APPROVED), grant)["Assigned in Entra"].note == grant.problem


def test_seen_again_after_its_removal_it_is_not_shown_as_gone() -> None:
    again = a_grant(GrantStatus.ENDED)
    again.status = GrantStatus.REMOVING
    shown = steps(an_item(ItemStatus.APPROVED), again)
    assert shown["Out of Entra"].state == "now"
    assert shown["Out of AWS"].state != "done"
    assert shown["Ended"].state == "next"
