"""What gunicorn is told: nothing that is under way is cut off, and nobody holds a thread for good."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType, SimpleNamespace

import pytest
import yaml

from audit.exporting import running
from stack.running import ROOT


@pytest.fixture
def told() -> ModuleType:
    spec = spec_from_file_location("gunicorn_conf", ROOT / "gunicorn.conf.py")
    assert spec
    assert spec.loader
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def test_a_client_that_stops_reading_is_let_go(
    told: ModuleType, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "SEND_SECONDS", 1)
    told.when_ready(SimpleNamespace(LISTENERS=[SimpleNamespace(sock=listening)]))
    with socket.create_connection(listening.getsockname()), listening.accept()[0] as ours:
        ours.setblocking(True)  # noqa: FBT003 - as gunicorn does with each connection
        began = time.monotonic()
        with pytest.raises((BlockingIOError, TimeoutError)):
            ours.sendall(bytes(64 << 20))
        assert time.monotonic() - began < 10


def test_what_is_under_way_has_time_to_end(told: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not hasattr(told, "max_requests"), "it cuts off whatever is under way"
    assert told.sendfile is False, "it would wait for a client for ever"
    assert told.graceful_timeout > told.SEND_SECONDS
    web = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["web"]
    assert told.graceful_timeout < int(web["stop_grace_period"].removesuffix("s"))
    monkeypatch.setattr(running, "_stopping", running._stopping)
    worker = SimpleNamespace(alive=True)
    told.post_worker_init(worker)
    assert not running._stopping()
    worker.alive = False
    assert running._stopping()
