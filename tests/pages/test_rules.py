"""Rules on the pages: read by operators and auditors, proposed as text, decided by a second operator."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from oversight.rules.applying import carry_changes
from oversight.rules.models import RuleChange, RuleEffect
from oversight.rules.state import in_force
from oversight.rules.working_out import work_out_slice
from policy.models import Rule
from tests.pages.conftest import Visitor, World, main_of
from tests.requests_app import factories as make

RULES, PROPOSE = "/operations/rules/", "/operations/rules/propose/"
WHY = "Windows were too long"


def text_for(world: World, **more: str) -> str:
    """One rule for everything, in which Ben decides."""
    fields = "".join(f"    {name}: {value}\n" for name, value in more.items())
    return (
        f"rules:\n  - name: Everything\n    fallback: true\n{fields}"
        f"    stages:\n      - people: [{world.ben.object_id}]\n"
    )


def base() -> str:
    return json.dumps(in_force()[1])


def proposed(world: World, operator: Visitor, **more: str) -> RuleChange:
    answer = operator.post(PROPOSE, text=text_for(world, **more), reason=WHY, base=base())
    assert answer.status_code == 302, main_of(answer)
    return RuleChange.objects.get(pk=UUID(answer.headers["Location"].rstrip("/").rpartition("/")[2]))


def address(change: RuleChange) -> str:
    return f"/operations/rules/changes/{change.pk}/"


@pytest.mark.parametrize(
    ("roles", "reads", "acts"), [((), 404, 404), (("Auditor",), 200, 404), (("Operator",), 200, 200)]
)
def test_who_may_open_what(world: World, roles: tuple[str, ...], reads: int, acts: int) -> None:
    change = proposed(world, world.sign_in(world.ben, "Operator"))
    visitor = world.sign_in(world.cy, *roles)
    for path in (RULES, f"{RULES}history/", f"{RULES}{world.rule.rule_id}/", address(change)):
        assert visitor.get(path).status_code == reads, path
    assert visitor.get(PROPOSE).status_code == acts
    assert visitor.get(f"{PROPOSE}?rule=999999").status_code == 404
    assert visitor.get(f"{PROPOSE}?change=no-id").status_code == 404
    if acts == 404:
        assert visitor.post(f"{address(change)}decide/", verdict="accept", reason="x").status_code == 404
        assert "Accept</button>" not in main_of(visitor.get(address(change))) if reads == 200 else True


def test_from_the_proposal_to_the_new_rules_and_back(world: World) -> None:
    first, second = world.sign_in(world.cy, "Operator"), world.sign_in(make.person("Olga Other"), "Operator")
    world.ask()
    old = world.rule.rule.name
    page = main_of(first.get(PROPOSE))
    assert f"{world.ben.object_id}  # Ben Boss" in page
    change = proposed(world, first, longest_duration="PT30M")
    page = main_of(first.get(address(change)))
    assert "A worker is working it out" in page
    assert "You proposed this yourself" in page
    assert ">Accept</button>" not in page
    while work_out_slice():
        pass
    page = main_of(second.get(address(change)))
    for words in (
        WHY,
        f"{old} <span class=\"soft\">retired</span>",
        "Everything <span class=\"soft\">added</span>",
        "<ins>30 min</ins>",
        "for <span class=\"strong\">1</span> something else is demanded",
        "Longest duration: 30 min.",
        "Nobody does, of what eligible people can ask for now.",
        "<span class=\"strong\">1</span> would have been refused",
        "1 h were asked for, and 30 min are the longest",
    ):  # fmt: skip
        assert words in page, words
    answer = first.post(f"{address(change)}decide/", verdict="accept", reason="Mine")
    assert answer.status_code == 403
    assert "second operator" in main_of(answer)
    for fields in ({"verdict": "accept", "reason": ""}, {"verdict": "sing", "reason": "x"}, {}):
        assert second.post(f"{address(change)}decide/", **fields).status_code == 422
    assert second.post(f"{address(change)}decide/", verdict="accept", reason="Looked at").status_code == 302
    assert "Being applied" in main_of(first.get(address(change)))
    carry_changes()
    page = main_of(first.get(RULES))
    assert "Everything" in page
    assert "At most 30 min" in page
    assert f">{old}</a>" not in page
    rule = Rule.objects.get(name="Everything")
    page = main_of(first.get(f"{RULES}{rule.pk}/"))
    assert "Cy Bystander, accepted by Olga Other" in page
    # One click leads back to it later, and it takes a second operator again.
    later = proposed(world, second, longest_duration="PT1H")
    first.post(f"{address(later)}decide/", verdict="accept", reason="Fine")
    carry_changes()
    page = main_of(first.get(f"{RULES}{rule.pk}/"))
    assert "<del>30 min</del><br><ins>1 h</ins>" in page
    page = main_of(first.get(f"{RULES}history/"))
    assert f"{PROPOSE}?change={change.pk}" in page
    assert f"{PROPOSE}?change={later.pk}" not in page, "it is in force"
    page = main_of(first.get(f"{PROPOSE}?change={change.pk}"))
    assert "Go back to earlier rules" in page
    assert "PT30M" in page
    again = first.post(
        PROPOSE,
        text=text_for(world, longest_duration="PT30M"),
        reason="Too long",
        base=base(),
        restores=str(change.pk),
    )
    assert "Goes back to" in main_of(second.get(again.headers["Location"]))


def test_every_mistake_is_named_and_what_was_written_is_kept(world: World) -> None:
    operator = world.sign_in(world.cy, "Operator")
    text = text_for(world, longest_duraton="PT4H", lapses_after="soon")
    answer = operator.post(PROPOSE, text=text, reason=WHY, base=base())
    assert answer.status_code == 422
    page = main_of(answer)
    assert "Line 4: Rule “Everything”, longest_duraton: has no field" in page
    assert "Line 5: Rule “Everything”, lapses_after: must be a duration" in page
    assert "longest_duraton: PT4H" in page
    assert WHY in page
    for fields, status, words in (
        ({"reason": ""}, 422, "Say why"),
        ({"base": json.dumps({"Else": 1})}, 409, "changed since you opened"),
        ({"base": "[]"}, 422, "damaged"),
        ({"text": ""}, 422, "at least one rule"),
        ({"restores": "00000000-0000-4000-8000-000000000000"}, 404, ""),
    ):
        form = {"text": text_for(world), "reason": WHY, "base": base(), **fields}
        answer = operator.post(PROPOSE, **form)
        assert answer.status_code == status, fields
        assert words in main_of(answer)
    assert not RuleChange.objects.exists()


def test_one_rule_is_edited_by_itself(world: World) -> None:
    operator, other = world.sign_in(world.cy, "Operator"), make.rule(world.cy)
    name = world.rule.rule.name
    page = main_of(operator.get(f"{PROPOSE}?rule={world.rule.rule_id}"))
    assert name in page
    assert world.cy.object_id not in page, "the other rule isn't there"
    form = {"reason": WHY, "base": base(), "only": name}
    taken = text_for(world).replace("Everything", other.rule.name)
    answer = operator.post(PROPOSE, text=taken, **form)
    assert "is there already" in main_of(answer)
    assert operator.post(PROPOSE, text=text_for(world), **form).status_code == 302
    change = RuleChange.objects.get()
    assert sorted(change.rules) == sorted(["Everything", other.rule.name])


def test_a_stale_proposal_leads_to_a_new_one(world: World) -> None:
    first, second = world.sign_in(world.cy, "Operator"), world.sign_in(world.ben, "Operator")
    change = proposed(world, first)
    make.rule(world.ben)
    page = main_of(second.get(address(change)))
    assert "The rules have changed since" in page
    assert ">Accept</button>" not in page
    assert second.post(f"{address(change)}decide/", verdict="accept", reason="x").status_code == 409
    carry_changes()
    page = main_of(second.get(address(change)))
    assert "Open it as a new proposal" in page
    assert "fallback: true" in main_of(second.get(f"{PROPOSE}?change={change.pk}"))


def test_what_could_not_be_worked_out_says_so(world: World) -> None:
    operator = world.sign_in(world.cy, "Operator")
    change = proposed(world, operator)
    work_out_slice()
    RuleEffect.objects.update(status="failed", problem="A worker tried three times.")
    assert "A worker tried three times." in main_of(operator.get(address(change)))
