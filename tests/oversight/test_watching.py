"""Facts, health, metrics and alerts: what operators see and are told of."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from unittest.mock import patch

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core import mail
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django_subatomic.db import transaction
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from audit.ledger.anchoring import AnchorState
from audit.ledger.models import Event
from audit.ledger.recorder import Actor
from base.clock import business_now, real_now
from catalog.freshness import HealthState, ProvisioningHealth
from catalog.models import ProvisioningState
from clients.breaker import SharedBreaker, Verdict
from clients.errors import ClientError, NotPermitted
from clients.notify.build import build_notifiers
from clients.types import Notice
from identity.models import Person
from notifications import channels, sending
from notifications.models import Message
from notifications.sending import send_owed
from oversight import alerts, heartbeats
from oversight.alerts import raise_and_clear
from oversight.drift.writing import change
from oversight.events import EXPIRY
from oversight.expiries import certificate_end, note_certificate
from oversight.facts import facts
from oversight.health import _machines, health
from oversight.metrics import metrics_text
from oversight.models import (
    Alert,
    AlertKind,
    Expiry,
    FindingKind,
    FindingStatus,
    Heartbeat,
)
from requests_app.cutting.models import FastRemoval, SeveringPlace
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.models import Grant
from requests_app.overdue import overdue, overdue_grants
from tests.pages.conftest import World, main_of
from tests.pages.moving import bring
from tests.requests_app import factories as make
from tests.requests_app.emergencies import in_emergency
from tests.support.by_hand import known
from tests.support.fake_notifier import FakeNotifier

pytestmark = pytest.mark.django_db


def a_grant(
    world: World, status: GrantStatus = GrantStatus.ACTIVE, person: Person | None = None, **changes: Any
) -> Grant:
    asked = changes.pop("asked", timedelta(hours=1))
    with world.as_role("portal_web"):
        item = make.pending_item(person or world.ada, world.group, world.rule, duration=asked)
    grant = make.scheduled_grant(item)
    bring(grant, status)
    Grant.objects.filter(pk=grant.pk).update(**changes)
    return grant


# ------------------------------------------------------------ facts and health


def test_a_removal_that_began_early_is_overdue_by_its_own_target(world: World) -> None:
    begun = business_now() - timedelta(minutes=40)
    grant = a_grant(
        world,
        GrantStatus.REMOVING,
        assigned_at=begun - timedelta(minutes=30),
        removal_started_at=begun,
        end_reason=EndReason.ENDED_EARLY,
    )
    assert grant.ends_at > business_now()
    found = facts()
    assert [late.grant for late in found.overdue] == [grant]
    assert found.overdue_count == 1
    raise_and_clear(found)
    alert = Alert.objects.get(kind=AlertKind.OVERDUE)
    assert alert.sentence.endswith("is still in Entra, overdue for 35 min.")


def test_all_that_are_overdue_are_counted_and_the_longest_are_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same judgement as of each alone, so that nothing that is in time stands before what is late."""
    now, early = business_now() + timedelta(hours=3), EndReason.ENDED_EARLY
    monkeypatch.setattr("oversight.facts.business_now", lambda: now)

    def ago(minutes: int) -> datetime:
        return now - timedelta(minutes=minutes)

    later = {"asked": timedelta(hours=4)}
    kinds: list[tuple[GrantStatus, dict[str, Any]]] = [
        (GrantStatus.ACTIVE, {}),
        (GrantStatus.ACTIVE, {**later, "fell_back_to": ago(6)}),
        (GrantStatus.ACTIVE, {**later, "fell_back_to": ago(4)}),
        (GrantStatus.ACTIVATING, {**later, "fell_back_to": ago(6)}),
        (GrantStatus.REMOVING, {"removal_started_at": now, "end_reason": early}),
        (GrantStatus.REMOVING, {"removal_started_at": now, "end_reason": EndReason.WINDOW_OVER}),
        (GrantStatus.REMOVING, {**later, "removal_started_at": ago(8), "end_reason": early}),
        (
            GrantStatus.REMOVING,
            {**later, "removal_started_at": ago(8), "assigned_at": ago(9), "end_reason": early},
        ),
        (GrantStatus.REMOVING, {**later, "removal_started_at": None, "end_reason": early}),
        (GrantStatus.DEPROVISIONING, {"out_of_entra_at": ago(10)}),
        (GrantStatus.DEPROVISIONING, {"out_of_entra_at": ago(150)}),
        (GrantStatus.DRAINING, {}),
    ]
    made = [a_grant(world, status, make.person(), **changes) for status, changes in kinds]
    each = [late for row in made if (late := overdue(Grant.objects.get(pk=row.pk), now))]
    assert len(each) == 5
    longest = sorted(each, key=lambda late: late.since)
    assert [late.grant for late in overdue_grants(now)] == [late.grant for late in longest]
    monkeypatch.setattr("requests_app.overdue.MOST", 2)
    monkeypatch.setattr("oversight.facts.MOST_OVERDUE", 1)
    found = health()
    assert [late.grant for late in found.facts.overdue] == [longest[0].grant]
    assert found.facts.overdue_count == len(each)
    assert found.overdue_words == f"{len(each)} grants are"
    page = main_of(world.sign_in(world.cy, "Operator").get("/operations/"))
    assert f"{len(each)} grants are past the target." in page
    assert "The 1 that should have been out the longest:" in page
    monkeypatch.setattr("requests_app.overdue.MOST_COUNTED", 3)
    assert facts().overdue_count == 4
    assert replace(found, facts=replace(found.facts, overdue_count=10_001)).overdue_words == (
        "More than 10,000 grants are"
    )


