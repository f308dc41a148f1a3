"""README and docs tell what is there: every link, path, test, command, target and variable that they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.db import connection

from clients.limits import RATES
from stack.processes import CONCERNS, DATABASE_ROLES, LONG_RUNNING, MIGRATION, SECRETS
from stack.running import ROOT
from stack.tiers import TIERS

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "simulator" / "README.md", *(ROOT / "docs").rglob("*.md")])
OPERATIONS = ROOT / "docs" / "operations.md"
CONTRIBUTING = ROOT / "docs" / "contributing.md"
PRODUCT = (
    "accessportal",
    "audit",
    "base",
    "catalog",
    "clients",
    "identity",
    "notifications",
    "oversight",
    "policy",
    "requests_app",
    "reviews",
)
# Made by whoever deploys or runs it; git ignores these.
MADE_LATER = ("deployment/", ".state/", ".venv")
LARGEST_PICTURE = 150 * 1024
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(document: Path) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^[ ]*```.*?^[ ]*```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    found = re.findall(rf"^[ ]*```{language}\n(.*?)^[ ]*```$", document.read_text(), re.MULTILINE | re.DOTALL)
    return [str(each) for each in found]


def quoted(document: Path) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`\n]+)`", prose(document))


def commands_in(document: Path) -> str:
    """Everything that somebody may type: shell blocks, indented blocks and backticks."""
    indented = re.findall(r"^ {4}(?! )(.+)$", prose(document), re.MULTILINE)
    return "\n".join([*blocks(document, "sh"), *indented, *quoted(document)])


@cache
def sources(*folders: str, suffixes: tuple[str, ...] = (".py",)) -> str:
    """All program text below some folders."""
    return "\n".join(
        path.read_text()
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in suffixes
    )


def anchors(document: Path) -> set[str]:
    """The names by which headings can be reached, as they are made on the usual forges."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def table_after(document: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its head."""
    text = document.read_text().partition(f"## {heading}\n")[2]
    rows = re.search(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    assert rows, f"{document.name} has no table below “{heading}”"
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in rows[0].splitlines()[2:]
    ]


# --- Every document


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(document))
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def paths_in(document: Path) -> Iterator[str]:
    known = {path.name for path in ROOT.iterdir()} | {"deployment"}
    for text in quoted(document):
        path = text.partition("::")[0]
        if re.fullmatch(r"[\w.\-]+(/[\w.\-]+)*/?", path) and ("/" in path or path.endswith((".py", ".md"))):
            first = path.split("/")[0]
            if first in known:
                yield path


@each_document
def test_paths_exist(document: Path) -> None:
    missing = [
        path for path in paths_in(document) if not path.startswith(MADE_LATER) and not (ROOT / path).exists()
    ]
    assert missing == []


@each_document
def test_tests_that_are_named_exist(document: Path) -> None:
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", document.read_text()):
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


@each_document
def test_make_has_the_targets(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", commands_in(document))) <= targets


@each_document
def test_management_commands_and_their_options_exist(document: Path) -> None:
    known = get_commands()
    for name, rest in re.findall(r"manage\.py ([a-z_]+)((?: +[\w\-./\[\]]+)*)", commands_in(document)):
        assert name in known, name
        assert_options(name, rest)


def assert_options(name: str, text: str) -> None:
    command = load_command_class(get_commands()[name], name)
    parser = command.create_parser("manage.py", name)
    offered = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"--[a-z-]+", text)) <= offered, (name, text)


@each_document
def test_modules_that_are_run_exist(document: Path) -> None:
    for module in re.findall(r"python -m ([\w.]+)", commands_in(document)):
        path = ROOT / module.replace(".", "/")
        assert module == "pytest" or path.with_suffix(".py").exists() or (path / "__main__.py").exists()


@each_document
def test_compose_has_the_services(document: Path) -> None:
    text = commands_in(document)
    # Of what is run inside a service, only the first word is a service.
    named = re.findall(r"docker compose (?:exec|run|cp)(?: -\S+)* (\w+)", text)
    for words in re.findall(r"docker compose (?:stop|restart|up|logs)((?: +[\w-]+)*)", text):
        named += [word for word in words.split() if not word.startswith("-")]
    assert set(named) <= set(COMPOSE["services"])


@each_document
def test_variables_mean_something(document: Path) -> None:
    everything = sources(*PRODUCT, "stack") + "".join(
        (ROOT / name).read_text()
        for name in (
            "Makefile",
            "gunicorn.conf.py",
            ".env.example",
            "docker-compose.yml",
            "stack/bootstrap.sql",
        )
    )
    everything += sources("tests", "simulator")
    names = {
        name
        for text in quoted(document)
        if re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?:=\S*)?", text)
        for name in [text.partition("=")[0]]
    }
    rates = {f"CLIENT_RATE_{family.replace('-', '_').upper()}" for family in RATES}
    assert {name for name in names - rates if not re.search(rf"\b{name}\b", everything)} == set()


