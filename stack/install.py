"""Makes .venv and installs one lock file into it: `python3 stack/install.py demo|dev`.

Run by make with whatever python3 the machine has, so this file uses the standard library only, and no syntax
that Python 3.6 couldn't read: it must live long enough to say which Python is needed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
VERSION = (3, 12)
# Lock files that hold everything of the one asked for.
COVERED_BY = {"demo": ("demo", "dev"), "dev": ("dev",)}


def say(text: str) -> None:
    """Show progress at once."""
    print(text, flush=True)


def fail(text: str) -> None:
    """End with a sentence that says what to do."""
    sys.stderr.write(f"{text}\n")
    sys.exit(1)


def find_python() -> str:
    """The path of a Python 3.12: ours if we are one, else python3.12 of the PATH; ends when there is none."""
    if sys.version_info[:2] == VERSION:
        return sys.executable
    other = shutil.which("python3.12")
    # A version manager may answer to the name without having that version.
    if other and subprocess.call([other, "-c", "import venv"], stderr=subprocess.DEVNULL) == 0:
        return other
    fail(
        f"Access Portal needs Python 3.12, and this machine's python3 is {sys.version_info[0]}."
        f"{sys.version_info[1]}. Install Python 3.12 with its venv module, so that `python3.12` is found, "
        "then run make again."
    )
    return ""


def lock_file(name: str) -> Path:
    """The lock file called `name`."""
    return ROOT / "requirements" / f"{name}.txt"


def fingerprint(name: str) -> str:
    """What the stamp of an installed lock file says."""
    return hashlib.sha256(lock_file(name).read_bytes()).hexdigest()


def stamp_file(name: str) -> Path:
    """Written after everything of a lock file was installed."""
    return VENV / f".installed-{name}"


def is_installed(name: str) -> bool:
    """Whether .venv holds what the lock file `name` says now."""
    return VENV_PYTHON.exists() and any(
        stamp_file(covering).exists() and stamp_file(covering).read_text() == fingerprint(covering)
        for covering in COVERED_BY[name]
    )


def make_venv() -> None:
    """Make .venv, unless there is one of the right Python with pip in it."""
    python = find_python()
    probe = f"import sys, pip; sys.exit(sys.version_info[:2] != {VERSION})"
    if VENV_PYTHON.exists():
        if subprocess.call([str(VENV_PYTHON), "-c", probe], stderr=subprocess.DEVNULL) == 0:
            return
        say("The folder .venv holds another Python; making it anew.")
    say("Making a virtual environment in .venv ...")
    if subprocess.call([python, "-m", "venv", "--clear", str(VENV)]) != 0:
        fail(
            "The virtual environment could not be made. On Debian and Ubuntu, install the package "
            "python3.12-venv, then run make again."
        )


def install(name: str) -> None:
    """Install the lock file `name` into .venv unless that is done; shows pip's progress."""
    if is_installed(name):
        return
    make_venv()
    say(f"Installing requirements/{name}.txt (once; every file is checked against its hash) ...")
    began = time.monotonic()
    command = [
        *(str(VENV_PYTHON), "-m", "pip", "install", "--require-hashes", "--disable-pip-version-check"),
        # Byte code for the 17,000 files of msgraph-sdk would double the time; Python makes what it imports.
        *("--no-compile", "--requirement", str(lock_file(name))),
        # pip applies a pin to "package[extra]>=1", as another package asks for it, only from a constraint; without
        # this, the day on which a newer release appears is the day on which the installation fails.
        *("--constraint", str(lock_file(name))),
    ]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    if subprocess.call(command, env=environment) != 0:
        fail("The installation failed; pip says why above. Mend it, then run make again.")
    stamp_file(name).write_text(fingerprint(name))
    say(f"Installed in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COVERED_BY:
        fail("Usage: python3 stack/install.py demo|dev")
    install(sys.argv[1])
