"""Anchors: the newest seal reaches each place, whatever the place does, and sealing never waits for it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pytest_django import Settings

from audit.ledger import anchoring, anchors
from audit.ledger.anchoring import Anchorer, anchor_newest, anchor_states, start
from audit.ledger.anchors import AnchorError, FileAnchor, SignedSeal, WebhookAnchor
from audit.ledger.checks import check_anchors
from audit.ledger.keys import SealingKey, make_key
from audit.ledger.models import AnchorReceipt, Leaf, Seal
from audit.ledger.places import configured
from audit.ledger.sealing import seal_everything
from audit.ledger.syslog_anchor import SyslogAnchor
from oversight.facts import facts
from oversight.health import health
from oversight.metrics import metrics_text
from tests.audit.ledger.factories import note

type AsRole = Callable[[str], AbstractContextManager[None]]
NOW = timedelta(0)


@pytest.fixture
def key(tmp_path: Path) -> SealingKey:
    return make_key(tmp_path / "key")


@dataclass
class Place:
    """A place that takes a seal or, told so, doesn't."""

    name: str = "file"
    broken: bool = False
    taken: list[SignedSeal] = field(default_factory=list)

    def put(self, seal: SignedSeal) -> str:
        if self.broken:
            raise AnchorError("The disk is full.")
        self.taken.append(seal)
        return "thanks"


def sealed(key: SealingKey, as_role: AsRole, text: str = "") -> Seal:
    note(text)
    with as_role("portal_sealer"):
        seal_everything(key)
    return Seal.objects.order_by("-batch")[0]


