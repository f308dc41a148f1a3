"""Rules are loaded all or none, once, and each wording is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from audit.ledger.models import Event
from policy.document import RuleDocument, parse_document
from policy.loading import Change, load_rules
from policy.models import Rule, RuleVersion
from policy.reading import read_rules
from tests.requests_app import factories as make

GROUP = "7c9a1f3e-0000-4000-8000-000000000001"
APPROVERS = "7c9a1f3e-0000-4000-8000-0000000000a1"
BOSS = "7c9a1f3e-0000-4000-8000-0000000000b1"


def a_rule(name: str = "Production", **changes: Any) -> dict[str, Any]:
    return {"name": name, "groups": [GROUP], "stages": [{"groups": [APPROVERS]}], **changes}


def rules_of(*rules: dict[str, Any]) -> Mapping[str, RuleDocument]:
    read = read_rules(json.dumps({"rules": list(rules)}))
    assert read.mistakes == []
    return read.rules


def load(*rules: dict[str, Any], retire_others: bool = False) -> list[tuple[str, Change, int]]:
    loaded = load_rules(rules_of(*rules), written_by="a test", retire_others=retire_others)
    return [(each.name, each.change, each.number) for each in loaded]


@pytest.mark.django_db
def test_the_same_wording_makes_one_version_and_one_event() -> None:
    assert load(a_rule()) == [("Production", Change.CREATED, 1)]
    assert load(a_rule(groups=[GROUP.upper()])) == [("Production", Change.UNCHANGED, 1)]
    assert RuleVersion.objects.count() == 1
    assert Event.objects.filter(type="rule.versioned").count() == 1


@pytest.mark.django_db
def test_a_new_wording_makes_the_next_version_and_keeps_the_old() -> None:
    load(a_rule())
    assert load(a_rule(longest_duration="PT4H")) == [("Production", Change.VERSIONED, 2)]
    rule = Rule.objects.get()
    assert rule.current is not None
    assert rule.current.number == 2
    assert [
        version.parsed.demands.longest_duration is None for version in rule.versions.order_by("number")
    ] == [
        True,
        False,
    ]
    events = Event.objects.filter(type="rule.versioned").order_by("id")
    assert [event.data["fields"]["number"] for event in events] == [1, 2]


@pytest.mark.django_db
def test_what_an_earlier_release_wrote_is_the_same_wording(world_rule: RuleVersion) -> None:
    assert "groups" in world_rule.document
    document = parse_document(world_rule.document)
    loaded = load_rules({world_rule.rule.name: document}, written_by="a test")
    assert [each.change for each in loaded] == [Change.UNCHANGED]


@pytest.fixture
def world_rule(db: None) -> RuleVersion:
    """A version with its PIM groups at the top, as they were written before `applies_to`."""
    return make.rule(make.person(), groups=(make.pim_group(),))


@pytest.mark.django_db
def test_rules_that_the_file_does_not_name_stay_unless_told_otherwise() -> None:
    load(a_rule("Old"), a_rule("Kept"))
    load(a_rule("Kept"))
    assert not Rule.objects.get(name="Old").retired
    assert ("Old", Change.RETIRED, 1) in load(a_rule("Kept"), retire_others=True)
    assert Rule.objects.get(name="Old").retired
    assert load(a_rule("Old")) == [("Old", Change.VERSIONED, 2)], "a rule that comes back gets a version"
    assert not Rule.objects.get(name="Old").retired


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, "mapping"),
        ({"rules": {}}, "must be a list"),
        ({"rules": [1]}, "Rule 1: must be a mapping"),
        ({"rules": [{"stages": []}]}, "name"),
        ({"rules": [a_rule(), a_rule()]}, "there twice"),
        ({"rules": [a_rule(stages=[])]}, "at least one entry"),
        ({"rules": [a_rule(stages=[{"groups": []}])]}, "nobody"),
        ({"rules": [a_rule(stages=["everybody"])]}, "stage 1: must be a mapping"),
        ({"rules": [a_rule(groups=["AWS - Amazon EC2 Admin"])]}, "an Entra object id"),
        ({"rules": [a_rule(groups="*")]}, "must be a list"),
        ({"rules": [a_rule(longest_duration="two hours")]}, "duration"),
        ({"rules": [a_rule(quorum=2)]}, "no field “quorum”"),
        ({"rules": [{"name": "Open", "stages": [{"groups": [APPROVERS]}]}]}, "what it applies to"),
        ({"rules": [a_rule(applies_to="everything")]}, "not at the top too"),
        ({"rules": [a_rule(groups=[], applies_to={})]}, "names nothing"),
        ({"rules": [a_rule(groups=[], applies_to={"regions": ["eu"]})]}, "no field “regions”"),
        ({"rules": [a_rule(groups=[], applies_to={"accounts": ["12345"]})]}, "twelve digits"),
        ({"rules": [a_rule(groups=[], applies_to={"units": ["Production"]})]}, "ou-ab12"),
        ({"rules": [a_rule(groups=[], applies_to={"requester": {"shoe_size": ["9"]}})]}, "shoe_size"),
        ({"rules": [a_rule(groups=[], applies_to={"requester_groups": ["admins"]})]}, "an Entra object id"),
        ({"rules": [a_rule(groups=[], applies_to={"during": {"from": "8", "to": "18:00"}})]}, "08:00"),
        ({"rules": [a_rule(second_approver_outside={"from": "08:00", "to": "08:00"})]}, "same time"),
        (
            {"rules": [a_rule(second_approver_outside={"from": "08:00", "to": "18:00", "zone": "Mars"})]},
            "Mars",
        ),
        (
            {
                "rules": [
                    a_rule(
                        second_approver_outside={"days": ["bank holidays"], "from": "08:00", "to": "18:00"}
                    )
                ]
            },
            "one of mon",
        ),
        ({"rules": [a_rule(reference_pattern="INC[")]}, "RE2"),
        ({"rules": [a_rule(reference_pattern="(a+)+\\1")]}, "RE2"),
        ({"rules": [a_rule(justification_pattern=["a" * 201])]}, "200"),
        ({"rules": [a_rule(reference_required="yes")]}, "true or false"),
        ({"rules": [a_rule(shortest_justification=-1)]}, "at least 0"),
        ({"rules": [a_rule(stages=[{"groups": [APPROVERS], "quorum": 0}])]}, "at least 1"),
        ({"rules": [a_rule(stages=[{"account_owner": {"tag": ""}}])]}, "tag: must not be empty"),
        ({"rules": [a_rule(stages=[{"groups": [APPROVERS], "deputy": True}])]}, "no field “deputy”"),
    ],
)
def test_a_bad_file_is_refused_with_the_place_and_the_reason(raw: object, words: str) -> None:
    read = read_rules(json.dumps(raw))
    assert read.rules == {}
    assert words in str(read.mistakes[0])
