"""The whole portal on one machine: servers, simulated clouds, every process. For the demo and the tests."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from stack import business_clock
from stack.postgres import DATABASE, EmbeddedPostgres
from stack.private import LOOPBACK, free_port, new_password, port_is_free, private_dir, write_private
from stack.processes import (
    BEAT,
    DATABASE_ROLES,
    LONG_RUNNING,
    MIGRATE,
    MIGRATION,
    WEB,
    WORKER,
    Process,
    environment_for,
)
from stack.redis import EmbeddedRedis
from stack.supervisor import Child, Service, Watch, describe, log_tail, run_to_end, wait_until

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_RULES = ROOT / "simulator" / "sample" / "rules.yaml"
# Each part may take so long: one that has ended is told of at once, and a slow machine is no failure.
START_SECONDS = 300.0
SYNC_SECONDS = 600.0
ENTRA_CALLBACK = "/accounts/oidc/entra/login/callback/"
SIGNED_OUT = "/signed-out/"
SIMULATOR = "simulator"
# Settings of the portal that the demo takes from the shell.
CHOICES = ("ACTIVITY", "FAST_REMOVAL", "SESSION_SEVERING", "SESSION_SEVERING_PLACES")


class Stack:
    """Everything, from PostgreSQL to the web server, with its state in `state_dir`; a context manager.

    `speed` is the factor between business time and real time. Ports are kept from run to run while they are
    free. `bind` is another address than loopback only inside a container, whose ports the host publishes on
    its own loopback; browsers use 127.0.0.1 either way. With `durable=False` PostgreSQL and Redis needn't
    survive the death of the machine (tests).
    Entering raises StackError, after stopping whatever was started, when a part doesn't come up.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        speed: float = 1.0,
        web_port: int | None = None,
        simulator_ports: int | None = None,
        bind: str = LOOPBACK,
        durable: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.state_dir = private_dir(state_dir)
        self.logs = private_dir(self.state_dir / "logs")
        self.speed = speed
        self.say = say
        self.durable = durable
        self.clouds: dict[str, Any] = {}
        self.children: dict[str, Child] = {}
        self._watched: list[Watch] = []
        self._cleanup = contextlib.ExitStack()
        self._ports_path = self.state_dir / "ports.json"
        self._ports: dict[str, int] = (
            json.loads(self._ports_path.read_text()) if self._ports_path.exists() else {}
        )
        self._wished_web_port = self._ports.get(WEB) or web_port
        self._wished_simulator_ports = self._ports.get(SIMULATOR) or simulator_ports or free_port()
        self._bind = bind
        self._clock_path = self.state_dir / "clock.json"
        self._marked = 0.0

    # --- what a person or a test asks for

    @property
    def origin(self) -> str:
        """The portal's address for browsers."""
        return f"http://{LOOPBACK}:{self._ports[WEB]}"

    @property
    def control_url(self) -> str:
        """The simulated clouds' control API."""
        return str(self.clouds["control_url"])

    def people(self) -> list[dict[str, str]]:
        """Who to sign in as: name, upn and what each is for."""
        with self._open(f"{self.control_url}/people?featured=1") as answer:
            found: list[dict[str, str]] = json.load(answer)
        return found

    def business_now(self) -> datetime:
        """Now on the business clock."""
        return self.anchors.at(datetime.now(self.anchors.real.tzinfo))

    def manage(self, *arguments: str, process: str = WORKER, seconds: float = START_SECONDS) -> None:
        """Run a management command as a process of kind `process`. Raises StackError when it fails."""
        name = f"{process}-{arguments[0]}"
        command = ("python", "manage.py", *arguments)
        run_to_end(
            self._child(name, Process(process, command), log=f"manage-{arguments[0]}"), seconds=seconds
        )

    def start_beside(self, name: str, process: Process) -> None:
        """Start one more process of the portal, which is watched and stopped with the others."""
        self._keep(name, self._child(name, process))

    # --- life

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def watch(self) -> None:
        """Look at every process once and start again what has ended; call it about twice a second.

        Raises StackError when one keeps ending.
        """
        for watch in self._watched:
            watch.look()
        if time.monotonic() - self._marked > business_clock.MARK_EVERY.total_seconds():
            business_clock.mark(self._clock_path, self.anchors, stopped=False)
            self._marked = time.monotonic()

    def ended(self) -> list[str]:
        """The processes that run no more, with how each ended; empty while all is well."""
        return [
            f"{watch.name} ({describe(code)}); {log_tail(watch.service.log_path)}"
            for watch in self._watched
            if (code := watch.service.process.poll()) is not None
        ]

    def stop(self) -> None:
        """Stop every process: the portal's together, then the servers and clouds that these still talk to."""
        for name, child in self.children.items():
            if name != SIMULATOR:
                child.ask_to_end()
        self._cleanup.close()
        self.children.clear()
        self._watched.clear()

    def _start(self) -> None:
        self.anchors = business_clock.begin(self._clock_path, self.speed)
        self._cleanup.callback(lambda: business_clock.mark(self._clock_path, self.anchors, stopped=True))
        self._ports = {WEB: free_port(self._wished_web_port), SIMULATOR: self._simulator_ports()}
        write_private(self._ports_path, json.dumps(self._ports) + "\n")

        self.say("Starting the simulated clouds, PostgreSQL and Redis ...")
        simulator = self._simulator()
        self._keep(SIMULATOR, simulator)
        self.postgres = EmbeddedPostgres(self.state_dir / "postgres", durable=self.durable)
        self._keep("postgres", self.postgres)
        self.postgres.bootstrap()
        self.redis = EmbeddedRedis(self.state_dir / "redis", durable=self.durable)
        self._keep("redis", self.redis)
        wait_until(self._clouds_are_up, simulator, seconds=START_SECONDS)

        self.say("Preparing the database and the static files ...")
        static_files = self._child(
            "collectstatic", Process(MIGRATE, ("python", "manage.py", "collectstatic", "--noinput"))
        )
        static_files.start()
        self._cleanup.callback(static_files.stop)
        run_to_end(self._child("migrate", MIGRATION), seconds=START_SECONDS)
        wait_until(lambda: static_files.process.poll() == 0, static_files, seconds=START_SECONDS)

        self.say("Starting the portal ...")
        for process in LONG_RUNNING:
            if process.kind != BEAT and self._has_work(process):
                self._keep_copies(process)
        self.say("Reading the clouds into the catalogue ...")
        self.manage("policy", "apply", str(SAMPLE_RULES), "--first")
        self.manage("sync_catalogue", seconds=SYNC_SECONDS)
        # Last: beat would have the workers read the clouds at the same time, and each part waits for the other.
        self._keep_copies(next(process for process in LONG_RUNNING if process.kind == BEAT))
        self._wait_until_ready()

    def _has_work(self, process: Process) -> bool:
        """Whether the setting that a process carries out is on."""
        if process.only_when is None:
            return True
        name, value = process.only_when
        return self._chosen().get(name) == value

    @staticmethod
    def _chosen() -> dict[str, str]:
        """What whoever starts the stack chose of those settings; what takes access away faster is off by default."""
        return {name: os.environ[name] for name in CHOICES if os.environ.get(name)}

    def _keep_copies(self, process: Process) -> None:
        for number in range(1, process.copies + 1):
            name = process.kind if process.copies == 1 else f"{process.kind}-{number}"
            self._keep(name, self._child(name, process, number=number))

    def _wait_until_ready(self) -> None:
        wait_until(self._web_answers, self.children[WEB], seconds=START_SECONDS)
        for process in LONG_RUNNING:
            for name, child in self.children.items():
                text = process.ready
                if text is not None and name.partition("-")[0] == process.kind:
                    wait_until(partial(child.has_logged, text), child, seconds=START_SECONDS)

    def _keep(self, name: str, service: Service) -> None:
        """Start a service that runs until the end, is watched, and is stopped in reverse order."""
        self._cleanup.callback(service.stop)
        service.start()
        self._watched.append(Watch(name, service, self.say))
        if isinstance(service, Child):
            self.children[name] = service

    # --- the simulated clouds

    def _simulator_ports(self) -> int:
        """The first of three free ports next to each other; 0 lets the simulator choose."""
        first = self._wished_simulator_ports
        return first if all(port_is_free(first + offset) for offset in range(3)) else 0

    def _simulator(self) -> Child:
        command = [
            *(sys.executable, "-m", "simulator"),
            *("--state-dir", str(private_dir(self.state_dir / "simulator"))),
            *("--seed", "sample"),
            *("--port-base", str(self._ports[SIMULATOR])),
            *("--redirect-uri", self.origin + ENTRA_CALLBACK),
            *("--post-logout-redirect-uri", self.origin + SIGNED_OUT),
            *self.anchors.arguments(),
            *([] if self._bind == LOOPBACK else ["--bind", self._bind]),
        ]
        return Child(
            SIMULATOR,
            command,
            self._bare_environment(),
            self.logs / "simulator.log",
            ROOT,
            stdout_path=self.state_dir / "simulator" / "ready.json",
        )

    def _clouds_are_up(self) -> bool:
        first_line = (self.state_dir / "simulator" / "ready.json").read_text().partition("\n")
        if not first_line[1]:
            return False
        self.clouds = json.loads(first_line[0])
        return True

    # --- processes of the portal

    def _child(self, name: str, process: Process, *, number: int = 1, log: str | None = None) -> Child:
        command = list(process.command)
        if "worker" in command:
            command += ["--hostname", f"worker-{number}@%h"]
        # The programs of our own virtual environment, whatever PATH says.
        program = Path(sys.executable).parent / command[0]
        return Child(
            name,
            [str(program), *command[1:]],
            self.environment(process.kind),
            self.logs / f"{log or name}.log",
            ROOT,
        )

    def environment(self, kind: str) -> dict[str, str]:
        """Everything a process of `kind` is told, and nothing that only others may know."""
        everything = {
            **self._bare_environment(),
            **self.anchors.variables(),
            **self._secrets(),
            **self._cloud_variables(),
            **self._chosen(),
            "PORTAL_MODE": "demo",
            "PORTAL_ORIGIN": self.origin,
            "ALLOWED_HOSTS": f"{LOOPBACK},localhost",
            "WEB_BIND": f"{self._bind}:{self._ports[WEB]}",
            "WEB_CONCURRENCY": "1",
            "DATABASE_HOST": LOOPBACK,
            "DATABASE_PORT": str(self.postgres.port),
            "DATABASE_NAME": DATABASE,
            "DATABASE_PASSWORD": self.postgres.passwords[DATABASE_ROLES[kind]],
            "REDIS_URL": self.redis.url,
            "STATIC_ROOT": str(self.state_dir / "static"),
            # There is no mail server: what is sent stands at /demo/mail/.
            "MAIL_BACKEND": "notifications.demo_mail.EmailBackend",
            "MAIL_FROM": "access-portal@demo.example",
            "ALERT_MAIL_TO": "operators@demo.example",
            "CELERY_BEAT_SCHEDULE": str(self.state_dir / "beat-schedule"),
            # For whoever verifies, although in the demo everything is in one hand.
            "AUDIT_ANCHORS": "file",
            "AUDIT_ANCHOR_FILE": str(self.state_dir / "anchors.jsonl"),
        }
        return environment_for(kind, everything)

    def _cloud_variables(self) -> dict[str, str]:
        clouds = self.clouds
        bundle = clouds["ca_bundle"]
        return {
            "ENTRA_TENANT_ID": clouds["tenant_id"],
            "ENTRA_AUTHORITY": clouds["authority"],
            "ENTRA_BROWSER_ORIGIN": clouds["browser_origin"],
            "ENTRA_CA_BUNDLE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "SSL_CERT_FILE": bundle,
            "ENTRA_SIGNIN_CLIENT_ID": clouds["signin_client_id"],
            "ENTRA_SIGNIN_CLIENT_SECRET": clouds["signin_client_secret"],
            "ENTRA_SIGNIN_WORKER_SECRET": clouds["signin_client_secret"],
            "ENTRA_WORKER_CLIENT_ID": clouds["worker_client_id"],
            "ENTRA_WORKER_CERTIFICATE_PATH": clouds["worker_certificate_path"],
            "GRAPH_BASE_URL": clouds["graph_base_url"],
            "ENTRA_AWS_SERVICE_PRINCIPAL_ID": clouds["aws_service_principal_id"],
            "AWS_REGION": clouds["region"],
            "AWS_DEFAULT_REGION": clouds["region"],
            "AWS_ENDPOINT_URL": clouds["aws_endpoint_url"],
            "AWS_ACCESS_KEY_ID": clouds["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": clouds["aws_secret_access_key"],
            "REMOVER_AWS_ACCESS_KEY_ID": clouds["aws_remover_access_key_id"],
            "REMOVER_AWS_SECRET_ACCESS_KEY": clouds["aws_remover_secret_access_key"],
            "SEVERER_AWS_ACCESS_KEY_ID": clouds["aws_severer_access_key_id"],
            "SEVERER_AWS_SECRET_ACCESS_KEY": clouds["aws_severer_secret_access_key"],
            "AWS_ACCESS_PORTAL_URL": clouds["access_portal_url"],
            "PORTAL_MANAGED_GROUPS_FILE": clouds["managed_groups_file"],
            "ACTIVITY": "on",
            "ACTIVITY_REGIONS": f"{clouds['region']} us-east-1",
            "ACTIVITY_CHECK_SECONDS": "10",
            # Nobody else calls these clouds, so the portal may take what they give.
            "CLIENT_RATE_ORGANIZATIONS": "5/10",
            "CLIENT_RATE_IAM": "40/40",
            "CLIENT_RATE_SSO_ADMIN": "20/20",
            "CLIENT_RATE_IDENTITYSTORE": "20/20",
            "CLIENT_RATE_CLOUDTRAIL": "2/2",
        }

    def _secrets(self) -> Mapping[str, str]:
        key_path = self.state_dir / "sealing-key.pem"
        if not key_path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            write_private(key_path, pem.decode())
        # For whoever verifies: the demo's auditor finds it beside the key, and each worker reads it when it starts, maybe
        # while the next process is being told of it. So it is there whole, always.
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        public_path = key_path.with_name(f"{key_path.name}.pub")
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_private(public_path, public.decode())
        secret_key_path = self.state_dir / "secret-key"
        if not secret_key_path.exists():
            write_private(secret_key_path, new_password() + new_password())
        return {
            "SECRET_KEY": secret_key_path.read_text(),
            "SEALING_KEY_PATH": str(key_path),
            "AUDIT_VERIFY_KEYS": str(public_path),
            **self._token_keys(),
        }

    def _token_keys(self) -> Mapping[str, str]:
        """The key pair for people's own tokens, as `manage.py make_token_key` makes it."""
        path = self.state_dir / "token-keys.pem"
        if not path.exists():
            made = X25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            write_private(path, made.decode())
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {
            "PERSONAL_TOKEN_KEYS_PATH": str(path),
            "PERSONAL_TOKEN_PUBLIC_KEY": base64.b64encode(public).decode(),
        }

    def _bare_environment(self) -> dict[str, str]:
        """Of our own environment, what every program needs. No proxy, credential or setting of the shell."""
        kept = {
            name: os.environ[name]
            for name in ("HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SIMULATOR_RECORDINGS")
            if name in os.environ
        }
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        return {**kept, "PATH": path, "PYTHONUNBUFFERED": "1", "NO_PROXY": "*"}

    def _web_answers(self) -> bool:
        try:
            with self._open(f"{self.origin}/healthz") as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    @contextlib.contextmanager
    def _open(self, url: str) -> Iterator[Any]:
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({})
        )  # whatever proxy the shell names
        with direct.open(url, timeout=5) as answer:
            yield answer
