"""Rules are loaded all or none, once, and each wording is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.core.management import CommandError, call_command

from audit.ledger.models import Event
from base.errors import Invalid
from policy.interests import named_by_rules
from policy.loading import Change, load_rules, parse_rules
from policy.models import Rule, RuleVersion

GROUP = "7c9a1f3e-0000-4000-8000-000000000001"
APPROVERS = "7c9a1f3e-0000-4000-8000-0000000000a1"
BOSS = "7c9a1f3e-0000-4000-8000-0000000000b1"


def a_rule(name: str = "Production", **changes: Any) -> dict[str, Any]:
    return {"name": name, "groups": [GROUP], "stages": [{"groups": [APPROVERS]}], **changes}


def load(*rules: dict[str, Any], retire_others: bool = False) -> list[tuple[str, Change, int]]:
    loaded = load_rules(parse_rules({"rules": list(rules)}), written_by="a test", retire_others=retire_others)
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
        (None, "rules"),
        ({"rules": {}}, "rules"),
        ({"rules": [1]}, "Rule 1"),
        ({"rules": [{"stages": []}]}, "name"),
        ({"rules": [a_rule(), a_rule()]}, "Two rules"),
        ({"rules": [a_rule(stages=[])]}, "stage"),
        ({"rules": [a_rule(stages=[{"groups": []}])]}, "nobody"),
        ({"rules": [a_rule(stages=["everybody"])]}, "wrong kind"),
        ({"rules": [a_rule(groups=["AWS - Amazon EC2 Admin"])]}, "no Entra object id"),
        ({"rules": [a_rule(groups="*")]}, "lists"),
        ({"rules": [a_rule(longest_duration="two hours")]}, "duration"),
        ({"rules": [a_rule(quorum=2)]}, "no field"),
        ({"rules": [{"name": "Open", "stages": [{"groups": [APPROVERS]}]}]}, "what it applies to"),
        ({"rules": [a_rule(applies_to="everything")]}, "not at the top too"),
        ({"rules": [a_rule(groups=[], applies_to={})]}, "names nothing"),
        ({"rules": [a_rule(groups=[], applies_to={"regions": ["eu"]})]}, "no field regions"),
        ({"rules": [a_rule(groups=[], applies_to={"accounts": ["12345"]})]}, "twelve digits"),
        ({"rules": [a_rule(groups=[], applies_to={"units": ["Production"]})]}, "ou-ab12"),
        ({"rules": [a_rule(groups=[], applies_to={"requester": {"shoe_size": ["9"]}})]}, "shoe_size"),
        ({"rules": [a_rule(groups=[], applies_to={"requester_groups": ["admins"]})]}, "no Entra object id"),
        ({"rules": [a_rule(groups=[], applies_to={"during": {"from": "8", "to": "18:00"}})]}, "08:00"),
        ({"rules": [a_rule(second_approver_outside={"from": "08:00", "to": "08:00"})]}, "same time"),
        (
            {"rules": [a_rule(second_approver_outside={"from": "08:00", "to": "18:00", "zone": "Mars"})]},
            "Mars",
        ),
        ({"rules": [a_rule(second_approver_outside={"days": ["bank holidays"]})]}, "some of mon"),
        ({"rules": [a_rule(reference_pattern="INC[")]}, "RE2"),
        ({"rules": [a_rule(reference_pattern="(a+)+\\1")]}, "RE2"),
        ({"rules": [a_rule(justification_pattern=["a" * 201])]}, "200"),
        ({"rules": [a_rule(reference_required="yes")]}, "true or false"),
        ({"rules": [a_rule(shortest_justification=-1)]}, "at least 0"),
        ({"rules": [a_rule(stages=[{"groups": [APPROVERS], "quorum": 0}])]}, "at least 1"),
        ({"rules": [a_rule(stages=[{"account_owner": {"tag": ""}}])]}, "key of a tag"),
        ({"rules": [a_rule(stages=[{"groups": [APPROVERS], "manager": True}])]}, "no field manager"),
    ],
)
def test_a_bad_file_is_refused_with_the_place_and_the_reason(raw: object, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_rules(raw)
    assert words in refused.value.sentence


@pytest.mark.django_db
def test_the_command_loads_yaml_and_has_the_approvers_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, retry: rung.append((name, args)))
    file = tmp_path / "rules.yaml"
    file.write_text(
        "rules:\n  - name: Production\n    fallback: true\n    stages:\n"
        f"      - people: [{BOSS}]  # the boss\n        groups: [{APPROVERS}]\n"
    )
    call_command("load_rules", str(file))
    assert capsys.readouterr().out == "Production: created (version 1)\n"
    assert rung == [("catalog.tasks.sync_part", ["directory"])]
    interest = named_by_rules()
    assert (interest.groups, interest.people) == (frozenset({APPROVERS}), frozenset({BOSS}))


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["rules: [", "- no", "rules:\n  - name: x\n    stages: []\n"])
def test_the_command_refuses_a_bad_file_and_changes_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    with pytest.raises(CommandError, match=r"rules\.yaml"):
        call_command("load_rules", str(file))
    assert not Rule.objects.exists()
