"""A rule in words."""

from __future__ import annotations

import pytest

from policy.demands import Approvers, Demands, Stage, parse_demands
from policy.document import parse_document
from requests_app.rule_words import (
    demand_sentences,
    names_in,
    scope_sentence,
    stage_words,
    stages_words,
    waits_for,
)
from tests.requests_app import factories as make

NAMES = {"a": "Ada", "b": "Ben", "c": "Cy", "d": "Dee", "e": "Eve", "g": "Platform leads"}


def stage(people: str, groups: str = "", quorum: int = 1) -> Stage:
    return Stage(Approvers(frozenset(people), frozenset(groups)), quorum)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (stage("b"), "Ben"),
        (stage("ba"), "Ada or Ben"),
        (stage("b", "g"), "Ben or Platform leads"),
        (stage("abc", quorum=2), "2 of Ada, Ben, Cy"),
        (stage("abcde"), "Ada, Ben, Cy or 2 more"),
        (stage("bxy"), "Ben or 2 not found in the directory"),
    ],
)
def test_who_decides(given: Stage, words: str) -> None:
    assert stage_words(given, NAMES) == words


def a_rule(**more: object) -> Demands:
    return parse_demands({"stages": [{"people": ["b"]}, {"groups": ["g"]}], **more})


def test_stages_are_numbered_where_there_are_several() -> None:
    assert stages_words(a_rule(), NAMES) == ["Stage 1: Ben", "Stage 2: Platform leads"]
    assert waits_for(a_rule(), 1, NAMES) == "Platform leads"
    assert waits_for(a_rule(), 2, NAMES) == ""


def test_the_whole_rule_is_said() -> None:
    rule = a_rule(
        longest_duration="PT2H",
        reference_required=True,
        lapses_after="PT4H",
        justification_pattern="(?s).*because.*",
        reference_pattern=["INC[0-9]{7}"],
        guests_decide=True,
        second_approver_outside={
            "days": ["mon", "fri"],
            "from": "08:00",
            "to": "17:00",
            "zone": "Europe/Berlin",
        },
    )
    said = " ".join(demand_sentences(rule, NAMES))
    for part in (
        "The justification fits (?s).*because.*.",
        "A reference fits INC[0-9]{7}.",
        "Guests of the directory may decide, where their account says whose it is.",
        "One more agrees at the first stage outside Mon, Fri 08:00 to 17:00 (Europe/Berlin).",
        "Stage 1 is decided by Ben. Stage 2 is decided by Platform leads.",
        "The justification has at least 10 characters.",
        "At most 2 h.",
        "A reference is required.",
        "after 4 h.",
    ):
        assert part in said


def test_one_stage_has_no_number_and_no_length_is_not_said() -> None:
    said = demand_sentences(
        parse_demands({"stages": [{"people": ["b"]}], "shortest_justification": 0}), NAMES
    )
    assert said[0] == "Decided by Ben."
    assert not [each for each in said if "characters" in each]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "Applies to what no other rule applies to."),
        ({"groups": ["x"]}, "Applies to 1 PIM group by name."),
        ({"applies_to": "everything"}, "Applies to every PIM group."),
        (
            {"applies_to": {"accounts": ["111111111111"], "account_tags": {"env": ["prod", "live"]}}},
            "Applies to 1 account by number, and accounts tagged env live or prod.",
        ),
        (
            {"applies_to": {"units": ["r-ab12", "ou-ab12-cd34"], "requester": {"department": ["IT"]}}},
            "Applies to 2 organisational units with all below them, and people whose department is IT.",
        ),
        (
            {"applies_to": {"requester_groups": ["g"], "permission_sets": ["Admin"]}, "fallback": True},
            "Applies to what no other rule applies to, of 1 permission set by name, and members of 1 directory group.",
        ),
    ],
)
def test_what_a_rule_applies_to_is_said(raw: dict[str, object], said: str) -> None:
    assert scope_sentence(parse_document({"stages": [{"people": ["b"]}], **raw})) == said


@pytest.mark.django_db
def test_names_are_looked_up_once() -> None:
    ben = make.person("Ben Boss")
    rule = parse_demands({"stages": [{"people": [ben.object_id], "groups": [make.oid()]}]})
    assert names_in([rule, rule]) == {ben.object_id: "Ben Boss"}
