"""Which rules judge what: a table of cases. Each is a rule set, what is asked, and the rules that judge it with the stages
that follow; "" where nobody may ask, with words that say why.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from policy.document import parse_document, serialise_document
from policy.matching import Match, match
from policy.models import Rule, RuleVersion
from policy.scope import Ask, OnCall, Opened

WEDNESDAY_NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
WEDNESDAY_NIGHT = datetime(2026, 11, 25, 23, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 29, 12, tzinfo=UTC)
ROOT, PROD, PAYMENTS, DEV = "r-ab12", "ou-ab12-prod0000", "ou-ab12-payments", "ou-ab12-dev00000"
A1, A2, A3 = "111111111111", "222222222222", "333333333333"

# Account 1 pays, below Production; account 2 is below Production too; account 3 is for development.
TREE = {A1: {ROOT, PROD, PAYMENTS}, A2: {ROOT, PROD}, A3: {ROOT, DEV}}
TAGS: dict[str, dict[str, str]] = {
    A1: {"env": "prod", "Owner": "ann@acme.example", "pci": "yes"},
    A2: {"env": "prod", "Owner": "bob-id"},
    A3: {"env": "dev", "Owner": "nobody@acme.example"},
}
PEOPLE = {"ann@acme.example": "ann", "ann": "ann", "bob-id": "bob-id"}
OFFICE = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "18:00", "zone": "UTC"}
NIGHT = {"from": "22:00", "to": "06:00"}


def opens(*named: str) -> frozenset[Opened]:
    """Pairs such as "Admin@111111111111"."""
    split = [each.split("@") for each in named]
    return frozenset(
        Opened(account, name, frozenset(TREE[account]), tuple(sorted(TAGS[account].items())))
        for name, account in split
    )


def judge(rules: Mapping[str, Mapping[str, Any]], pairs: frozenset[Opened], **asked: Any) -> Match:
    versions = []
    for number, (name, said) in enumerate(sorted(rules.items())):
        raw = {"stages": [{"people": [f"boss of {name}"]}], **said}
        document = serialise_document(parse_document(raw))
        versions.append(
            RuleVersion(
                pk=number, rule=Rule(pk=number, name=name), number=1, document=document, document_hash=""
            )
        )
    values = {
        "group": "pim",
        "opened": pairs,
        "requester_groups": frozenset(),
        "attributes": (),
        "asked_at": WEDNESDAY_NOON,
        "people": PEOPLE,
        **asked,
    }
    return match(Ask(**values), versions)


def to(**scope: Any) -> dict[str, Any]:
    """A rule that applies to this."""
    return {"applies_to": scope}


def whoever(**scope: Any) -> dict[str, Any]:
    """A fallback, within this scope where one is given."""
    return {"fallback": True, **({"applies_to": scope} if scope else {})}


def works(department: str, title: str = "") -> dict[str, Any]:
    """Asked by somebody of this department."""
    return {"attributes": (("department", department), ("job_title", title))}


ALL: dict[str, Any] = {"applies_to": "everything"}
ONE = opens(f"Admin@{A1}")
MIXED = opens(f"Admin@{A1}", f"Reader@{A3}")

IN_TEAM = {"requester_groups": frozenset({"team"})}
IN_OTHERS = {"requester_groups": frozenset({"others"})}
IT_SRE = to(requester={"department": ["IT"], "job_title": ["SRE"]})

type Case = tuple[str, dict[str, dict[str, Any]], frozenset[Opened], dict[str, Any], str]
CASES: list[Case] = [
    # By PIM group.
    ("no rules", {}, ONE, {}, ""),
    ("its group", {"R": to(groups=["pim"])}, ONE, {}, "R"),
    ("another group", {"R": to(groups=["other"])}, ONE, {}, ""),
    ("one of its groups", {"R": to(groups=["other", "pim"])}, ONE, {}, "R"),
    ("everything", {"R": ALL}, ONE, {}, "R"),
    ("two for the group", {"R": to(groups=["pim"]), "S": to(groups=["pim"])}, ONE, {}, "R S"),
    ("one for the group, one for all", {"R": to(groups=["pim"]), "S": ALL}, ONE, {}, "R S"),
    # Fallbacks.
    ("only a fallback", {"F": whoever()}, ONE, {}, "F"),
    ("a fallback behind a rule", {"F": whoever(), "R": to(groups=["pim"])}, ONE, {}, "R"),
    ("a fallback behind a rule for others", {"F": whoever(), "R": to(groups=["other"])}, ONE, {}, "F"),
    ("two fallbacks", {"F": whoever(), "G": whoever()}, ONE, {}, "F G"),
    ("a fallback in scope", {"F": whoever(accounts=[A1])}, ONE, {}, "F"),
    ("a fallback out of scope", {"F": whoever(accounts=[A2])}, ONE, {}, ""),
    ("a fallback fills no gap", {"F": whoever(), "R": to(accounts=[A1])}, MIXED, {}, ""),
    ("a fallback behind everything", {"F": whoever(), "R": ALL}, MIXED, {}, "R"),
    # By permission set.
    ("its permission set", {"R": to(permission_sets=["Admin"])}, ONE, {}, "R"),
    ("another permission set", {"R": to(permission_sets=["Reader"])}, ONE, {}, ""),
    ("no part of a name", {"R": to(permission_sets=["Adm"])}, ONE, {}, ""),
    ("names differ by case", {"R": to(permission_sets=["admin"])}, ONE, {}, ""),
    ("one of two sets", {"R": to(permission_sets=["Admin"])}, MIXED, {}, ""),
    ("both sets", {"R": to(permission_sets=["Admin", "Reader"])}, MIXED, {}, "R"),
    ("a rule for each set", {"R": to(permission_sets=["Admin"]), "S": to(permission_sets=["Reader"])}, MIXED, {}, "R S"),
    # By account.
    ("its account", {"R": to(accounts=[A1])}, ONE, {}, "R"),
    ("another account", {"R": to(accounts=[A2])}, ONE, {}, ""),
    ("one of two accounts", {"R": to(accounts=[A1])}, MIXED, {}, ""),
    ("a rule for each account", {"R": to(accounts=[A1]), "S": to(accounts=[A3])}, MIXED, {}, "R S"),
    ("a rule for one, one for all", {"R": to(accounts=[A1]), "S": ALL}, MIXED, {}, "R S"),
    ("account and set of one pair", {"R": to(accounts=[A1], permission_sets=["Admin"])}, ONE, {}, "R"),
    (
        "account and set of two pairs",
        {"R": to(accounts=[A1], permission_sets=["Reader"]), "S": ALL},
        MIXED,
        {},
        "S",
    ),
    # By organisational unit, with all below it.
    ("its unit", {"R": to(units=[PAYMENTS])}, ONE, {}, "R"),
    ("the unit above", {"R": to(units=[PROD])}, ONE, {}, "R"),
    ("the root", {"R": to(units=[ROOT])}, MIXED, {}, "R"),
    ("a unit beside it", {"R": to(units=[DEV])}, ONE, {}, ""),
    ("a unit below it", {"R": to(units=[PAYMENTS])}, opens(f"Admin@{A2}"), {}, ""),
    ("the unit of a part", {"R": to(units=[PROD])}, MIXED, {}, ""),
    ("units that cover it together", {"R": to(units=[PROD]), "S": to(units=[DEV])}, MIXED, {}, "R S"),
    ("unit and unit below", {"R": to(units=[PROD]), "S": to(units=[PAYMENTS])}, ONE, {}, "R S"),
    # By account tag.
    ("its tag", {"R": to(account_tags={"env": ["prod"]})}, ONE, {}, "R"),
    ("another value", {"R": to(account_tags={"env": ["dev"]})}, ONE, {}, ""),
    ("one of the values", {"R": to(account_tags={"env": ["dev", "prod"]})}, MIXED, {}, "R"),
    ("any value", {"R": to(account_tags={"pci": ["*"]})}, ONE, {}, "R"),
    ("no such tag", {"R": to(account_tags={"pci": ["*"]})}, opens(f"Admin@{A2}"), {}, ""),
    ("both tags", {"R": to(account_tags={"env": ["prod"], "pci": ["yes"]})}, ONE, {}, "R"),
    ("one tag of two", {"R": to(account_tags={"env": ["prod"], "pci": ["no"]})}, ONE, {}, ""),
    ("a tag of a part", {"R": to(account_tags={"env": ["prod"]}), "S": ALL}, MIXED, {}, "R S"),
    # By who asks.
    ("a member", {"R": to(requester_groups=["team"])}, ONE, IN_TEAM, "R"),
    ("no member", {"R": to(requester_groups=["team"])}, ONE, IN_OTHERS, ""),
    ("a member gets more stages", {"R": to(requester_groups=["team"]), "S": ALL}, ONE, IN_TEAM, "R S"),
    ("others don't", {"R": to(requester_groups=["team"]), "S": ALL}, ONE, {}, "S"),
    ("a department", {"R": to(requester={"department": ["Payments"]})}, ONE, works("payments"), "R"),
    ("another department", {"R": to(requester={"department": ["Payments"]})}, ONE, works("Pay"), ""),
    ("no department", {"R": to(requester={"department": ["Payments"]})}, ONE, works(""), ""),
    ("department and title", {"R": IT_SRE}, ONE, works("IT", "sre"), "R"),
    ("department without title", {"R": IT_SRE}, ONE, works("IT", "PM"), ""),
    # By time.
    ("in office hours", {"R": to(during=OFFICE)}, ONE, {}, "R"),
    ("at night", {"R": to(during=OFFICE)}, ONE, {"asked_at": WEDNESDAY_NIGHT}, ""),
    ("on Sunday", {"R": to(during=OFFICE)}, ONE, {"asked_at": SUNDAY}, ""),
    ("outside office hours", {"R": to(outside=OFFICE), "S": ALL}, ONE, {"asked_at": SUNDAY}, "R S"),
    ("not outside", {"R": to(outside=OFFICE), "S": ALL}, ONE, {}, "S"),
    ("past midnight", {"R": to(during=NIGHT)}, ONE, {"asked_at": WEDNESDAY_NIGHT}, "R"),
    ("not at noon", {"R": to(during=NIGHT)}, ONE, {}, ""),
    # Several conditions of one rule.
    ("all hold", {"R": to(groups=["pim"], units=[PROD], during=OFFICE)}, ONE, {}, "R"),
    ("one doesn't", {"R": to(groups=["pim"], units=[DEV], during=OFFICE)}, ONE, {}, ""),
    # What opens nothing has nothing that a rule about pairs could speak of.
    ("it opens nothing", {"R": to(accounts=[A1])}, frozenset(), {}, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "pairs", "asked", "judging"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_which_rules_judge(
    rules: dict[str, dict[str, Any]], pairs: frozenset[Opened], asked: dict[str, Any], judging: str
) -> None:
    found = judge(rules, pairs, **asked)
    assert " ".join(version.rule.name for version in found.versions) == judging
    assert (found.demands is not None) == bool(judging)
    assert all(reason.endswith(".") for reason in found.reasons)
    if judging:
        assert len(found.reasons) == len(found.versions), "explained rule by rule"
        assert found.demands is not None
        decide = {person for stage in found.demands.stages for person in stage.approvers.people}
        assert decide == {f"boss of {name}" for name in judging.split()}
    else:
        assert "Ask an operator" in found.words


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60
    assert len({case[0] for case in CASES}) == len(CASES)


def test_what_has_no_rule_is_named() -> None:
    found = judge({"R": to(accounts=[A1])}, MIXED)
    assert f"opens what no rule speaks of: Reader on {A3}." in found.words
    assert "The rule “R” speaks of 1 permission set on 1 account that this PIM group opens." in found.words


def stages(found: Match) -> list[tuple[set[str], int]]:
    assert found.demands is not None
    return [(set(each.approvers.people), each.quorum) for each in found.demands.stages]


def test_every_owner_of_an_account_has_a_word() -> None:
    owners = {"R": {**ALL, "stages": [{"account_owner": {"tag": "Owner"}}]}}
    assert stages(judge(owners, ONE)) == [({"ann"}, 1)]
    both = opens(f"Admin@{A1}", f"Reader@{A1}", f"Admin@{A2}")
    assert stages(judge(owners, both)) == [({"ann"}, 1), ({"bob-id"}, 1)]
    assert stages(judge(owners, MIXED)) == [(set(), 1), ({"ann"}, 1)], "an account whose owner nobody knows"
    named = {"R": {**ALL, "stages": [{"people": ["lead"], "account_owner": {"tag": "Owner"}, "quorum": 2}]}}
    assert stages(judge(named, both)) == [({"ann", "lead"}, 2), ({"bob-id", "lead"}, 2)]


def test_the_requesters_manager_and_whoever_is_on_call_are_those_of_the_ask() -> None:
    rule = {"R": {**ALL, "stages": [{"manager": True, "people": ["lead"]}, {"on_call": "payments"}]}}
    known = {"payments": OnCall(frozenset({"oli", "ona"}))}
    assert stages(judge(rule, ONE, manager="mia", on_call=known)) == [
        ({"lead", "mia"}, 1),
        ({"oli", "ona"}, 1),
    ]
    found = judge(rule, ONE, no_manager="no manager at all", on_call={"payments": OnCall(problem="asleep")})
    assert stages(found) == [({"lead"}, 1), (set(), 1)]
    assert found.demands is not None
    assert [each.approvers.unknown for each in found.demands.stages] == ["no manager at all", "asleep"]
    assert "on call for payments has never been read" in str(judge(rule, ONE).demands)


def test_one_more_agrees_outside_office_hours() -> None:
    late = {"R": {**ALL, "second_approver_outside": OFFICE}}
    assert stages(judge(late, ONE)) == [({"boss of R"}, 1)]
    assert stages(judge(late, ONE, asked_at=SUNDAY)) == [({"boss of R"}, 2)]
    two = {"R": {**ALL, "second_approver_outside": [OFFICE, {**OFFICE, "days": ["sun"]}]}}
    assert stages(judge(two, ONE, asked_at=SUNDAY)) == [({"boss of R"}, 1)]


def test_the_same_people_are_asked_once_with_the_higher_quorum() -> None:
    one: dict[str, Any] = {**ALL, "stages": [{"people": ["a", "b", "c"], "quorum": 2}, {"people": ["d"]}]}
    other: dict[str, Any] = {**ALL, "stages": [{"people": ["d"], "quorum": 1}, {"people": ["c", "b", "a"]}]}
    assert stages(judge({"R": one, "S": other}, ONE)) == [({"a", "b", "c"}, 2), ({"d"}, 1)]
    twice: dict[str, Any] = {**ALL, "stages": [{"people": ["d", "e"]}, {"people": ["d", "e"]}]}
    assert stages(judge({"R": twice, "S": other}, ONE)) == [
        ({"d", "e"}, 1),
        ({"d", "e"}, 1),
        ({"d"}, 1),
        ({"a", "b", "c"}, 1),
    ]
