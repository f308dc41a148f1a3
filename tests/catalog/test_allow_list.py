"""The allow-list is read strictly and fails closed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from catalog.allow_list import AllowListError, is_managed, managed_groups, parse, problem

ONE = "7c9a1f3e-0000-4000-8000-000000000001"
TWO = "7c9a1f3e-0000-4000-8000-000000000002"


def deploy(settings: Settings, path: Path, text: str) -> Path:
    file = path / "managed-groups.txt"
    file.write_text(text)
    settings.PORTAL_MANAGED_GROUPS_FILE = str(file)
    return file


def test_ids_comments_and_blank_lines() -> None:
    assert parse(f"# ours\n\n{ONE}\n  {TWO.upper()}  # EC2\n") == {ONE, TWO}


@pytest.mark.parametrize(
    "line",
    [
        "*",
        "AWS - Amazon EC2 Admin",
        f"{{{ONE}}}",
        ONE.replace("-", ""),
        f"urn:uuid:{ONE}",
        f"{ONE} {TWO}",
        f"{ONE},",
    ],
)
def test_anything_but_an_object_id_refuses_the_whole_file(line: str) -> None:
    with pytest.raises(AllowListError, match="Line 2"):
        parse(f"{ONE}\n{line}\n")


def test_only_what_the_file_names_is_managed(settings: Settings, tmp_path: Path) -> None:
    deploy(settings, tmp_path, f"{ONE}\n")
    assert is_managed(ONE.upper())
    assert not is_managed(TWO)
    assert problem() == ""


def test_a_changed_file_counts_at_once(settings: Settings, tmp_path: Path) -> None:
    file = deploy(settings, tmp_path, f"{ONE}\n{TWO}\n")
    assert is_managed(TWO)
    file.write_text(f"{ONE}\n")
    assert not is_managed(TWO)


@pytest.mark.parametrize("text", ["", "# nothing\n", f"{ONE}\nevery group\n"])
def test_without_a_usable_list_nothing_is_managed(settings: Settings, tmp_path: Path, text: str) -> None:
    deploy(settings, tmp_path, text)
    assert not is_managed(ONE)
    assert problem()


def test_without_a_file_nothing_is_managed(settings: Settings, tmp_path: Path) -> None:
    settings.PORTAL_MANAGED_GROUPS_FILE = ""
    assert managed_groups() == frozenset()
    assert "PORTAL_MANAGED_GROUPS_FILE" in problem()
    settings.PORTAL_MANAGED_GROUPS_FILE = str(tmp_path / "absent.txt")
    assert not is_managed(ONE)
    assert "can't be read" in problem()
