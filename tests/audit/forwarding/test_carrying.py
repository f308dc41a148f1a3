"""The trail reaches its receivers in order and at least once, whoever dies; a dead one holds up nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from django.db import connection
from pytest_django import Settings
from structlog.testing import capture_logs

from audit.forwarding import carrying, receivers
from audit.forwarding.carrying import carry, due, stream_states
from audit.forwarding.checks import check_streams
from audit.forwarding.models import Stream
from audit.forwarding.receivers import Sealed, cloud_event, syslog_frame
from audit.forwarding.tasks import forward
from audit.ledger.reading import events_at
from audit.ledger.retirement import Month, Removed
from base import crash
from base.clock import real_now
from oversight.facts import facts
from oversight.health import health
from oversight.metrics import metrics_text
from tests.audit.forwarding.conftest import Seal
from tests.audit.forwarding.entries import entry_of
from tests.audit.forwarding.hooks import Hook, SyslogServer, certificate, syslog, webhook
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import note
from tests.support.stage import Died


@pytest.fixture
def hook(settings: Settings) -> Hook:
    settings.AUDIT_STREAMS = ["webhook"]
    settings.AUDIT_STREAM_WEBHOOK_SECRET = "top-secret"
    return Hook()


@pytest.fixture
def up(hook: Hook, settings: Settings) -> Iterator[Hook]:
    with webhook(hook):
        settings.AUDIT_STREAM_WEBHOOK_URL = hook.url
        yield hook


def ids_of(hook: Hook) -> list[int]:
    return [int(json.loads(body)["id"]) for body in hook.bodies]


def again() -> None:
    """The pause after a failure is over."""
    Stream.objects.update(retry_at=real_now())


def test_what_is_sealed_arrives_in_order_and_what_is_not_waits(seal: Seal, up: Hook) -> None:
    ids = [*seal(3), *seal(2)]
    note("not sealed yet")
    assert due(["webhook"]) == ["webhook"]
    assert carry("webhook") == 5
    assert ids_of(up) == ids
    assert (carry("webhook"), due(["webhook"])) == (0, [])
    assert up.headers[0]["path"] == "/events?from=portal"
    assert up.headers[0]["Authorization"] == "Bearer top-secret"
    assert up.headers[0]["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    [state] = stream_states(["webhook"])
    assert (state.sent, state.problem, state.lag) == (5, "", timedelta(0))


def test_a_cloud_event_has_what_the_specification_asks_for(settings: Settings) -> None:
    settings.PORTAL_ORIGIN = "https://access.example.com"
    found = json.loads(cloud_event(Sealed(entry_of("grant.arrived", id=9), 12, 3)))
    data = found.pop("data")
    assert found == {
        "specversion": "1.0",
        "id": "9",
        "source": "https://access.example.com/audit/",
        "type": "access-portal.grant.arrived",
        "time": "2026-05-01T12:30:00.123456Z",
        "subject": "00000000-0000-4000-8000-000000000001",
        "datacontenttype": "application/json",
        "dataschema": "https://schema.ocsf.io/1.8.0/classes/group_management",
        "sequence": "000000000012.000003",
    }
    assert (data["class_uid"], data["metadata"]["uid"]) == (3006, "9")


def test_a_receiver_that_dies_in_the_middle_lacks_nothing_when_it_is_back(
    seal: Seal, hook: Hook, settings: Settings
) -> None:
    ids = seal(7)
    hook.most = 4
    with webhook(hook):
        settings.AUDIT_STREAM_WEBHOOK_URL = hook.url
        carry("webhook")
    [state] = stream_states(["webhook"])
    assert (state.sent, state.problem) == (4, "The webhook can't be reached (RemoteDisconnected).")
    assert state.lag > timedelta(0)
    assert due(["webhook"]) == [], "it waits before it tries again"
    again()
    assert carry("webhook") == 0, "nobody listens"
    hook.most = 100
    again()
    ids += seal(1)
    with webhook(hook):
        carry("webhook")
    assert ids_of(hook) == ids, "in order, and nothing twice but what wasn't acknowledged"
    assert Stream.objects.get().failures == 0


@pytest.mark.parametrize("status", [302, 400, 503])
def test_what_is_refused_is_never_skipped(status: int, seal: Seal, up: Hook) -> None:
    ids = seal(2)
    up.status, up.answer = status, b"x" * 200_000
    pauses = []
    for _ in range(3):
        carry("webhook")
        pauses.append(round((Stream.objects.get().retry_at - real_now()).total_seconds()))
        again()
    stream = Stream.objects.get()
    assert pauses == [5, 10, 20]
    assert stream.problem == f"The webhook answered {status} to event {ids[0]}."
    assert (stream.sent, stream.idx) == (0, -1)
    assert len(up.headers) == 3, "no redirect was followed"
    up.status = 200
    assert carry("webhook") == 2
    assert ids_of(up) == ids


def test_a_webhook_that_trickles_is_waited_for_so_long_and_its_status_counts_at_once(
    seal: Seal, up: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receivers, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(receivers, "REST_SECONDS", 0.1)
    ids = seal(2)
    up.trickles = "head"
    began = time.monotonic()
    assert carry("webhook") == 0
    assert Stream.objects.get().problem == "The webhook didn't answer within 0 seconds."
    up.trickles = "body"
    up.bodies.clear()
    again()
    assert carry("webhook") == 2
    assert ids_of(up) == ids
    assert time.monotonic() - began < 1.8, "each of the three answers takes two seconds"


@pytest.mark.parametrize("error", [RuntimeError, SoftTimeLimitExceeded])
def test_what_nobody_foresaw_postpones_the_stream_with_a_sentence_and_keeps_what_was_acknowledged(
    error: type[Exception], seal: Seal, up: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(name: str) -> str:
        return f"Carrying it fails in a way that nobody foresaw ({name}). A worker's log says where."

    ids = seal(3)

    def torn(sealed: Sealed) -> bytes:
        if sealed.entry.event.id == ids[1]:
            raise error
        return cloud_event(sealed)

    monkeypatch.setattr(receivers, "cloud_event", torn)
    with capture_logs() as logs:
        assert carry("webhook") == 0
    [told] = [each for each in logs if each["event"] == "stream.broken"]
    assert (told["log_level"], told["stream"]) == ("error", "webhook")
    stream = Stream.objects.get()
    assert (stream.sent, stream.problem) == (1, says(error.__name__))
    assert due(["webhook"]) == [], "it waits before it tries again, and no longer"
    monkeypatch.undo()
    monkeypatch.setattr(carrying, "events_at", lambda _: 1 / 0)
    again()
    assert carry("webhook") == 0
    stream.refresh_from_db()
    assert (stream.problem, stream.failures) == (says("ZeroDivisionError"), 2)
    assert stream.lease_until <= real_now()


def test_a_death_repeats_and_loses_nothing(seal: Seal, up: Hook) -> None:
    ids = seal(3)

    def die(name: str) -> None:
        if name == "forwarding.before_noted":
            raise Died

    crash.install(die)
    try:
        with pytest.raises(Died):
            carry("webhook")
    finally:
        crash.install(None)
    assert Stream.objects.get().sent == 0
    assert carry("webhook") == 3
    assert ids_of(up) == [*ids, *ids]


def test_one_worker_at_a_time(seal: Seal, up: Hook) -> None:
    seal(1)
    now = real_now()
    Stream.objects.create(name="webhook", lease_until=now + timedelta(minutes=1), retry_at=now)
    assert (due(["webhook"]), carry("webhook")) == ([], 0)
    Stream.objects.update(lease_until=now)
    assert (due(["webhook"]), carry("webhook")) == (["webhook"], 1)


def test_who_lost_the_claim_notes_nothing(seal: Seal, up: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(2)
    post = receivers.Webhook._post

    def slow(*given: object) -> None:
        post(*given)  # type: ignore[arg-type] # as it was called
        Stream.objects.update(lease_until=real_now() + timedelta(minutes=1))

    monkeypatch.setattr(receivers.Webhook, "_post", slow)
    assert carry("webhook") == 0
    assert Stream.objects.get().idx == -1


def test_a_pass_is_bounded_and_goes_on_where_it_stopped(
    seal: Seal, up: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = seal(5)
    monkeypatch.setattr(carrying, "MOST_SECONDS", 0.0)
    assert carry("webhook") == 0
    monkeypatch.setattr(carrying, "MOST_SECONDS", 15.0)
    monkeypatch.setattr(carrying, "MOST_AT_ONCE", 2)
    assert carry("webhook") == 5
    assert ids_of(up) == ids


def test_a_month_that_was_removed_is_passed_by(seal: Seal, up: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(2)
    now = real_now()
    gone = Removed(1, (Month(now.year, now.month),), ())
    monkeypatch.setattr(carrying, "events_at", lambda _: [])
    monkeypatch.setattr(carrying, "removed", lambda: gone)
    assert carry("webhook") == 0
    monkeypatch.undo()
    assert due(["webhook"]) == []
    [state] = stream_states(["webhook"])
    assert state.missing == 0


def test_what_somebody_took_out_of_the_trail_is_told_and_holds_up_nothing(
    seal: Seal, up: Hook, settings: Settings, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = seal(4)
    taken = {ids[1], ids[3]}
    monkeypatch.setattr(
        carrying, "events_at", lambda places: [e for e in events_at(places) if e.event.id not in taken]
    )
    assert carry("webhook") == 2
    assert ids_of(up) == [ids[0], ids[2]]
    seal(1)
    assert carry("webhook") == 1
    [state] = stream_states(["webhook"])
    assert (state.sent, state.missing) == (3, 2), "each counted once"
    with as_role("portal_web"):
        [found] = [hop for hop in health().hops if hop.name == "Trail to webhook"]
    assert (found.tone, found.state) == ("problem", "Lacks events")
    assert "2 could not be sent" in found.sentence
    assert b'access_portal_stream_missing_events{stream="webhook"} 2.0' in metrics_text()


def test_what_nobody_configured_is_not_carried(seal: Seal, hook: Hook, settings: Settings) -> None:
    seal(1)
    settings.AUDIT_STREAMS = []
    assert carry("webhook") == 0
    assert not Stream.objects.exists()
    assert stream_states([]) == ()


def test_each_stream_that_is_due_is_rung_for(seal: Seal, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[str, float]] = []
    monkeypatch.setattr(
        "audit.forwarding.tasks.carry.apply_async", lambda args, expires: rung.append((*args, expires))
    )
    forward()
    seal(1)
    forward()
    assert rung == [("webhook", 10.0)]


# ------------------------------------------------------------ syslog over TLS


@pytest.fixture
def server(tmp_path: Path, settings: Settings) -> SyslogServer:
    made = SyslogServer(certificate(tmp_path))
    settings.AUDIT_STREAMS = ["syslog"]
    settings.AUDIT_STREAM_SYSLOG_CA = str(made.certificate)
    return made


def carried(server: SyslogServer, settings: Settings) -> int:
    with syslog(server):
        settings.AUDIT_STREAM_SYSLOG = f"127.0.0.1:{server.port}"
        return carry("syslog")


def told(server: SyslogServer) -> list[int]:
    return [int(json.loads(message[message.index(b"{") :])["metadata"]["uid"]) for message in server.messages]


def test_syslog_is_read_whole_and_in_order(seal: Seal, server: SyslogServer, settings: Settings) -> None:
    ids = [*seal(4), *seal(2)]
    assert carried(server, settings) == 6
    assert told(server) == ids
    assert b"".join(b"%d %s" % (len(message), message) for message in server.messages) == server.read


def test_a_frame_is_as_the_standards_say() -> None:
    sealed = Sealed(entry_of("drift.found", "é"), 12, 3)
    frame = syslog_frame(sealed, receivers.PAYLOADS["cef"], "access.example.com")
    length, _, message = frame.partition(b" ")
    assert int(length) == len(message)
    assert message.decode().startswith(
        "<107>1 2026-05-01T12:30:00.123456Z access.example.com access-portal - drift.found - CEF:0|"
    )
    sealed = Sealed(entry_of("drift.found", type="x - \nforged <13>1 é and so on, for long"), 12, 3)
    message = syslog_frame(sealed, receivers.PAYLOADS["cef"], "access.example.com").partition(b" ")[2]
    assert message.split(b" ")[5:7] == [b"x?-??forged?<13>1???and?so?on,?f", b"-"]


def test_a_syslog_server_that_dies_gets_it_all_again(
    seal: Seal, server: SyslogServer, settings: Settings
) -> None:
    ids = seal(5)
    server.most = 1_500
    assert carried(server, settings) == 0
    stream = Stream.objects.get()
    assert (stream.sent, stream.idx) == (0, -1), "what it has, nobody knows"
    assert "syslog server" in stream.problem
    server.most, server.read = None, b""
    again()
    assert carried(server, settings) == 5
    assert told(server) == ids


def test_without_the_end_of_the_session_nothing_counts_unless_told_so(
    seal: Seal, server: SyslogServer, settings: Settings
) -> None:
    seal(2)
    server.polite = False
    assert carried(server, settings) == 0
    assert "didn't answer the end of the TLS session" in Stream.objects.get().problem
    settings.AUDIT_STREAM_SYSLOG_CONFIRMS = False
    again()
    assert carried(server, settings) == 2


def test_a_server_that_nobody_vouches_for_gets_nothing(
    seal: Seal, server: SyslogServer, settings: Settings, tmp_path: Path
) -> None:
    seal(1)
    settings.AUDIT_STREAM_SYSLOG_CA = str(certificate(tmp_path, "another"))
    assert carried(server, settings) == 0
    assert "its certificate isn't trusted: self-signed certificate" in Stream.objects.get().problem
    assert server.read == b""


def test_a_server_that_asks_who_we_are_is_told(
    seal: Seal, server: SyslogServer, settings: Settings, tmp_path: Path
) -> None:
    seal(1)
    server.clients = certificate(tmp_path, "ours")
    assert carried(server, settings) == 0
    settings.AUDIT_STREAM_SYSLOG_CERTIFICATE = str(server.clients)
    again()
    assert carried(server, settings) == 1


def test_one_that_is_away_does_not_hold_up_the_other(
    seal: Seal, server: SyslogServer, up: Hook, settings: Settings
) -> None:
    ids = seal(2)
    settings.AUDIT_STREAMS = ["syslog", "webhook"]
    settings.AUDIT_STREAM_SYSLOG = "127.0.0.1:1"
    assert (carry("syslog"), carry("webhook")) == (0, 2)
    assert ids_of(up) == ids


# ------------------------------------------------------------ what people see


def test_operators_see_how_a_stream_stands(
    seal: Seal, up: Hook, settings: Settings, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hop() -> tuple[str, str]:
        with as_role("portal_web"):
            [found] = [hop for hop in health().hops if hop.name == "Trail to webhook"]
        return found.state, found.sentence

    assert hop() == ("Nothing sent yet", "")
    seal(1)
    carry("webhook")
    assert hop() == ("Works", "")
    up.status = 503
    ids = seal(1)
    carry("webhook")
    state, sentence = hop()
    assert state == "Failing"
    assert sentence.startswith(f"The webhook answered 503 to event {ids[0]}. The oldest event that it lacks")
    monkeypatch.setattr("oversight.health.LATE_STREAM", timedelta(0))
    assert hop()[0] == "Late"
    assert b'access_portal_stream_lag_seconds{stream="webhook"}' in metrics_text()
    assert b'access_portal_stream_events{stream="webhook"} 1.0' in metrics_text()
    settings.AUDIT_STREAMS = []
    assert facts().streams == ()


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"AUDIT_STREAMS": []}, []),
        ({"AUDIT_STREAMS": ["pigeon"]}, ["forwarding.E001"]),
        ({"AUDIT_STREAMS": ["s3"], "AUDIT_STREAM_BUCKET": "logs"}, ["forwarding.E006"]),
        ({"AUDIT_STREAMS": ["webhook"]}, ["forwarding.E002"]),
        ({"AUDIT_STREAMS": ["syslog"]}, ["forwarding.E003"]),
        ({"AUDIT_STREAMS": ["syslog"], "AUDIT_STREAM_SYSLOG": "log.example.com"}, ["forwarding.E003"]),
        ({"AUDIT_STREAMS": ["syslog"], "AUDIT_STREAM_SYSLOG": "log.example.com:6514"}, []),
        (
            {
                "AUDIT_STREAMS": ["syslog"],
                "AUDIT_STREAM_SYSLOG": "log.example.com:6514",
                "AUDIT_STREAM_SYSLOG_PAYLOAD": "xml",
                "AUDIT_STREAM_SYSLOG_CA": "/nowhere",
            },
            ["forwarding.E004", "forwarding.E005"],
        ),
    ],
)
def test_settings_that_lead_nowhere_are_refused(
    given: dict[str, object], ids: list[str], settings: Settings
) -> None:
    settings.PORTAL_PROCESS = "worker"
    for name, value in given.items():
        setattr(settings, name, value)
    assert [message.id for message in check_streams()] == ids


def test_following_the_trail_walks_the_index_of_the_seals(seal: Seal) -> None:
    seal(3)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {carrying._FOLLOWING}", [1, 1, 100])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "audit_leaf_batch_idx_key" in plan
    assert "Sort" not in plan