def test_work_that_nobody_takes_is_stuck_and_work_that_waits_is_not(world: World) -> None:
    grant = a_grant(
        world, next_action_at=business_now() - timedelta(minutes=5), retry_at=None, lease_until=None
    )
    assert facts().stuck == {"active": 1}
    Grant.objects.filter(pk=grant.pk).update(retry_at=real_now() + timedelta(minutes=1), failures=2)
    found = facts()
    assert (found.stuck, found.waiting) == ({}, 1)
    Grant.objects.filter(pk=grant.pk).update(retry_at=None, lease_until=real_now() + timedelta(minutes=1))
    assert facts().stuck == {}


def test_what_the_remover_the_severer_or_an_emergency_waits_for_is_stuck_too(
    world: World, settings: Settings
) -> None:
    ago = business_now() - timedelta(minutes=5)
    grant = a_grant(world, next_action_at=None)
    FastRemoval.objects.create(
        grant=grant, reason=FastRemoval.Reason.ENDED, wanted_at=ago, entra_read_at=ago, next_action_at=ago
    )
    with world.as_role("portal_severer"):
        SeveringPlace.objects.create(key="inline:set", next_action_at=ago)
    in_emergency(make.person(), make.pim_group(accounts=1), world.ben, world.as_role)
    with patch("oversight.facts.business_now", return_value=business_now() + timedelta(minutes=5)):
        found = facts()
        assert found.stuck == {"waiver": 1, "severing": 1}, "the remover has nothing to do where it is off"
        settings.FAST_REMOVAL = "direct"
        found = facts()
        assert found.stuck == {"waiver": 1, "fast_removal": 1, "severing": 1}
        assert found.oldest_owed_at == ago
        assert [words for words, _ in health().stuck] == [
            "Asks without an approval that nobody settles",
            "Fast removals that nobody does",
            "Places of denials that nobody writes",
        ]
        assert 'access_portal_stuck{status="waiver"} 1.0' in metrics_text().decode()
    raise_and_clear(found)
    told = list(Alert.objects.filter(kind=AlertKind.STUCK).order_by("key").values_list("sentence", flat=True))
    assert told == [
        "1 owed and taken by nobody: fast removal. Is the remover alive?",
        "1 owed and taken by nobody: severing. Is the severer alive?",
        "1 owed and taken by nobody: waiver. Are workers and beat alive?",
    ]


