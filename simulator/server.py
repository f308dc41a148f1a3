"""One process of simulated clouds: the world, its lock, the listeners in front of it, and keeping the world."""

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask

from simulator.aws.app import create_app
from simulator.aws.roles import ADMINISTRATOR, REMOVER, SEVERER, WORKER
from simulator.calls import CallLog
from simulator.control import control
from simulator.delays import DELAYS
from simulator.entra.app import authority_app, browser_app
from simulator.entra.files import write_private
from simulator.entra.graph.app import add_graph
from simulator.entra.graph.core import GraphFront
from simulator.entra.graph.exchange import Recording
from simulator.entra.people import WorldAccounts
from simulator.entra.provider import Provider
from simulator.entra.registrations import load_registrations
from simulator.entra.tls import ensure_server_tls
from simulator.entra.tokens import SigningKeys
from simulator.entra.workload import Workload
from simulator.faulty import faulty
from simulator.listener import LOOPBACK, Listener
from simulator.portal import access_portal_pages
from simulator.sample import named_world
from simulator.scim.app import scim_blueprint
from simulator.world.clock import WorldClock
from simulator.world.faults import Fault
from simulator.world.world import World

SAVE_EVERY_SECONDS = 3.0
AWS_ROLES = {"worker": WORKER, "remover": REMOVER, "severer": SEVERER, "administrator": ADMINISTRATOR}
SAMPLE_RULES = Path(__file__).resolve().with_name("sample") / "rules.yaml"
SAVE_ANYWAY_SECONDS = 30.0


@dataclass(frozen=True)
class Options:
    """How to run the simulated clouds. `port_base` 0 takes free ports."""

    state_dir: Path
    seed: str = "sample"
    port_base: int = 0
    clock_factor: float = 1.0
    clock_anchor_real: datetime | None = None
    clock_anchor_business: datetime | None = None
    stepped: bool = False
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    record: Path | None = None
    page_size: int = 0
    bind: str = LOOPBACK


def _clock(options: Options, kept_at: datetime | None) -> WorldClock:
    """The clock that the options describe; one that is stepped goes on where it stood."""
    if options.stepped:
        return WorldClock.stepping(kept_at or options.clock_anchor_business or datetime.now(UTC))
    real = options.clock_anchor_real or datetime.now(UTC)
    return WorldClock.scaled(
        options.clock_factor, anchor_real=real, anchor_world=options.clock_anchor_business or real
    )


def _kept[T](path: Path, make: Callable[[], T]) -> T:
    """What a JSON file holds; made and written, for its owner only, when there is none."""
    if path.exists():
        kept: T = json.loads(path.read_text())
        return kept
    made = make()
    write_private(path, json.dumps(made).encode())
    return made


