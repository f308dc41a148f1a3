"""The tiers of tests: every test in exactly one, and their time in the open."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from stack import tiers
from stack.tiers import PROOFS, TIERS, Outcome, Tier, pytest_arguments


def collected(tier: Tier, *, proof: bool = False) -> set[Path]:
    """The test files that `tier` runs, as pytest would read its arguments."""
    arguments = pytest_arguments(tier, proof=proof)
    ignored = [
        tiers.ROOT / word.removeprefix("--ignore=") for word in arguments if word.startswith("--ignore=")
    ]
    folders = [tiers.ROOT / word for word in arguments if word.startswith("tests")]
    return {
        path
        for folder in folders
        for path in folder.rglob("test_*.py")
        if not any(path.is_relative_to(other) for other in ignored)
    }


@pytest.mark.parametrize("several", [TIERS, PROOFS], ids=["test", "proof"])
def test_every_test_file_is_in_exactly_one_tier(several: tuple[Tier, ...]) -> None:
    files = [path for tier in several for path in collected(tier, proof=several is PROOFS)]
    assert len(files) == len(set(files))
    assert set(files) == set((tiers.ROOT / "tests").rglob("test_*.py"))


def test_the_budgets_fit_the_promise() -> None:
    assert tiers.budget(TIERS) <= 12 * 60
    assert tiers.budget(PROOFS) <= 40 * 60


def test_the_longest_begins_first_and_what_waits_takes_no_lane() -> None:
    order = tiers.lanes(TIERS)
    assert [tier.budget for tier in order] == sorted((tier.budget for tier in order), reverse=True)
    assert {tier.name for tier in TIERS} - {tier.name for tier in order} == {"browser"}


def test_two_lanes_share_the_time_but_no_tier_is_shortened() -> None:
    short, long, waits = (
        Tier("short", (), budget=40),
        Tier("long", (), budget=100),
        Tier("waits", (), budget=60, waits=True),
    )
    assert tiers.budget([short, long, waits]) == 100
    assert tiers.budget([long, long, waits, short]) == 120
    assert tiers.budget([waits]) == 60


def test_tiers_run_two_at_a_time_and_one_that_waits_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(3, timeout=30)

    def run(tier: Tier, *, proof: bool, alone: bool) -> Outcome:
        if tier.budget > 1:
            together.wait()  # breaks, and fails the test, unless all three are here at the same time
        return Outcome(tier, 0, 1.0, f"{proof} {alone}")

    monkeypatch.setattr(tiers, "run", run)
    wanted = [
        Tier("last", (), budget=1),
        Tier("one", (), budget=3),
        Tier("two", (), budget=2),
        Tier("aside", (), budget=9, waits=True),
    ]
    outcomes, _ = tiers.run_all(wanted, proof=False)
    assert [outcome.tier.name for outcome in outcomes] == ["one", "two", "last", "aside"]
    assert {outcome.summary for outcome in outcomes} == {"False False"}


def test_a_tier_alone_has_all_lanes() -> None:
    assert f"--numprocesses={tiers.LANES}" in pytest_arguments(TIERS[0], proof=False, workers=tiers.LANES)
    assert "--numprocesses=0" in pytest_arguments(TIERS[0], proof=False)


@pytest.mark.proof
def test_a_tier_without_tests_fails_but_proof_may_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests").mkdir()
    monkeypatch.setattr(tiers, "ROOT", tmp_path)
    monkeypatch.setattr(
        tiers, "pytest_arguments", lambda _tier, *, proof, workers: ["-p", "no:django", "tests"]
    )
    assert tiers.run(TIERS[0], proof=False).code == tiers.NO_TESTS
    assert tiers.run(PROOFS[0], proof=True).code == 0


def test_proof_and_the_rest_exclude_each_other() -> None:
    assert all(pytest_arguments(tier, proof=True)[:2] == ["-m", "proof and not marathon"] for tier in PROOFS)
    assert all(pytest_arguments(tier, proof=False)[:2] == ["-m", "not proof"] for tier in TIERS)


def test_the_table_shows_who_failed_and_who_was_slow() -> None:
    tier = Tier("races", ("tests/races",), budget=90)
    table = tiers.report(
        [Outcome(tier, 0, 91.0, "7 passed"), Outcome(TIERS[0], 1, 3.0, "1 failed, 8 passed")], 94.0
    )
    assert "races             91.0       90   ok: 7 passed  OVER ITS BUDGET" in table
    assert "FAILED (1): 1 failed, 8 passed" in table
    assert table.splitlines()[-1].split() == [
        "all",
        "94.0",
        str(max(TIERS[0].budget, (90 + TIERS[0].budget) // 2)),
    ]


def test_what_failed_is_named_just_before_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "tests" / "races"
    folder.mkdir(parents=True)
    (folder / "test_two.py").write_text("def test_good(): ...\ndef test_bad(): assert 'this' == 'that'\n")
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    monkeypatch.setattr(tiers, "ROOT", tmp_path)
    monkeypatch.setattr(
        tiers, "pytest_arguments", lambda *_args, **_kwargs: ["-p", "no:django", "--quiet", "tests"]
    )
    races = tiers.run(Tier("races", ("tests/races",), budget=90), proof=False)
    named, _, _, race, _ = tiers.report([races], 94.0).splitlines()[1:]
    assert named.startswith("FAILED tests/races/test_two.py::test_bad - ")
    assert "FAILED (1): 1 failed, 1 passed" in race


@pytest.mark.parametrize("words", [[], ["text"], ["test", "unti"]])
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert tiers.main(words) == 2
    assert "tiers: lifecycle, pages" in capsys.readouterr().err


@pytest.mark.parametrize(("codes", "code"), [([0, 0], 0), ([0, 1], 1), ([5, 0], 1)])
def test_any_failure_or_an_empty_tier_fails(
    codes: list[int], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = iter(codes)
    monkeypatch.setenv(tiers.REPORTS, "")
    monkeypatch.setattr(
        tiers, "run", lambda tier, *, proof, alone: Outcome(tier, next(outcomes), 1.0, str((proof, alone)))
    )
    assert tiers.main(["test", "unit", "races"]) == code


USED = ["GET /groups", "GET /users/{id}"]


@pytest.mark.parametrize(
    ("words", "met", "code"),
    [
        (["test"], {"unit": ["GET /groups"], "browser": ["GET /users/{id}", "GET /me"]}, 0),
        (["test"], {"unit": ["GET /groups"], "browser": ["GET /me"]}, 1),
        (
            ["test"],
            {"unit": ["GET /groups"], "browser": ["GET /me"], "races": ["GET /users/{id} REFUSED"]},
            1,
        ),
        (["test", "unit", "races"], {"unit": ["GET /groups"]}, 0),
    ],
    ids=["all met", "one never met", "one only refused", "some tiers alone"],
)
def test_all_tiers_together_meet_what_the_product_uses(
    words: list[str],
    met: dict[str, list[str]],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(tier: Tier, *, proof: bool, alone: bool) -> Outcome:
        names = met.get(tier.name, [])
        statuses = {
            name.removesuffix(" REFUSED"): [403] if name.endswith("REFUSED") else [200, 0] for name in names
        }
        left = {"used": USED, "exercised": statuses}
        (Path(os.environ[tiers.REPORTS]) / f"graph-{tier.name}.json").write_text(json.dumps(left))
        return Outcome(tier, 0, 1.0, "fine")

    monkeypatch.setenv(tiers.REPORTS, "")
    monkeypatch.setattr(tiers, "run", run)
    assert tiers.main(words) == code
    said = capsys.readouterr()
    assert "GET /groups: no answer, 200" in said.out
    assert ("GET /users/{id}: NEVER EXERCISED" in said.out) is ("GET /users/{id}" not in str(met))
    assert ("GET /users/{id}: 403 NEVER SUCCEEDED" in said.out) is ("REFUSED" in str(met))
    assert ("No test saw GET /users/{id} succeed" in said.err) is (code == 1)
