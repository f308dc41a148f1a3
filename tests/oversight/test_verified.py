"""What operators and auditors see of the verification of every day, and are told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from audit.controls import figures
from audit.controls.periods import Period
from audit.ledger.events import DIFFERS
from audit.ledger.models import Event, Verification
from audit.ledger.recorder import Actor, record_alone
from audit.ledger.scheduled import VerificationState, verification_state
from base.clock import business_now, real_now
from notifications import channels
from notifications.models import Message
from oversight import alerts
from oversight.alerts import raise_and_clear
from oversight.facts import facts
from oversight.health import _verification
from oversight.metrics import metrics_text
from oversight.models import Alert
from oversight.watching import watch
from tests.audit.history.conftest import AsRole, auditor
from tests.support.fake_notifier import FakeNotifier

__all__ = ["auditor"]
pytestmark = pytest.mark.django_db


def verification(ago: timedelta = timedelta(hours=1), **facts: Any) -> Verification:
    """One that ended whole that long ago, unless something else is said."""
    at = real_now() - ago
    usual: dict[str, Any] = {"started_at": at, "moved_at": at, "finished_at": at, "unverified_since": at}
    seen = {"events": 1_234, "batches": 40, "last_batch": 40, "keys": "0123456789abcdef", "status": "done"}
    return Verification(**{**usual, **seen, **facts})


NAMED = {
    "event_altered": {"many": 2, "first": "event 7, batch 2"},
    "row_missing": {"many": 1, "first": ""},
}
WRONG: dict[str, Any] = {"findings": 5, "named": NAMED, "first_bad_batch": 2}
RUNNING: dict[str, Any] = {"status": "running", "finished_at": None, "last_batch": 17, "step": "chain"}


def standing() -> dict[str, Alert]:
    return {str(row.kind): row for row in Alert.objects.filter(cleared_at=None)}


def test_findings_are_an_alert_until_a_verification_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "notifiers", lambda: {"fake": FakeNotifier()})
    verification(**WRONG).save()
    raise_and_clear(facts())
    alert = standing()["differs"]
    assert "found 5 things" in alert.sentence
    assert "event_altered 2 times, first at event 7, batch 2; row_missing; and 2 more." in alert.sentence
    assert "docs/operations.md" in alert.sentence
    verification(**RUNNING).save()
    raise_and_clear(facts())
    assert standing()["differs"] == alert, "until another has ended"
    Verification.objects.filter(status="running").delete()
    verification().save()
    raise_and_clear(facts())
    assert "differs" not in standing()
    told = Message.objects.filter(kind=channels.ALERT, facts__kind="differs")
    assert [message.facts["over"] for message in told.order_by("pk")] == ["", "yes"]


@pytest.mark.parametrize("facts_of_it", [{}, RUNNING, {"status": "given_up"}])
def test_that_none_has_ended_for_two_days_is_an_alert(facts_of_it: dict[str, Any]) -> None:
    verification(timedelta(hours=47), **facts_of_it).save()
    raise_and_clear(facts())
    assert "unverified" not in standing()
    Verification.objects.all().delete()
    verification(timedelta(hours=49), **facts_of_it).save()
    raise_and_clear(facts())
    assert "has ended for 2 days 1 h" in standing()["unverified"].sentence
    Verification.objects.all().delete()
    verification().save()
    raise_and_clear(facts())
    assert "unverified" not in standing()


def test_whoever_watches_notices_that_nobody_has_ever_begun() -> None:
    watch()
    watch()
    owed = Verification.objects.get()
    assert (owed.status, owed.step) == ("running", "")
    assert facts().verification.overdue(real_now() + timedelta(hours=49)) is not None


def test_the_health_page_says_when_how_many_and_what_was_found() -> None:
    found, real = facts(), real_now()

    def hop(newest: Verification | None, whole: Verification | None) -> tuple[str, str, datetime | None, str]:
        seen = _verification(replace(found, real=real, verification=VerificationState(newest, whole)))
        return seen.tone, seen.state, seen.succeeded_at, seen.sentence

    good = verification()
    assert hop(None, None) == ("waiting", "Not verified yet", None, "")
    assert hop(good, good) == (
        "live",
        "Works",
        good.finished_at,
        "nothing in 1,234 events up to batch 40",
    )
    running = verification(timedelta(minutes=1), **RUNNING)
    assert hop(running, good)[:2] == ("live", "Works"), "as it should be"
    assert hop(running, None)[:2] == ("waiting", "Not verified yet")
    dead = verification(timedelta(minutes=11), **RUNNING, problem="OperationalError at the step chain")
    tone, state, at, sentence = hop(dead, good)
    assert (tone, state, at) == ("waiting", "Not finished", good.finished_at)
    assert "isn't finished; it came to batch 17. OperationalError at the step chain. Nobody has" in sentence
    assert sentence.endswith("for 11 min.")
    late = verification(timedelta(hours=60))
    given_up = verification(
        timedelta(hours=49), status="given_up", unverified_since=late.finished_at, problem="KeyFileError"
    )
    assert hop(given_up, late)[:2] == ("problem", "Late")
    assert "was given up" in hop(given_up, late)[3]
    bad = verification(**WRONG)
    assert hop(bad, bad)[:2] == ("problem", "Differs")
    assert "event_altered 2 times, first at event 7, batch 2" in hop(bad, bad)[3]
    assert hop(running, bad)[:2] == ("problem", "Differs")
    bare = verification(keys="")
    assert hop(bare, bare)[:2] == ("waiting", "Without signatures")
    assert "AUDIT_VERIFY_KEYS" in hop(bare, bare)[3]


def test_the_controls_page_leads_to_the_event_of_what_was_found(auditor: Client, as_role: AsRole) -> None:
    today = business_now().date()
    period = Period(today, today)
    empty = figures._verification(verification_state(), period)
    assert (empty.value, empty.state) == ("Not yet", "For information")
    owed = verification(timedelta(0), **RUNNING | {"step": ""})
    soon = figures._verification(VerificationState(owed, None), period)
    assert soon.sentence == "No worker has verified the whole trail yet. One is about to begin."
    with as_role("portal_worker"):
        event = record_alone(
            DIFFERS.name,
            actor=Actor.worker(),
            fields={
                "events": 1_234,
                "batches": 40,
                "last_batch": 40,
                "took": timedelta(seconds=3),
                "signatures": "not checked",
                "findings": 3,
                "names": "event_altered (event 7, batch 2)",
            },
        )
        verification(**WRONG, event_id=event).save()
    figure = figures._verification(verification_state(), period)
    assert (figure.value, figure.state) == ("5 findings", "Look into it")
    assert "1,234 sealed events up to batch 40, signatures checked with 0123456789abcdef." in figure.sentence
    assert "event_altered 2 times, first at event 7, batch 2; row_missing; and 2 more." in figure.sentence
    assert figure.behind[0].address == f"/audit/events/{event}/"
    assert "as it was sealed and told" in auditor.get(figure.behind[0].address).content.decode()
    assert str(event) in auditor.get(figure.behind[2].address).content.decode()
    assert "Verification" in auditor.get("/audit/controls/").content.decode()
    with as_role("portal_worker"):
        Verification.objects.update(findings=0, named={})
    figure = figures._verification(verification_state(), period)
    assert (figure.value, figure.state) == ("Sound", "As it should be")
    with as_role("portal_worker"):
        Verification.objects.update(keys="")
    figure = figures._verification(verification_state(), period)
    assert figure.state == "Look into it"
    assert "signatures not checked" in figure.sentence
    assert Event.objects.get(pk=event).outcome == "failed"


def test_metrics_have_its_age_and_what_it_found() -> None:
    assert "verification" not in metrics_text().decode()
    verification(**WRONG).save()
    text = metrics_text().decode()
    assert "access_portal_verification_findings 5.0" in text
    assert "access_portal_verification_events 1234.0" in text
    assert "access_portal_verification_age_seconds 36" in text
