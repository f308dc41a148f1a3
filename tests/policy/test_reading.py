"""Rules as text: every mistake at once with its line, nothing that means something else than it seems to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no types published

from policy import demands, document, scope
from policy.document import parse_document, serialise_document
from policy.reading import LONGEST_TEXT, read_rules
from policy.schema import RULE, SCHEMA, SCOPE, STAGE
from policy.shape import mistakes
from policy.writing import write_rules
from stack.running import ROOT

GROUP = "7c9a1f3e-0000-4000-8000-000000000001"
LEADS = "7c9a1f3e-0000-4000-8000-0000000000a1"
BOSS = "7c9a1f3e-0000-4000-8000-0000000000b1"
DECIDED = f"[{{people: [{BOSS}]}}], fallback: true"

WRONG = f"""\
rules:
  - name: Production
    longest_duraton: PT4H
    applies_to:
      groups: [{GROUP}, the admins]
      accounts: [123456789012]
    stages:
      - quorum: 0
        groups: [{LEADS}]
      - people: {BOSS}
  - stages: []
  - name: Production
    groups: [{GROUP}]
    stages:
      - {{}}
  - name: Other
    fallback: true
    shortest_justification: yes
    lapses_after: 3 days
    stages:
      - people: [{BOSS}]
"""


def told(text: str) -> list[str]:
    read = read_rules(text)
    assert not (read.rules and read.mistakes)
    return [str(mistake) for mistake in read.mistakes]


def test_every_mistake_is_told_at_once_with_its_line_and_place() -> None:
    assert told(WRONG) == [
        "Line 3: Rule “Production”, longest_duraton: has no field “longest_duraton”. Did you mean “longest_duration”?",
        (
            "Line 5: Rule “Production”, applies_to, groups 2: must be an Entra object id, because names can change hands, "
            "not “the admins”."
        ),
        (
            "Line 6: Rule “Production”, applies_to, accounts 1: must be a text, in quotation marks if need be, not "
            "“123456789012”."
        ),
        "Line 8: Rule “Production”, stage 1, quorum: must be at least 1, not 0.",
        f"Line 10: Rule “Production”, stage 2, people: must be a list, not “{BOSS}”.",
        "Line 11: Rule 2: lacks the field “name”.",
        (
            "Line 11: Rule 2: doesn't say what it applies to. Give applies_to, or “fallback: true” for whatever has no "
            "other rule."
        ),
        "Line 11: Rule 2, stages: needs at least one entry.",
        "Line 14: Rule “Production”: Stage 1 names nobody who may decide.",
        "Line 18: Rule “Other”, shortest_justification: must be a whole number, not true.",
        "Line 19: Rule “Other”, lapses_after: must be a duration such as PT8H or P1D, not “3 days”.",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("rules: [", "not valid YAML"),
        ("rules: \n\t- x", "not valid YAML"),
        ("rules:\n  - &a {name: x}\n  - *a\n", "Anchors"),
        ("rules: !!python/object/apply:os.system [ls]\n", "Tags"),
        ("rules: []\n---\nrules: []\n", "second document"),
        ("[" * 100 + "]" * 100, "nested too deeply"),
        (f"rules:\n  - {{name: x, name: y, stages: {DECIDED}}}\n", "“name” twice"),
        ("x" * (LONGEST_TEXT + 1), "at most"),
        ("rules: {}\n", "must be a list"),
        ("- no\n", "must be a mapping"),
        ("? [a]\n: b\n", "whose name is a list"),
        ("\x00", "special characters"),
        (f"rules:\n- {{name: x, stages: {DECIDED}}}\n- {{name: ' x ', stages: {DECIDED}}}\n", "there twice"),
        (f"rules:\n  - {{name: x, justification_pattern: '(', stages: {DECIDED}}}\n", "pattern"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_rules_is_refused_in_words(text: str, words: str) -> None:
    (first, *_) = told(text)
    assert words in first


@given(st.text(alphabet="rules:\n -[]{}&*!?|>'\"#\tnameP1D0,\x00é", max_size=80))
@settings(max_examples=150)
def test_no_text_breaks_the_reader(text: str) -> None:
    assert read_rules(text).mistakes


def test_ids_are_taken_in_any_case_and_times_without_quotation_marks() -> None:
    text = (
        f"rules:\n  - name: Nights\n    applies_to:\n      groups: [{GROUP.upper()}]\n"
        f"      outside: {{from: 08:00, to: 18:00}}\n    stages: [{{people: [{BOSS}]}}]\n"
    )
    (rule,) = read_rules(text).rules.values()
    assert rule.applies_to.groups == {GROUP}
    assert rule.applies_to.outside is not None
    assert rule.applies_to.outside.words.startswith("Mon, Tue")


def test_what_is_written_reads_back_the_same_and_with_the_same_bytes() -> None:
    text = (ROOT / "simulator" / "sample" / "rules.yaml").read_text()
    rules = read_rules(text).rules
    assert len(rules) == 9
    raw = {name: serialise_document(each) for name, each in rules.items()}
    written = write_rules(raw)
    assert read_rules(written).rules == rules
    assert "longest_duration: PT4H\n" in written
    assert write_rules({name: raw[name] for name in sorted(raw, reverse=True)}) == written
    named = write_rules(
        raw, {GROUP: "x", next(iter(rules["Data"].applies_to.groups)): "Data\n  - evil: 1 # x"}
    )
    assert "  # Data - evil: 1 x\n" in named
    assert read_rules(named).rules == rules


# ------------------------------------------------------------ the published schema


def test_the_published_schema_is_the_one_that_is_checked() -> None:
    published = json.loads((ROOT / "docs" / "policy.schema.json").read_text())
    assert published == SCHEMA, "write it anew: manage.py policy schema > docs/policy.schema.json"
    Draft202012Validator.check_schema(published)


def test_the_schema_has_every_field() -> None:
    assert set(RULE["properties"]) == {"name", *document.FIELDS}
    assert set(SCOPE["properties"]) == set(scope.FIELDS)
    assert set(STAGE["properties"]) == set(demands.STAGE_FIELDS)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from(
        [GROUP, "everything", "PT8H", "P", "x", "", "123456789012", "ou-ab12-cdef3456", "08:00", "mon"]
    ),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["name", "stages", "people", "groups", "quorum", "tag", "from", "to", "days", "x"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
RULES = st.fixed_dictionaries(
    {"name": st.sampled_from(["x", ""]) | VALUES, "stages": st.lists(st.fixed_dictionaries({}, optional={
        "people": VALUES, "groups": st.just([GROUP]), "quorum": VALUES, "account_owner": VALUES,
        "manager": VALUES, "on_call": VALUES}), max_size=2) | VALUES},
    optional={name: VALUES for name in RULE["properties"] if name not in ("name", "stages")},
)  # fmt: skip


@given(RULES)
@settings(max_examples=200)
def test_our_reading_of_the_schema_is_the_standards(rule: Any) -> None:
    value = {"rules": [rule]}
    ours = list(mistakes(value, SCHEMA))
    theirs = list(Draft202012Validator(SCHEMA).iter_errors(value))
    assert bool(ours) == bool(theirs), (ours, theirs)


def test_a_schema_with_a_keyword_that_is_not_checked_is_refused() -> None:
    with pytest.raises(ValueError, match="multipleOf"):
        list(mistakes(1, {"multipleOf": 2}))


def test_what_the_schema_lets_through_the_document_reads_or_refuses_in_words() -> None:
    minimal = {"fallback": True, "stages": [{"groups": [LEADS]}]}
    assert not list(mistakes({"rules": [{"name": "x", **minimal}]}, SCHEMA))
    assert parse_document(minimal).fallback