def test_facts_cost_a_bounded_number_of_queries(world: World) -> None:
    with CaptureQueriesContext(connection) as few:
        facts()
    for _ in range(4):
        make.finding(make.person(), world.group)
    a_grant(world)
    with CaptureQueriesContext(connection) as many:
        facts()
    assert len(many) == len(few) <= 24


def test_hops_are_judged_by_their_last_sign_of_life(world: World) -> None:
    states = {hop.name: hop.state for hop in health().hops}
    assert states["Sweeper"] == "Never seen"
    assert states["Broker (Redis)"] == "Not reachable"
    heartbeats._said.clear()
    heartbeats.ran("requests_app.tasks.sweep", "celery@one")
    states = {hop.name: hop.state for hop in health().hops}
    assert states["Sweeper"] == "Works"
    assert states["Worker celery@one"] == "Works"
    Heartbeat.objects.update(seen_at=real_now() - timedelta(minutes=5))
    states = {hop.name: hop.state for hop in health().hops}
    assert (states["Sweeper"], states["Worker celery@one"]) == ("Late", "Quiet")
    for number, sentence in (
        (1, "1 event has waited for its seal for 1 h."),
        (10_001, "More than 10,000 events wait for their seal, the oldest for 1 h."),
    ):
        behind = replace(health().facts, unsealed=number, seal_lag=timedelta(hours=1))
        assert [hop.sentence for hop in _machines(behind) if hop.name == "Sealer"] == [sentence]


def test_a_heartbeat_is_written_every_few_seconds_only(world: World) -> None:
    heartbeats._said.clear()
    with CaptureQueriesContext(connection) as asked:
        for _ in range(20):
            heartbeats.beat("task:x")
    assert len([each for each in asked if "oversight_heartbeat" in each["sql"]]) <= 3


def test_budgets_and_circuits_come_from_redis(world: World, redis_url: str) -> None:
    with override_settings(REDIS_URL=redis_url), redis.Redis.from_url(redis_url) as connection:
        breaker = SharedBreaker(connection)
        for _ in range(5):
            breaker.leave("organizations", Verdict.FAILED, "503")
        found = facts()
        breaker.leave("organizations", Verdict.ANSWERED)
    assert found.redis_reachable
    assert {circuit.cloud for circuit in found.circuits if circuit.open} == {"organizations"}
    assert 0 <= found.budgets["graph"] <= 50


