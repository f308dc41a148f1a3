"""A rule in words."""

from __future__ import annotations

import pytest

from policy.document import Approvers, RuleDocument, Stage, parse_document
from requests_app.rule_words import names_in, rule_sentences, stage_words, stages_words, waits_for
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


def a_rule(**more: object) -> RuleDocument:
    return parse_document({"stages": [{"people": ["b"]}, {"groups": ["g"]}], **more})


def test_stages_are_numbered_where_there_are_several() -> None:
    assert stages_words(a_rule(), NAMES) == ["Stage 1: Ben", "Stage 2: Platform leads"]
    assert waits_for(a_rule(), 1, NAMES) == "Platform leads"
    assert waits_for(a_rule(), 2, NAMES) == ""


def test_the_whole_rule_is_said() -> None:
    rule = a_rule(groups=["x"], longest_duration="PT2H", reference_required=True, lapses_after="PT4H")
    said = " ".join(rule_sentences(rule, NAMES))
    for part in (
        "1 PIM group by name",
        "Stage 1: Ben",
        "At most 2 h.",
        "A reference is required.",
        "after 4 h.",
    ):
        assert part in said


@pytest.mark.django_db
def test_names_are_looked_up_once() -> None:
    ben = make.person("Ben Boss")
    rule = parse_document({"stages": [{"people": [ben.object_id], "groups": [make.oid()]}]})
    assert names_in([rule, rule]) == {ben.object_id: "Ben Boss"}