@pytest.mark.django_db
def test_the_newest_seal_is_put_once_and_at_most_one_a_minute(key: SealingKey, as_role: AsRole) -> None:
    place = Place()
    with as_role("portal_sealer"):
        assert anchor_newest(place) is None  # nothing is sealed
    sealed(key, as_role)
    second = sealed(key, as_role)
    with as_role("portal_sealer"):
        assert anchor_newest(place) == place.taken[0]
        assert anchor_newest(place, every=NOW) is None  # it is there
    assert json.loads(place.taken[0].line()) == {
        "anchor": "access-portal audit seal 1",
        "batch": 2,
        "n": 1,
        "root": bytes(second.root).hex(),
        "prev_seal": bytes(second.prev_seal).hex(),
        "seal": bytes(second.seal).hex(),
        "key_id": key.id,
        "signature": bytes(second.signature).hex(),
        "at": second.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    sealed(key, as_role)
    with as_role("portal_sealer"):
        assert anchor_newest(place) is None  # the minute isn't over
        assert anchor_newest(place, every=NOW) == place.taken[1]
        assert anchor_newest(Place("webhook")) is not None  # each place has its own minute
    kept = AnchorReceipt.objects.order_by("place", "batch").values_list("place", "batch", "receipt")
    assert list(kept) == [("file", 2, "thanks"), ("file", 3, "thanks"), ("webhook", 3, "thanks")]


@pytest.mark.django_db
def test_a_place_that_fails_is_tried_for_ever_ever_more_rarely_and_then_gets_the_newest(
    key: SealingKey, as_role: AsRole
) -> None:
    place = Place(broken=True)
    anchorer = Anchorer(place, threading.Event())
    sealed(key, as_role)
    with as_role("portal_sealer"):
        waits = [anchorer.step() for _ in range(40)]
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == anchoring.MOST_PAUSE.total_seconds()
    assert not AnchorReceipt.objects.exists()
    newest = sealed(key, as_role)  # nor does sealing wait for it
    place.broken = False
    with as_role("portal_sealer"):
        assert anchorer.step() == anchorer.pause
    assert [seal.batch for seal in place.taken] == [newest.batch]


def test_a_place_that_hangs_holds_up_neither_sealing_nor_another_place(
    key: SealingKey, as_role: AsRole, committed_db: str
) -> None:
    class Hanging(Place):
        def put(self, seal: SignedSeal) -> str:
            asked.set()
            answered.wait(20)
            raise AnchorError("Too late.")

    class Good(Place):
        def put(self, seal: SignedSeal) -> str:
            good.set()
            raise AnchorError("It was asked, which is all that this test wants to know.")

    asked, answered, good, stop = (threading.Event() for _ in range(4))
    sealed(key, as_role)
    threads = start([Hanging("webhook"), Good()], stop)
    try:
        assert asked.wait(20)
        assert good.wait(20)
        assert sealed(key, as_role).batch == 2
    finally:
        stop.set()
        answered.set()
        for thread in threads:
            thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def seal_of(batch: int) -> SignedSeal:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return SignedSeal(batch, 1, bytes(32), bytes(32), bytes([batch]) * 32, "key", bytes(64), at)


def test_a_file_only_grows_and_a_torn_line_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "seals.jsonl"
    place = FileAnchor(path)
    first = place.put(seal_of(1))
    assert first.startswith(f"ends at byte {path.stat().st_size}, SHA-256 ")
    with path.open("a") as file:
        file.write('{"anchor":"acc')  # the machine died here
    place.put(seal_of(2))
    lines = path.read_text().splitlines()
    assert lines == [seal_of(1).line(), '{"anchor":"acc', seal_of(2).line()]
    with pytest.raises(AnchorError, match="can't be written"):
        FileAnchor(tmp_path / "absent" / "file").put(seal_of(1))


@dataclass
class Receiver:
    url: str
    status: int = 200
    trickles: bool = False
    got: list[tuple[str | None, bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append((self.headers["Authorization"], body))
            self.send_response(found.status)
            self.send_header("Location", found.url)
            self.end_headers()
            for _ in range(100 if found.trickles else 0):
                self.wfile.write(b"x")
                time.sleep(0.02)
            self.wfile.write(b"kept as \x00 7" + b"x" * 5000)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    found = Receiver(f"http://127.0.0.1:{server.server_port}/seals")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_is_shown_the_secret_and_its_answer_is_the_receipt(receiver: Receiver) -> None:
    place = WebhookAnchor(receiver.url, "s3cret")
    receipt = place.put(seal_of(1))
    assert receipt.startswith("200 kept as \ufffd 7xxx")
    assert len(receipt) == 500
    assert receiver.got == [("Bearer s3cret", seal_of(1).line().encode())]
    for status in (302, 401, 503):
        receiver.status = status
        with pytest.raises(AnchorError, match=f"answered {status}"):
            place.put(seal_of(1))
    assert len(receiver.got) == 4  # no redirect was followed
    with pytest.raises(AnchorError, match="can't be reached"):
        WebhookAnchor("http://127.0.0.1:1/", "s3cret").put(seal_of(1))


def test_a_webhook_has_kept_a_seal_when_its_status_says_so_however_slowly_it_goes_on(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchors, "TIMEOUT_SECONDS", 0.3)
    receiver.trickles = True
    began = time.monotonic()
    assert WebhookAnchor(receiver.url, "s3cret").put(seal_of(1)) == "200"
    assert time.monotonic() - began < 1.5


def test_places_come_from_the_settings_and_mistakes_are_named(settings: Settings, tmp_path: Path) -> None:
    def ids() -> list[object]:
        return [message.id for message in check_anchors()]

    settings.PORTAL_PROCESS, settings.AUDIT_ANCHORS = "web", ["file", "webhook"]
    assert ids() == []  # where they are isn't the web process's business
    settings.PORTAL_PROCESS = "sealer"
    assert ids() == ["ledger.E005", "ledger.E006"]
    settings.AUDIT_ANCHOR_FILE = str(tmp_path)
    assert ids() == ["ledger.E005", "ledger.E006"]
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "seals.jsonl")
    settings.AUDIT_ANCHOR_WEBHOOK_URL, settings.AUDIT_ANCHOR_WEBHOOK_SECRET = "https://a.example", "secret"
    assert ids() == []
    assert [place.name for place in configured()] == ["file", "webhook"]
    settings.AUDIT_ANCHORS = ["syslog"]
    for address in ("", "logs.example:0", "logs.example:syslog"):
        settings.AUDIT_ANCHOR_SYSLOG = address
        assert ids() == ["ledger.E009"], address
    settings.AUDIT_ANCHOR_SYSLOG, settings.AUDIT_ANCHOR_SYSLOG_CA_BUNDLE = (
        "logs.example",
        str(tmp_path / "absent"),
    )
    assert ids() == ["ledger.E009"]
    settings.AUDIT_ANCHOR_SYSLOG_CA_BUNDLE = ""
    assert ids() == []
    assert configured() == [SyslogAnchor("logs.example", 6514)]
    settings.AUDIT_ANCHORS = ["tape"]
    assert ids() == ["ledger.E004"]
    assert configured() == []


@pytest.mark.django_db
def test_pages_and_metrics_say_how_far_behind_a_place_is(
    key: SealingKey, as_role: AsRole, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_ANCHORS = []
    assert facts().anchors == ()
    settings.AUDIT_ANCHORS = ["file", "webhook"]
    sealed(key, as_role)
    with as_role("portal_sealer"):
        anchor_newest(Place())
    with as_role("portal_web"):
        file, webhook = anchor_states(["file", "webhook"])
        assert (file.batch, file.lag, webhook.batch, webhook.at) == (1, NOW, None, None)
        assert webhook.lag > NOW
        sealed_first = Leaf.objects.get(batch=1)
        assert (file.waits_since, file.newest_event) == (None, sealed_first.event_id)
        assert (webhook.waits_since, webhook.newest_event) == (sealed_first.at, None)
        hops = {hop.name: hop for hop in health().hops}
    assert hops["Anchor of seals: file"].state == "Works"
    assert hops["Anchor of seals: webhook"].state == "Nothing anchored yet"
    monkeypatch.setattr("oversight.health.LATE_ANCHOR", NOW)
    late = {hop.name: hop for hop in health().troubles}["Anchor of seals: webhook"]
    assert late.state == "Late"
    assert "anchor.failed" in late.sentence
    text = metrics_text().decode()
    assert 'access_portal_anchor_lag_seconds{place="file"} 0.0' in text
    assert 'access_portal_anchor_lag_seconds{place="webhook"}' in text
