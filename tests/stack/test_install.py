"""Installation: the lock files fit the project, a second run does nothing, and refusals say what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from stack import install

ROOT = install.ROOT
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(name: str) -> dict[str, str]:
    pins = re.findall(
        r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==(\S+)", install.lock_file(name).read_text(), re.MULTILINE
    )
    return {normal(package): version for package, version in pins}


def wanted(name: str) -> list[Requirement]:
    groups: dict[str, list[Any]] = PROJECT["dependency-groups"]
    named = list(PROJECT["project"]["dependencies"])
    if name in ("demo", "dev"):
        named += groups["demo"]
    if name == "dev":
        named += [line for line in groups["dev"] if isinstance(line, str)]
    return [Requirement(line) for line in named]


@pytest.mark.parametrize("name", ["base", "demo", "dev"])
def test_a_lock_file_satisfies_the_project(name: str) -> None:
    pins = locked(name)
    for requirement in wanted(name):
        assert requirement.specifier.contains(pins[normal(requirement.name)]), requirement


@pytest.mark.parametrize("name", ["base", "demo", "dev"])
def test_a_lock_file_has_hashes_and_names_no_registry(name: str) -> None:
    text = install.lock_file(name).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "requirements").mkdir()
    for name in ("demo", "dev"):
        (tmp_path / "requirements" / f"{name}.txt").write_text(f"# {name}\n")
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(install, "VENV_PYTHON", tmp_path / ".venv" / "bin" / "python")
    return tmp_path


def pretend_installed(project: Path, name: str) -> None:
    install.VENV_PYTHON.parent.mkdir(parents=True, exist_ok=True)
    install.VENV_PYTHON.touch()
    install.stamp_file(name).write_text(install.fingerprint(name))


def test_the_lock_file_is_also_the_constraint(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A package that asks for another with an extra ("pydantic[email]>=2.12") gets the pinned release only so.
    calls: list[list[str]] = []

    def note(command: list[str], **_options: object) -> int:
        calls.append(command)
        return 0

    monkeypatch.setattr(subprocess, "call", note)
    monkeypatch.setattr(install, "make_venv", install.VENV.mkdir)
    install.install("dev")
    [command] = calls
    lock = str(project / "requirements" / "dev.txt")
    assert command[command.index("--requirement") + 1] == command[command.index("--constraint") + 1] == lock
    assert "-r /tmp/requirements.txt -c /tmp/requirements.txt" in (ROOT / "Dockerfile").read_text()


def test_a_second_run_starts_no_program(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(project, "dev")
    monkeypatch.setattr(subprocess, "call", lambda *_args, **_kwargs: pytest.fail("nothing is left to do"))
    install.install("dev")
    install.install("demo")  # covered by dev


def test_a_changed_lock_file_or_a_smaller_one_is_not_enough(project: Path) -> None:
    pretend_installed(project, "demo")
    assert install.is_installed("demo")
    assert not install.is_installed("dev")
    install.lock_file("demo").write_text("# changed\n")
    assert not install.is_installed("demo")


def test_a_failed_installation_leaves_no_stamp(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "make_venv", lambda: None)
    monkeypatch.setattr(subprocess, "call", lambda *_args, **_kwargs: 1)
    with pytest.raises(SystemExit, match="1"):
        install.install("demo")
    assert "pip says why" in capsys.readouterr().err
    assert not install.is_installed("demo")


def test_another_python_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 11, 4))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="1"):
        install.find_python()
    assert "needs Python 3.12, and this machine's python3 is 3.11." in capsys.readouterr().err


def test_the_installer_can_be_read_by_an_old_python() -> None:
    import ast

    ast.parse((install.ROOT / "stack" / "install.py").read_text(), feature_version=(3, 7))
