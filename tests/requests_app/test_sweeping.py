"""Sweeping: one bad row stands in nobody's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.db.models import F
from structlog.testing import capture_logs

from audit.ledger.models import Event
from requests_app.actions import moving, sweeping
from requests_app.actions.advancing import advance_grant
from requests_app.actions.attempts import KEEP_READS, KEEP_WRITES
from requests_app.actions.deciding import check_decision
from requests_app.actions.sweeping import lapse_unanswered
from requests_app.management.commands import sweep as command
from requests_app.models import Attempt, Decision, Grant, RequestItem
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def broken_for(bad: UUID, whole: Callable[..., Any]) -> Callable[..., Any]:
    """The action, except that it breaks for one row."""

    def action(**ids: UUID) -> Any:
        if bad in ids.values():
            raise RuntimeError("this row is bad")
        return whole(**ids)

    return action


def another_item(play: Stage) -> RequestItem:
    group = make.pim_group(accounts=1)
    with play.as_role("portal_web"):
        return make.pending_item(play.asker, group, play.rule)


def test_a_bad_decision_is_logged_and_the_others_are_checked(
    play: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = play.decide(another_item(play))
    good = play.decide(play.ask())
    monkeypatch.setattr(command, "check_decision", broken_for(bad, check_decision))
    with capture_logs() as logs, pytest.raises(CommandError, match="1 of 2 failed"):
        call_command("sweep", stdout=StringIO())
    assert Decision.objects.get(pk=good).status == "counted"
    assert Decision.objects.get(pk=bad).status == "submitted"
    failed = [entry for entry in logs if entry["event"] == "sweep_failed"]
    assert [(entry["row"], entry["error"]) for entry in failed] == [(str(bad), "RuntimeError")]


def test_a_bad_grant_is_logged(play: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    play.decide(play.ask())
    play.work()
    play.step(timedelta(hours=2))
    grant = Grant.objects.get()
    monkeypatch.setattr(command, "advance_grant", broken_for(grant.pk, advance_grant))
    with capture_logs() as logs, pytest.raises(CommandError, match="1 of 1 failed"):
        call_command("sweep", stdout=StringIO())
    assert str(grant.pk) in [entry.get("row") for entry in logs]


def test_the_loop_survives_a_pass_that_finds_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[str] = []

    class Enough(BaseException):
        """The test has seen enough."""

    def looked() -> Any:
        passes.append("looked")
        raise RuntimeError("the database is away")

    def wait(_: float) -> None:
        if len(passes) == 3:
            raise Enough

    monkeypatch.setattr(command, "sweep", looked)
    monkeypatch.setattr("time.sleep", wait)
    with capture_logs() as logs, pytest.raises(Enough):
        call_command("sweep", loop=True, stdout=StringIO())
    assert passes == ["looked"] * 3
    assert [entry["error"] for entry in logs] == ["RuntimeError"] * 3


def test_one_request_that_can_not_lapse_keeps_no_other_from_it(
    play: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = play.ask(), another_item(play)
    play.step(timedelta(days=1))
    whole = moving.move

    def move(row: RequestItem, *args: Any, **more: Any) -> None:
        if row.pk == bad.pk:
            raise IntegrityError("this row is bad")
        whole(row, *args, **more)

    monkeypatch.setattr(sweeping, "move", move)
    with capture_logs() as logs:
        assert lapse_unanswered() == 1
    assert RequestItem.objects.get(pk=good.pk).status == "lapsed"
    assert [(entry["event"], entry["item"]) for entry in logs] == [("lapse_failed", str(bad.pk))]


def test_what_takes_access_away_goes_before_what_gives_it_however_long_that_waits(play: Stage) -> None:
    play.decide(play.ask())
    ending = play.play_to("active")
    play.step(ending.ends_at - play.time.now - timedelta(minutes=2))
    item = another_item(play)
    with play.as_role("portal_worker"):
        waiting = make.scheduled_grant(item)
        Grant.objects.filter(pk=waiting.pk).update(next_action_at=ending.starts_at)
    play.step(timedelta(minutes=2))
    assert sweeping.sweep().grants == (ending.pk, waiting.pk)


# --- The log of calls


def test_calls_leave_the_log_after_their_time_and_the_event_keeps_what_it_rests_on(
    play: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "MOST_EXPIRED", 1)
    play.decide(play.ask())
    play.play_to("active")
    reads, writes = (
        Attempt.objects.filter(kind=kind) for kind in (Attempt.Kind.READ_AWS, Attempt.Kind.ASSIGN)
    )
    assert {each.expires_at - each.started_at for each in reads} == {KEEP_READS}
    assert {each.expires_at - each.started_at for each in writes} == {KEEP_WRITES}
    first, *others = reads.order_by("pk")
    reads.update(expires_at=F("started_at") - timedelta(seconds=1))
    for _ in others:
        sweeping.sweep()
        assert reads.exists(), "no more at once than a sweep has time for"
    sweeping.sweep()
    assert not reads.exists()
    assert writes.exists()
    arrived = Event.objects.get(type="grant.arrived")
    assert arrived.data["fields"]["vendor_request_id"] in {
        each.vendor_request_id for each in (first, *others)
    }
