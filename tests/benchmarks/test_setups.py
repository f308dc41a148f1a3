"""Each benchmark's set-up works at a tiny size, and what the README states is what they give. No time is judged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from pytest_django import DjangoDbBlocker

from benchmarks import (
    arriving,
    calls,
    catalogue,
    history,
    leaving,
    ledger,
    measuring,
    million,
    pages,
    processes,
    verifying,
    visiting,
    worlds,
    writers,
)
from benchmarks.__main__ import NAMES, README, main, stated
from benchmarks.bulk import Size
from benchmarks.loading import Much
from benchmarks.measuring import Figure
from tests.support.servers import PostgresServer

TINY = Size(8, 4, 4, 6, requests=12, pending=3, eligible=3, wide=6, events=120)


MUCH = Much(replace(TINY, requests=60), events=600, active=2)


@pytest.fixture
def server(postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker) -> Iterator[PostgresServer]:
    with django_db_blocker.unblock():
        yield postgres_server


def names(figures: list[Figure]) -> list[str]:
    return [figure.name for figure in figures]


def test_the_ratio_is_the_median_of_the_rounds_own() -> None:
    first, second = iter([99.0, 2.0, 6.0, 12.0]), iter([1.0, 1.0, 2.0, 3.0])
    figure = measuring.ratio("x: y", lambda: next(first), lambda: next(second), rounds=3)
    assert (figure.value, figure.spread) == ("3.00", "2.50 to 3.50"), "the first round isn't counted"


@pytest.mark.proof
def test_ledger(server: PostgresServer) -> None:
    (figure,) = ledger.run(server, writers=(1,), steps=3, rounds=1)
    assert figure.name in stated()


@pytest.mark.proof
def test_history(server: PostgresServer) -> None:
    found = names(list(history.run(server, small=TINY, large=TINY, rounds=1)))
    assert set(found) == {name for name in stated() if name.startswith("history: ")}


@pytest.mark.proof
def test_pages(server: PostgresServer) -> None:
    found = names(list(pages.run(server, small=TINY, large=TINY, rounds=1)))
    assert set(found) == {name for name in stated() if name.startswith("pages: ")}


@pytest.mark.proof
def test_calls(server: PostgresServer) -> None:
    organisation = calls.Organisation(accounts=12, permission_sets=6, groups=4, people=5)
    first, following = calls.run(server, sizes=(organisation,))
    sum_of_parts = 12 + 6 + 4 * 5 + 5  # five calls a group, one for everything else
    assert int(following.value) < int(first.value) < sum_of_parts + 15, "fifteen for lists"


@pytest.mark.proof
def test_catalogue(server: PostgresServer) -> None:
    found = {each.name: each for each in catalogue.run(server, seed="generated:tiny")}
    assert set(found) == {name for name in stated() if name.startswith("catalogue: ")}
    every = found[f"catalogue: calls of a reading, {catalogue.EVERY}, to the product's"]
    naive, product = (int(each.replace(",", "")) for each in re.findall(r"[\d,]+", every.detail))
    # Eight sets on twelve accounts and the management account by pairs, instead of a call for each of ten managed groups.
    assert naive == product + 13 * 8 - 10


@pytest.mark.proof
def test_worlds(server: PostgresServer) -> None:
    found = names(list(worlds.run(server, seed="generated:tiny", rounds=1)))
    assert set(found) == {name for name in stated() if name.startswith("worlds: ")}


@pytest.mark.proof
def test_leaving(server: PostgresServer) -> None:
    found = names(list(leaving.run(server, offsets=(timedelta(minutes=20),))))
    assert set(found) == {name for name in stated() if name.startswith("leaving: ")}


@pytest.mark.proof
def test_arriving(server: PostgresServer) -> None:
    found = names(list(arriving.run(server, people=2)))
    assert set(found) == {name for name in stated() if name.startswith("arriving: ")}


@pytest.mark.proof
@pytest.mark.marathon
def test_processes(server: PostgresServer) -> None:
    found = names(list(processes.run(server, approvals=2)))
    assert set(found) == {name for name in stated() if name.startswith("processes: ")}


@pytest.mark.proof
def test_million(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visiting, "A_TURN", 2)
    found = names(list(million.run(server, small=MUCH, large=MUCH, turns=1, exported=100)))
    assert set(found) == {name for name in stated() if name.startswith("million: ")}


@pytest.mark.proof
def test_verifying(server: PostgresServer) -> None:
    found = names(list(verifying.run(server, short=MUCH, long=MUCH)))
    assert set(found) == {name for name in stated() if name.startswith("verifying: ")}


@pytest.mark.proof
def test_writers(server: PostgresServer) -> None:
    found = names(list(writers.run(server, writers=(1,), changes=2, rounds=1)))
    assert len(found) == 2 * (len(writers.WAYS) - 1)
    assert {name for name in found if "of other work" not in name} <= set(stated())


def test_every_stated_figure_belongs_to_a_benchmark() -> None:
    areas = {name.partition(":")[0] for name in stated()}
    assert areas == set(NAMES)
    for name in NAMES:
        assert re.search(rf"`python -m benchmarks {name}`", README.read_text()), name


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert ", ".join(NAMES) in capsys.readouterr().out