# --- Operations


def test_every_variable_is_in_the_table_with_the_processes_that_may_have_it() -> None:
    told = {
        name: cells[1]
        for cells in table_after(OPERATIONS, "Environment")
        for name in re.findall(r"`([A-Z_]+)`", cells[0])
    }
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', sources("accessportal")))
    read |= set(SECRETS) | set(CONCERNS)
    read |= {f"CLIENT_RATE_{family.replace('-', '_').upper()}" for family in RATES}
    for process in (*LONG_RUNNING, MIGRATION):
        read |= set(COMPOSE["services"][process.kind]["environment"])
    assert set(told) == read
    for name, holders in {**SECRETS, **CONCERNS}.items():
        assert set(told[name].split(", ")) == holders, name


def test_what_compose_alone_reads_is_named() -> None:
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    named = set(re.findall(r"`([A-Z_]+)`", OPERATIONS.read_text().partition("## Environment")[2]))
    assert example <= named


def test_every_process_is_in_the_table() -> None:
    rows = [cells[0].strip("`") for cells in table_after(OPERATIONS, "Processes")]
    assert set(rows) == set(DATABASE_ROLES)


def test_the_schedule_is_the_one_that_runs() -> None:
    rows = {" ".join(cells) for cells in table_after(OPERATIONS, "What runs when")}
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        (row,) = [each for each in rows if f"`{entry['task']}`" in each]
        schedule = entry["schedule"]
        assert isinstance(schedule, timedelta)
        assert f" {schedule.total_seconds():.0f} s" in row


def test_the_commands_of_the_table_exist_with_their_options() -> None:
    ours = {name for name, app in get_commands().items() if app.split(".")[0] in PRODUCT}
    rows = [re.findall(r"`([^`]+)`", cells[0])[0] for cells in table_after(OPERATIONS, "Commands")]
    assert {row.split()[0] for row in rows} == ours
    for row in rows:
        assert_options(row.split()[0], row)


def test_log_events_are_written_somewhere() -> None:
    text = sources(*PRODUCT)
    for cells in table_after(OPERATIONS, "Logs"):
        for name in re.findall(r"`(\w+)`", cells[0]):
            assert f'"{name}"' in text, name


@pytest.mark.django_db
def test_the_queries_run() -> None:
    queries = blocks(OPERATIONS, "sql")
    assert queries
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(query)
            assert cursor.description


# --- Contributing and architecture


def test_the_tiers_are_those_that_run() -> None:
    (named,) = re.findall(r"the tiers \(([a-z, ]+)\)", " ".join(CONTRIBUTING.read_text().split()))
    assert named.split(", ") == [tier.name for tier in TIERS]


def test_the_fixtures_exist() -> None:
    text = sources("tests")
    for cells in table_after(CONTRIBUTING, "Fixtures"):
        for name in re.findall(r"`(\w+)(?:\(\w+\))?`", cells[0]):
            assert name in ("db", "django_db") or f"def {name}(" in text, name


def test_the_journey_names_functions_that_exist() -> None:
    document = ROOT / "docs" / "architecture.md"
    text = sources(*PRODUCT)
    for cells in table_after(document, "A request's journey"):
        for name in re.findall(r"`([\w.]+)`", cells[1]):
            *modules, function = name.split(".")
            path = ROOT / "/".join([*modules, function])
            assert f"def {function}(" in text or path.is_dir() or path.with_suffix(".py").is_file(), name


def test_the_rooms_are_those_of_the_import_contract() -> None:
    rooms = table_after(ROOT / "docs" / "architecture.md", "Rooms")
    named = {name.rstrip("/") for cells in rooms for name in re.findall(r"`([\w/]+)`", cells[0])}
    assert named == {
        *PRODUCT,
        *(f"audit/{room}" for room in ("api", "controls", "exporting", "forwarding", "history", "ledger")),
    } - {"audit"}


# --- Pictures and decisions


def test_pictures_are_small_and_shown() -> None:
    pictures = sorted((ROOT / "docs" / "screenshots").glob("*.png"))
    readme = (ROOT / "README.md").read_text()
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < LARGEST_PICTURE, picture.name
        assert f"(docs/screenshots/{picture.name})" in readme


def test_a_decisions_number_is_used_once() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "adr").glob("*.md")]
    assert len(numbers) == len(set(numbers))
    for path in (ROOT / "docs" / "adr").glob("*.md"):
        assert path.read_text().startswith(f"# {path.name[:4]} "), path.name


def test_the_people_of_the_readme_are_those_that_the_demo_offers() -> None:
    sample = yaml.safe_load((ROOT / "simulator" / "sample" / "organisation.yaml").read_text())
    offered = [" ".join(person["name"]) for person in sample["people"].values() if "try" in person]
    assert [cells[0] for cells in table_after(ROOT / "README.md", "Try it")] == offered
