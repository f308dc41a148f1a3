"""What a rule may want of a sign-in, how several wants add up, and what a proof is worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from base.errors import Invalid
from identity.signin.proving import Proof
from policy.assurance import NOTHING, Assurance, StepUp, combined, parse_step_up, serialise_step_up, unproven

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WANTED = Assurance(10 * MINUTE, frozenset({"c1"}))
GOOD = Proof("ada", NOW, NOW - 5 * MINUTE, {"c1": NOW - timedelta(hours=2)}, NOW)


def test_what_is_wanted_reads_back_as_it_was_written() -> None:
    raw = {
        "ask": {"fresh_within": "P0DT00H10M00S", "contexts": ["c1", "c99"]},
        "decide": {"contexts": ["c2"]},
    }
    found = parse_step_up({"step_up": raw})
    assert found == StepUp(
        Assurance(10 * MINUTE, frozenset({"c1", "c99"})), Assurance(None, frozenset({"c2"}))
    )
    assert serialise_step_up(found) == raw
    assert not parse_step_up({})


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"ask": {}},
        {"ask": {"contexts": []}},
        {"ask": {"contexts": ["c0"]}},
        {"ask": {"contexts": ["c100"]}},
        {"ask": {"contexts": ["C1"]}},
        {"ask": {"fresh_within": "PT1M"}},
        {"ask": {"fresh": "PT10M"}},
        {"everything": {"contexts": ["c1"]}},
    ],
)
def test_what_says_nothing_or_nothing_valid_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        parse_step_up({"step_up": raw})


def test_together_the_freshest_and_every_context_is_wanted() -> None:
    one = StepUp(ask=Assurance(10 * MINUTE, frozenset({"c1"})))
    two = StepUp(ask=Assurance(5 * MINUTE, frozenset({"c2"})), decide=Assurance(None, frozenset({"c3"})))
    assert combined([one, two, StepUp()]) == StepUp(
        Assurance(5 * MINUTE, frozenset({"c1", "c2"})), Assurance(None, frozenset({"c3"}))
    )


def test_a_proof_that_holds_lacks_nothing_and_survives_being_kept() -> None:
    assert not WANTED.lacking(GOOD, "ADA", NOW)
    assert Proof.of_json(GOOD.as_json()) == GOOD
    assert unproven(WANTED, GOOD.as_json(), "ada") == ""
    assert unproven(NOTHING, None, "ada") == ""


@pytest.mark.parametrize(
    ("proof", "missing", "words"),
    [
        (None, WANTED, "no proof"),
        (replace(GOOD, person="ben"), WANTED, "another person's"),
        (replace(GOOD, authenticated_at=None), Assurance(10 * MINUTE), "at most 10 min ago"),
        (replace(GOOD, authenticated_at=NOW - 12 * MINUTE), Assurance(10 * MINUTE), "at most 10 min ago"),
        (replace(GOOD, authenticated_at=NOW + 5 * MINUTE), Assurance(10 * MINUTE), "at most 10 min ago"),
        (replace(GOOD, contexts={"c2": NOW}), Assurance(None, frozenset({"c1"})), "context c1"),
        (replace(GOOD, contexts={"c1": NOW - timedelta(hours=9)}), Assurance(None, frozenset({"c1"})), "c1"),
        (replace(GOOD, used_at=None), NOTHING, "no proof"),
    ],
)
def test_a_proof_that_does_not_hold_says_what_is_missing(
    proof: Proof | None, missing: Assurance, words: str
) -> None:
    assert WANTED.lacking(proof, "ada", NOW) == missing
    assert words in unproven(WANTED, proof.as_json() if proof else None, "ada")


@pytest.mark.parametrize(
    "stored", ["", [], {"person": "ada"}, {**GOOD.as_json(), "verified_at": "2026-03-02"}]
)
def test_what_can_not_be_read_proves_nothing(stored: object) -> None:
    assert "no proof" in unproven(WANTED, stored, "ada")
