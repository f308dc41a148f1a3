"""Private files, the account that servers run under, and free ports."""

from __future__ import annotations

import ctypes
import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
SERVER_PORTS = range(20000, 32000)  # below what Linux, and above what servers with a name, use by default
# PostgreSQL refuses to run as root, so root starts servers under one of these accounts.
# It must be a named account: initdb looks its own user up in the account database.
SERVER_ACCOUNTS = ("postgres", "nobody", "daemon")
# Where servers that run under another account keep their files: a checkout may stand in a folder that this
# account cannot enter (such as /root), and no folder above the checkout is opened for it.
ROOT_STATE = Path("/var/lib/access-portal-embedded")


class StackError(Exception):
    """Something that the person at the terminal can act on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """A system account other than the one we run under."""

    name: str
    uid: int
    gid: int


@functools.cache
def server_account() -> Account | None:
    """The account that servers run under; None when it is our own (that is, whenever we aren't root).

    Raises StackError when we are root and no unprivileged account can be used.
    """
    if os.geteuid() != 0:
        return None
    for name in SERVER_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            continue
        try:
            # A container may map only a few user ids; then the change of user is refused.
            subprocess.run(
                ["/bin/true"], user=entry.pw_uid, group=entry.pw_gid, extra_groups=[], check=True, cwd="/"
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL refuses to run as root, and none of the accounts "
        f"{', '.join(SERVER_ACCOUNTS)} can be used instead. Run the command as an ordinary user."
    )


def server_home(state_dir: Path) -> Path:
    """The folder for files of the server whose state is in `state_dir`: 0700, owned by the server's account.

    As an ordinary user it is `state_dir` itself. As root it stands below ROOT_STATE; `state_dir`/server-home
    points to it and its file state-dir points back. Homes that nothing points to any more are removed.
    """
    account = server_account()
    private_dir(state_dir)
    if account is None:
        return state_dir
    ROOT_STATE.mkdir(mode=0o755, exist_ok=True)
    pointer = state_dir / "server-home"
    home = Path(pointer.read_text()) if pointer.exists() else None
    if home is None or not _is_ours(home, state_dir):
        home = ROOT_STATE / f"server-{secrets.token_hex(8)}"
        write_private(pointer, str(home))
    _remove_orphans()
    private_dir(home)
    write_private(home / "state-dir", str(state_dir.resolve()))
    os.chown(home, account.uid, account.gid)
    return home


def remove_state(state_dir: Path) -> None:
    """Delete `state_dir` and whatever its server keeps elsewhere. The server must have stopped."""
    shutil.rmtree(state_dir, ignore_errors=True)
    if server_account() is not None:
        _remove_orphans()


def _is_ours(home: Path, state_dir: Path) -> bool:
    """False when `state_dir` was copied from a folder that still uses `home`."""
    back = home / "state-dir"
    if not back.exists():
        return True
    other = Path(back.read_text())
    return other == state_dir.resolve() or not _points_to(other, home)


def _points_to(state_dir: Path, home: Path) -> bool:
    try:
        return (state_dir / "server-home").read_text() == str(home)
    except OSError:
        return False


def _remove_orphans() -> None:
    for back in ROOT_STATE.glob("server-*/state-dir"):
        try:
            state_dir = Path(back.read_text())
        except FileNotFoundError:  # removed by another run meanwhile
            continue
        if not _points_to(state_dir, back.parent):
            shutil.rmtree(back.parent, ignore_errors=True)


def private_dir(path: Path) -> Path:
    """Make `path` with mode 0700 (and parents as the umask has it); returns it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str, *, account: Account | None = None) -> None:
    """Write `text` to `path`, whole or not at all, readable by its owner (we or `account`) only."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp creates 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        if account is not None:
            os.chown(name, account.uid, account.gid)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def new_password() -> str:
    """A random password of URL-safe letters: it can stand in a URL, a shell and a configuration file."""
    return secrets.token_urlsafe(24)


def port_is_free(port: int) -> bool:
    """Whether a server could listen on `port` of loopback now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """`preferred` when it is free, else another.

    Not one that the system picks: that would come from the range out of which every outgoing connection gets
    its port too, and could be taken before the server binds it. Raises StackError when none is found.
    """
    if preferred and port_is_free(preferred):
        return preferred
    for candidate in secrets.SystemRandom().sample(SERVER_PORTS, 100):
        if port_is_free(candidate):
            return candidate
    raise StackError("No free port was found on this machine's loopback. Stop some servers and try again.")


def die_with_parent(sig: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that has the kernel send `sig` to the child when we die, however we die.

    None where the kernel cannot do this (only Linux can).
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>

    def arm() -> None:
        libc.prctl(set_parent_death_signal, int(sig))
        if os.getppid() != parent:  # we died before the call
            os._exit(1)

    return arm