def test_the_certificates_end_is_read_from_its_file(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worker")])
    ends_at = datetime(2030, 5, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 7)
        .not_valid_before(datetime(2025, 1, 1, tzinfo=UTC))
        .not_valid_after(ends_at)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    assert certificate_end(pem) == ends_at
    path = tmp_path_factory.mktemp("worker") / "worker.pem"
    path.write_bytes(pem)
    with patch.dict("os.environ", {"ENTRA_WORKER_CERTIFICATE_PATH": str(path)}):
        note_certificate()
    assert Expiry.objects.get().ends_at == ends_at
    with patch.dict("os.environ", {"ENTRA_WORKER_CERTIFICATE_PATH": "/nowhere"}):
        note_certificate()
    assert Expiry.objects.get().ends_at == ends_at


# ------------------------------------------------------------ metrics


def test_metrics_need_the_token_and_say_what_the_page_says(world: World) -> None:
    visitor = world.sign_in(world.ada, "Operator")
    assert visitor.get("/metrics").status_code == 404, "no token is configured"
    make.finding(world.cy, world.group)
    a_grant(world)
    with override_settings(METRICS_TOKEN="t0ken"):
        assert visitor.get("/metrics", authorization="Bearer wrong").status_code == 404
        assert visitor.get("/metrics").status_code == 404
        answer = visitor.get("/metrics", authorization="Bearer t0ken")
    assert answer.status_code == 200
    families = {family.name: family for family in text_string_to_metric_families(answer.content.decode())}
    kinds = {row.labels["kind"]: row.value for row in families["access_portal_drift_findings"].samples}
    assert kinds == {"orphan": 1}
    assert families["access_portal_grants"].samples[0].value == 1
    assert families["access_portal_redis_up"].samples[0].value == 0
    assert "Cy Bystander" not in answer.content.decode()


# ------------------------------------------------------------ alerts


@pytest.fixture
def channel() -> Iterator[FakeNotifier]:
    made = FakeNotifier()
    with (
        patch.object(alerts, "notifiers", lambda: {"mail": made}),
        patch.object(channels, "notifiers", lambda: {"mail": made}),
    ):
        yield made


def kinds() -> set[str]:
    return set(Alert.objects.filter(cleared_at=None).values_list("kind", flat=True))


def test_each_trouble_raises_its_alert(world: World, channel: FakeNotifier) -> None:
    assert raise_and_clear(facts()) == (0, 0)
    a_grant(world, next_action_at=business_now() - timedelta(minutes=5), retry_at=None)
    ProvisioningState.objects.update(code="Quarantine")
    make.finding(world.cy, world.group)
    make.finding(world.cy, world.group, "foreign_assignment")
    ends_at = real_now() + timedelta(days=3)
    known(EXPIRY, [Expiry.objects.create(name="scim-token", ends_at=ends_at, recorded_at=real_now())])
    anchors = [
        AnchorState("file", 3, None, timedelta(minutes=11)),
        AnchorState("webhook", 3, None, timedelta(minutes=9)),
    ]
    with patch.object(alerts, "SEAL_LAG", timedelta(seconds=-1)):
        raise_and_clear(replace(facts(), anchors=anchors))
        again = raise_and_clear(replace(facts(), anchors=anchors))
    assert kinds() == {"stuck", "quarantine", "drift", "ends_soon", "seal_lag", "anchor_lag"}
    assert Alert.objects.get(kind="anchor_lag").key == "file"
    assert Alert.objects.filter(kind="drift").count() == 1, "a foreign assignment is no danger by itself"
    assert again == (0, 0), "once each"
    assert not any(world.cy.display_name in alert.sentence for alert in Alert.objects.all())


def test_it_is_told_when_it_begins_and_when_it_is_over(world: World, channel: FakeNotifier) -> None:
    ProvisioningState.objects.update(code="Paused")
    raise_and_clear(facts())
    assert send_owed() == 1
    assert send_owed() == 0
    ProvisioningState.objects.update(code="Active")
    assert raise_and_clear(facts()) == (0, 1)
    assert send_owed() == 1
    assert [notice.over for notice in channel.told] == [False, True]
    assert len({notice.id for notice in channel.told}) == 2


def test_what_can_not_be_known_now_is_not_called_over(
    world: World, channel: FakeNotifier, redis_url: str
) -> None:
    stopped = ProvisioningHealth(HealthState.STOPPED, "Provisioning is in quarantine.", business_now())
    with override_settings(REDIS_URL=redis_url), redis.Redis.from_url(redis_url) as connection:
        for _ in range(5):
            SharedBreaker(connection).leave("organizations", Verdict.FAILED, "503")
        raise_and_clear(replace(facts(), provisioning=stopped))
        SharedBreaker(connection).leave("organizations", Verdict.ANSWERED)
    assert kinds() == {AlertKind.QUARANTINE, AlertKind.BREAKER}
    # Redis is away by now, and the job's state is too old to be believed.
    unknown = replace(facts(), provisioning=replace(stopped, state=HealthState.UNKNOWN))
    assert not unknown.redis_reachable
    assert raise_and_clear(unknown) == (0, 0)
    known = replace(unknown, provisioning=replace(stopped, state=HealthState.WELL), redis_reachable=True)
    assert raise_and_clear(known) == (0, 2)
    told = Event.objects.filter(type__startswith="operations.circuit_").order_by("id")
    assert [(event.type, event.data["fields"]["cloud"]) for event in told] == [
        ("operations.circuit_opened", "AWS Organizations"),
        ("operations.circuit_closed", "AWS Organizations"),
    ]


def test_what_has_no_place_in_a_long_list_is_not_called_over(world: World, channel: FakeNotifier) -> None:
    finding = make.finding(make.person(), world.group, kind=FindingKind.ORPHAN)
    begun = business_now() - timedelta(minutes=40)
    late = a_grant(
        world,
        GrantStatus.REMOVING,
        removal_started_at=begun,
        assigned_at=begun,
        end_reason=EndReason.ENDED_EARLY,
    )
    raise_and_clear(facts())
    assert kinds() == {AlertKind.DRIFT, AlertKind.OVERDUE}
    crowded = replace(facts(), overdue=())
    with patch.object(alerts, "MOST_FINDINGS", 0):
        assert raise_and_clear(crowded) == (0, 0)
        with transaction():
            change(finding, FindingStatus.GONE, "drift.gone", actor=Actor.worker(), now=business_now())
        Grant.objects.filter(pk=late.pk).update(removal_started_at=business_now())
        assert raise_and_clear(crowded) == (0, 2)


def test_a_channel_that_is_away_is_tried_again_and_given_up_at_last(
    world: World, channel: FakeNotifier
) -> None:
    ProvisioningState.objects.update(code="Paused")
    channel.away = True
    raise_and_clear(facts())
    assert send_owed() == 0
    row = Message.objects.get(kind="alert")
    assert (row.state, row.attempts, row.problem) == ("owed", 1, "The channel is away.")
    assert row.retry_at > real_now()
    assert send_owed() == 0, "not before its time"
    for _ in range(sending.MOST_ATTEMPTS):
        Message.objects.update(retry_at=real_now())
        send_owed()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("given_up", sending.MOST_ATTEMPTS)
    assert "The channel is away." in main_of(world.sign_in(world.cy, "Operator").get("/operations/alerts/"))


def test_a_channel_that_is_no_longer_configured_is_given_up(world: World, channel: FakeNotifier) -> None:
    ProvisioningState.objects.update(code="Paused")
    raise_and_clear(facts())
    with patch.object(channels, "notifiers", dict):
        assert send_owed() == 0
    assert Message.objects.get(kind="alert").problem == "This channel is no longer configured."


def a_notice(*, over: bool) -> Notice:
    return Notice(
        id="alert-1-raised",
        title="Alert: x",
        sentence="Something is wrong.",
        path="/operations/",
        kind="stuck",
        over=over,
        at=real_now(),
    )


def test_mail_goes_through_djangos_backend(world: World) -> None:
    environ = {
        "ALERT_MAIL_TO": "ops@example.com, more@example.com",
        "PORTAL_ORIGIN": "https://access.example.com",
    }
    notice = a_notice(over=False)
    build_notifiers(environ)["mail"].send(notice)
    (sent,) = mail.outbox
    assert sent.to == ["ops@example.com", "more@example.com"]
    assert "https://access.example.com/operations/" in str(sent.body)


def test_a_webhook_takes_json_and_anything_but_2xx_is_tried_again() -> None:
    got: list[dict[str, str]] = []
    answers = iter([204, 500, 302])

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(next(answers))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/hook"
    hook = build_notifiers({"ALERT_WEBHOOK_URL": url, "PORTAL_ORIGIN": "https://a.example"})["webhook"]
    notice = a_notice(over=True)
    try:
        hook.send(notice)
        for _ in range(2):
            with pytest.raises(ClientError):
                hook.send(notice)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    assert got[0]["state"] == "over"
    assert got[0]["link"] == "https://a.example/operations/"
    with pytest.raises(ClientError):
        hook.send(notice)


def test_a_webhook_without_tls_is_refused() -> None:
    with pytest.raises(NotPermitted, match="https"):
        build_notifiers({"ALERT_WEBHOOK_URL": "http://hooks.example.com/x"})
    assert build_notifiers({}) == {}