class Simulator:
    """Listeners and keeper around one world. `start` returns at once; `stop` saves and frees the ports."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.lock = threading.RLock()
        self.calls = CallLog()
        folder = options.state_dir
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._world_path = folder / "world.json"
        self._clock_path = folder / "clock.json"
        self.world = self._open_world()
        self._tls = ensure_server_tls(folder)
        base = options.port_base
        self._secure = Listener(port=base, tls=self._tls, bind=options.bind)
        self._plain = Listener(port=base + 1 if base else 0, bind=options.bind)
        self._aws = Listener(port=base + 2 if base else 0, bind=options.bind)
        self._workload = Workload(folder)
        self.provider = Provider(
            tenant_id=self.world.state.tenant_id,
            authority=f"https://{self._secure.address}",
            browser_origin=f"http://{self._plain.address}",
            keys=SigningKeys(folder / "signing-keys.json"),
            registrations=load_registrations(
                folder,
                redirect_uris=options.redirect_uris,
                post_logout_redirect_uris=options.post_logout_redirect_uris,
            ),
            accounts=WorldAccounts(self.world, self.lock),
            workload=self._workload,
            old_keys_stay=lambda: self.world.switches.old_keys_stay_published,
        )
        self.graph = GraphFront(self.provider, self.world, self.lock, self.calls, options.page_size)
        self._aws_keys: dict[str, list[str]] = _kept(
            folder / "aws-keys.json",
            lambda: {
                name: ["AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)] for name in AWS_ROLES
            },
        )
        self._managed_groups = folder / "managed-groups.txt"
        if options.record is not None:
            self.graph.observers.append(Recording(options.record))
        self.apps = {"authority": authority_app(self.provider), "browser": self._plain_app()}
        authority = faulty(self.apps["authority"], "entra", self._take_fault)
        self._secure.use(self.calls.watch(authority, "entra", _describe))
        self._plain.use(self.apps["browser"])
        self._aws.use(self.calls.watch(self._aws_app(), "aws", _describe_aws))
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._saved: object = None
        self._saved_at = 0.0
        self._calls = 0

    def _open_world(self) -> World:
        if self._world_path.exists():
            kept_at = None
            if self._clock_path.exists():
                kept_at = datetime.fromisoformat(json.loads(self._clock_path.read_text())["now"])
            return World.load(self._world_path, _clock(self.options, kept_at))
        return named_world(self.options.seed, _clock(self.options, None))

    def _aws_app(self) -> Any:
        roles = {self._aws_keys[name][0]: role for name, role in AWS_ROLES.items()}
        return create_app(self.world, self.lock, roles=roles)

    def _plain_app(self) -> Flask:
        app = browser_app(self.provider)
        add_graph(app, self.graph)
        app.register_blueprint(scim_blueprint(self.world, self.lock))
        app.register_blueprint(
            control(world=self.world, lock=self.lock, provider=self.provider, calls=self.calls)
        )
        app.register_blueprint(
            access_portal_pages(world=self.world, lock=self.lock, accounts=self.provider.accounts)
        )
        return app

    def _take_fault(self, operation: str) -> Fault | None:
        with self.lock:
            return self.world.faults.take(operation)

    def description(self) -> dict[str, Any]:
        """What a client needs to know, as printed when the simulator is ready."""
        registrations = self.provider.registrations
        browser = self.provider.browser_origin
        state = self.world.state
        return {
            "authority": self.provider.authority,
            "browser_origin": browser,
            "graph_base_url": f"{browser}/v1.0",
            "aws_endpoint_url": f"http://{self._aws.address}",
            "control_url": f"{browser}/_control",
            "ca_bundle": str(self._tls.ca_bundle.resolve()),
            "tenant_id": state.tenant_id,
            "signin_client_id": registrations.signin.client_id,
            "signin_client_secret": registrations.signin.secret,
            "worker_client_id": registrations.worker.client_id,
            "worker_client_secret": registrations.worker.secret,
            "worker_certificate_path": str(registrations.worker_certificate_path.resolve()),
            "worker_federated_token_file": str(self._workload.token_path.resolve()),
            "aws_service_principal_id": state.application.id,
            "managed_groups_file": str(self._managed_groups.resolve()),
            "approval_rules_file": str(SAMPLE_RULES),
            "access_portal_url": f"{browser}/start",
            "region": state.identity_center.region,
            **self._aws_credentials(),
            "pid": os.getpid(),
        }

    def _aws_credentials(self) -> dict[str, str]:
        """The worker's key, and those of the other roles with the role in their names."""
        found: dict[str, str] = {}
        for name, (key_id, secret) in self._aws_keys.items():
            prefix = "aws" if name == "worker" else f"aws_{name}"
            found |= {f"{prefix}_access_key_id": key_id, f"{prefix}_secret_access_key": secret}
        return found

    def start(self) -> None:
        """Begin to answer on every port."""
        lines = ["# Groups that the portal may manage: one object id per line."]
        for group_id in self.world.state.managed_group_ids:
            group = self.world.directory.find_group(group_id)
            lines.append(f"{group_id}  # {group.display_name}" if group else group_id)
        self._managed_groups.write_text("\n".join(lines) + "\n")
        self._workload.refresh()
        for listener in (self._secure, self._plain, self._aws):
            listener.start()
        self._keeper.start()

    def stop(self) -> None:
        """Stop answering, save the world, free the ports."""
        self._stopping.set()
        DELAYS.let_go()
        for listener in (self._plain, self._secure, self._aws):
            listener.stop()
        if self._keeper.is_alive():
            self._keeper.join(timeout=10)
        self.save(always=True)

    def save(self, *, always: bool = False) -> bool:
        """Write the world to the state folder if it changed. Returns whether it was written.

        What leaves no trace in ids, due times, journal or switches is caught by a save once in a while.
        """
        with self.lock:
            self.world.advance()
            seen = self._traces()
            overdue = (
                time.monotonic() - self._saved_at > SAVE_ANYWAY_SECONDS and self.calls.total != self._calls
            )
            if not always and seen == self._saved and not overdue:
                return False
            self.world.save(self._world_path)
            write_private(self._clock_path, json.dumps({"now": self.world.now().isoformat()}).encode())
            self._saved, self._saved_at, self._calls = seen, time.monotonic(), self.calls.total
        with contextlib.suppress(OSError):
            self._world_path.chmod(0o600)
        return True

    def _traces(self) -> object:
        state = self.world.state
        last = state.journal[-1] if state.journal else None
        return (
            state.due_counter,
            len(state.due),
            self.world.dice.counter,
            self.world.clock.stepped,
            (last.at, last.sentence) if last else None,
            repr(state.switches),
        )

    def _keep(self) -> None:
        while not self._stopping.wait(SAVE_EVERY_SECONDS):
            self._workload.refresh()
            self.save()


def _describe(environ: dict[str, Any]) -> str:
    return f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"


def _describe_aws(environ: dict[str, Any]) -> str:
    return str(environ.get("HTTP_X_AMZ_TARGET") or _describe(environ))
