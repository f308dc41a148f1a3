"""What a change would do, before anybody lets it happen: who gains and loses, and the requests of the last 90 days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from base.clock import business_now, real_now
from base.errors import Invalid
from catalog.models import AwsAccount, PimGroup
from identity.models import Person
from identity.signin.proving import Proof
from identity.sync import upsert_group_members
from oversight import tasks
from oversight.rules import deciding, pages, working_out
from oversight.rules.applying import carry_changes
from oversight.rules.models import RuleEffect
from oversight.rules.proposing import accept
from oversight.rules.replaying import Outcome, refused, waits_longer
from oversight.rules.state import in_force
from oversight.rules.working_out import work_out, work_out_slice
from policy.document import parse_document, serialise_document
from policy.linting import doubts
from policy.models import Rule
from requests_app.actions.granting import Bounds
from requests_app.actions.submitting import submit_request
from requests_app.lifecycle import ItemStatus
from requests_app.models import AccessRequest, RequestItem
from requests_app.waivers.settling import check_waiver
from tests.oversight.rules.conftest import Desk, wording
from tests.pages.conftest import World
from tests.pages.moving import decide
from tests.requests_app import factories as make
from tests.requests_app.emergencies import in_emergency, let_through

pytestmark = pytest.mark.django_db


def documents(desk: Desk, **changed: Any) -> dict[str, Any]:
    """The rules in force with these on top, as they are kept."""
    raw = {**in_force()[0], **changed}
    return {name: serialise_document(parse_document(each)) for name, each in raw.items() if each is not None}


def moved(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Turn with the first words of before and after, for Ada, who is the only one eligible."""
    words = ["can't" if each["demands"] is None else "can" for each in found["standings"]]
    return [(turn, words[old], words[new]) for _, _, turn, old, new in found["moves"]]


def test_who_gains_who_loses_and_for_whom_something_else_is_demanded(desk: Desk) -> None:
    world = desk.world
    name, other = world.rule.rule.name, make.pim_group()
    make.eligibility(world.ada, other)
    same = work_out(documents(desk))
    assert (same["people"], same["pairs"], moved(same)) == (1, 2, [])
    # A rule for the other group, and none for this one.
    swapped = work_out(documents(desk, **{name: wording(world.ben, groups=[other.object_id])}))
    assert sorted(moved(swapped)) == [("gains", "can't", "can"), ("loses", "can", "can't")]
    here = {"groups": [world.group.object_id]}
    shorter = work_out(documents(desk, **{name: wording(world.ben, **here, longest_duration="PT1H")}))
    assert moved(shorter) == [("differs", "can", "can")]
    # Nobody but the requester decides: as good as no rule.
    oneself = work_out(documents(desk, **{name: wording(world.ada, **here)}))
    assert moved(oneself) == [("loses", "can", "can't")]
    assert "nobody decides on their own request" in str(oneself["standings"])


def test_a_change_that_concerns_other_hours_is_found_at_whichever_it_is_proposed(desk: Desk) -> None:
    world, name = desk.world, desk.world.rule.rule.name
    begins = business_now() + timedelta(hours=10)
    ends = begins + timedelta(hours=1)
    later = {"from": f"{begins:%H:%M}", "to": f"{ends:%H:%M}"}
    words = f"Mon, Tue, Wed, Thu, Fri, Sat, Sun {begins:%H:%M} to {ends:%H:%M} (UTC)"
    here = {"groups": [world.group.object_id]}

    def hours(found: dict[str, Any]) -> list[str]:
        return [found["standings"][new].get("asked", "") for *_, new in found["moves"]]

    stricter = wording(world.ben, applies_to={**here, "during": later}, longest_duration="PT1H")
    found = work_out(documents(desk, Later=stricter))
    assert (moved(found), hours(found)) == ([("differs", "can", "can")], [f"within {words}"])
    only_then = work_out(documents(desk, **{name: wording(world.ben, applies_to={**here, "during": later})}))
    assert (moved(only_then), hours(only_then)) == ([("loses", "can", "can't")], [f"outside {words}"])
    # Two things at different hours are told both, and counted once.
    both = work_out(
        documents(desk, **{name: wording(world.ben, **here, longest_duration="PT2H")}, Later=stricter)
    )
    assert sorted(hours(both)) == [f"outside {words}", f"within {words}"]
    assert (both["turns"]["differs"], both["more_moves"]) == (1, 0)
    was, becomes = (both["standings"][each] for each in both["moves"][0][3:])
    said = pages.move_sentences(was, becomes, {})
    assert said[0] == f"Asked for {hours(both)[0]}:"
    # One more than there is has to agree, but not then: nobody could decide.
    second = work_out(documents(desk, **{name: wording(world.ben, **here, second_approver_outside=later)}))
    assert (moved(second), hours(second)) == ([("loses", "can", "can't")], [f"outside {words}"])
    # What is so at every hour says none.
    always = work_out(documents(desk, **{name: wording(world.ada, **here, second_approver_outside=later)}))
    assert (moved(always), hours(always)) == ([("loses", "can", "can't")], [""])


def test_who_gains_and_who_loses_the_right_to_decide(desk: Desk) -> None:
    world, name = desk.world, desk.world.rule.rule.name
    here, carl = {"groups": [world.group.object_id]}, make.person("Carl Careful")
    members = (carl, make.person("Gone Gordon", enabled=False), world.cy)
    team = upsert_group_members(make.oid(), display_name="A team", people=members, now=business_now())
    guest = make.person("Gus Guest", guest=True, employee_id="E9")
    nameless = make.person("Nora Nobody", guest=True, employee_id="")
    stage = {"people": [world.ben.object_id], "groups": [team.object_id]}

    def told(**changed: Any) -> list[str]:
        deciding = work_out(documents(desk, **changed))["deciding"]
        rows = pages.deciding_rows({"deciding": deciding})
        by_turn = {
            turn: {who for row in rows if row.turn == turn for who in row.people}
            for turn in ("gains", "loses")
        }
        assert {turn: len(who) for turn, who in by_turn.items()} == {turn: deciding[turn] for turn in by_turn}
        assert all(row.groups == [world.group.display_name] for row in rows)
        return [f"{row.turn}: {', '.join(row.people)}" for row in rows]

    assert told() == []
    assert told(**{name: {**here, "stages": [stage]}}) == ["gains: Carl Careful, Cy Bystander"]
    assert told(**{name: wording(carl, **here)}) == ["gains: Carl Careful", "loses: Ben Boss"]
    later = {"people": [world.ben.object_id], "escalation": {"after": "PT1H", "people": [carl.object_id]}}
    assert told(**{name: {**here, "stages": [later]}}) == ["gains: Carl Careful"]
    # A second rule of the same group adds a stage, one of nobody's group none; without a rule nobody decides.
    assert told(More=wording(carl, **here)) == ["gains: Carl Careful"]
    assert told(More=wording(carl, groups=[make.oid()])) == []
    assert told(**{name: None}) == ["loses: Ben Boss"]
    guests = {"people": [world.ben.object_id, guest.object_id, nameless.object_id]}
    assert told(**{name: {**here, "stages": [guests]}}) == []
    assert told(**{name: {**here, "stages": [guests], "guests_decide": True}}) == ["gains: Gus Guest"]
    # Who somebody's manager is counts as the request would find it.
    Person.objects.filter(pk=world.ada.pk).update(
        manager_object_id=carl.object_id, manager_read_at=business_now()
    )
    assert told(**{name: {**here, "stages": [{"manager": True}]}}) == [
        "gains: Carl Careful",
        "loses: Ben Boss",
    ]
    # What differs in something else is nobody's right.
    assert told(**{name: wording(world.ben, **here, longest_duration="PT1H")}) == []


def test_a_right_to_decide_on_many_groups_is_told_once_and_bounded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, groups = desk.world, [make.pim_group(f"AWS - {number:02}") for number in range(10)]
    for group in groups:
        make.eligibility(world.ada, group)
    many = [make.person(f"Zoe {number:02}") for number in range(10)]
    ids = [group.object_id for group in groups]
    stage = {"people": [each.object_id for each in many]}
    more = wording(world.ben, groups=ids[:1])
    found = work_out(documents(desk, Many={"groups": ids, "stages": [stage]}, More=more))["deciding"]
    first, second = pages.deciding_rows({"deciding": found})
    assert (found["gains"], found["loses"], found["more"]) == (11, 0, 0)
    assert (len(first.people), first.more_people, len(first.groups), first.more_groups) == (8, 2, 8, 1)
    assert (len(second.people), second.more_people, second.groups) == (8, 3, ["AWS - 00"])
    monkeypatch.setattr(deciding, "MOST_ROWS", 1)
    cut = work_out(documents(desk, Many={"groups": ids, "stages": [stage]}, More=more))["deciding"]
    assert (len(cut["rows"]), cut["more"]) == (1, 1)
    assert pages.deciding_rows({}) == [], "an earlier release worked it out"


def test_the_requests_of_90_days_are_judged_by_the_proposed_rules(desk: Desk) -> None:
    world, name = desk.world, desk.world.rule.rule.name
    item = world.ask(duration=timedelta(hours=3))
    here = {"groups": [world.group.object_id]}
    carl = make.person("Carl Careful")
    two = [{"people": [world.ben.object_id, carl.object_id], "quorum": 2}]
    for changed, outcome, words in (
        (
            wording(world.ben, **here, longest_duration="PT2H"),
            Outcome.REFUSED,
            "3 h were asked for, and 2 h are",
        ),
        (wording(world.ben, **here, reference_required=True), Outcome.REFUSED, "there is no reference"),
        (wording(world.ben, **here, shortest_justification=100), Outcome.REFUSED, "and 100 are needed"),
        (wording(world.ben, groups=[make.oid()]), Outcome.REFUSED, "No rule says"),
        (wording(world.ada, **here), Outcome.NOBODY, "nobody decides on their own request"),
        ({**here, "stages": two}, Outcome.LONGER, "2 approvals instead of 1"),
        (wording(world.ben, **here), None, ""),
    ):
        found = work_out(documents(desk, **{name: changed}))
        assert found["requests"] == 1
        assert found["outcomes"] == {each.value: int(each is outcome) for each in Outcome}, changed
        assert [key for key, _, _ in found["examples"]] == ([str(item.pk)] if outcome else [])
        assert words.lower() in "".join(said for _, _, said in found["examples"]).lower()


def test_what_more_a_sign_in_would_have_to_prove_is_told(desk: Desk) -> None:
    world, name = desk.world, desk.world.rule.rule.name
    here = {"groups": [world.group.object_id]}
    item, carl, now = world.ask(), make.person("Carl Careful"), real_now()
    with world.as_role("portal_web"):
        proof = Proof(carl.object_id, now, now, {"c1": now}, now)
        proven = make.pending_item(carl, world.group, world.rule, proof=proof)

    def otherwise(of: RequestItem, **changed: Any) -> tuple[str, str]:
        found = work_out(documents(desk, **{name: wording(world.ben, **{**here, **changed})}))
        rows = {key: (outcome, words) for key, outcome, words in found["examples"]}
        assert sum(found["outcomes"].values()) == len(rows)
        return rows.get(str(of.pk), ("", ""))

    asks = {"step_up": {"ask": {"contexts": ["c1"]}}}
    told = "To ask, a sign-in with Entra's authentication context c1 was needed."
    assert otherwise(item, **asks) == ("sign_in", told)
    assert otherwise(proven, **asks) == ("", ""), "it was proven then"
    more = {"step_up": {"ask": {"contexts": ["c1", "c2"]}}}
    assert otherwise(proven, **more) == ("sign_in", told.replace("c1", "c2"))
    two = {"stages": [{"people": [world.ben.object_id, world.cy.object_id], "quorum": 2}]}
    assert otherwise(item, **asks, **two) == ("longer", f"2 approvals instead of 1. {told}")
    # Of those who decide only whoever did is told.
    fresh = {"step_up": {"decide": {"fresh_within": "PT15M"}}}
    assert otherwise(item, **fresh) == ("", "")
    decide(item, world.ben, "deny", world.as_role)
    assert otherwise(item, **fresh) == ("sign_in", "To decide, a sign-in at most 15 min ago was needed.")
    assert otherwise(proven, **fresh) == ("", "")


def test_what_nobody_had_to_decide_and_somebody_would_have_to_is_told(desk: Desk) -> None:
    world, group = desk.world, make.pim_group("AWS - Break Fix")
    item = in_emergency(world.ada, group, world.ben, world.as_role)
    let_through(item)
    emergencies = make.judging(item).rule.name

    def told(rule: str, raw: dict[str, Any]) -> str:
        found = work_out(documents(desk, **{rule: raw}))
        return " ".join(f"{outcome}: {words}" for _, outcome, words in found["examples"])

    written = in_force()[0][emergencies]
    assert told(emergencies, written) == ""
    without = {key: value for key, value in written.items() if key != "emergency"}
    others = {**written["emergency"], "allowed": {"people": [world.cy.object_id]}}
    for changed in (without, {**written, "emergency": others}):
        assert told(emergencies, changed) == "longer: An approval instead of emergency use."

    version = make.rule(world.ben, groups=(world.group,), automatic={"longest_duration": "PT2H"})
    Rule.objects.filter(pk=world.rule.rule_id).update(retired=True)
    automatic, raw = approved_automatically(world), in_force()[0][version.rule.name]
    assert automatic.status == ItemStatus.APPROVED
    assert told(version.rule.name, raw) == ""
    for conditions in (
        {"longest_duration": "PT30M"},
        {"longest_duration": "PT2H", "reference_required": True},
    ):
        changed = {**raw, "automatic": conditions}
        assert told(version.rule.name, changed) == "longer: An approval instead of none."


def approved_automatically(world: World) -> RequestItem:
    """A request of an hour that a worker let through without anybody's word."""
    with world.as_role("portal_web"):
        request_id = submit_request(
            requester_id=world.ada.pk, group_object_id=world.group.object_id, duration=timedelta(hours=1),
            justification="Look at the queue", reference="", actor=make.actor(world.ada),
        )  # fmt: skip
    item = RequestItem.objects.get(request=request_id)
    with patch("requests_app.waivers.settling.check_item", return_value=("", Bounds())):
        check_waiver(waiver_id=item.waiver.pk)
    return RequestItem.objects.get(pk=item.pk)


def test_every_reason_is_told_and_less_work_is_no_news(desk: Desk) -> None:
    item = RequestItem(
        duration=timedelta(hours=3), request=AccessRequest(justification="Mend it", reference="X-1")
    )
    strict = parse_document(
        wording(
            desk.world.ben, fallback=True, longest_duration="PT1H", shortest_justification=20,
            justification_pattern="INC.*", reference_pattern="INC[0-9]+",
        )
    ).demands  # fmt: skip
    assert refused(item, strict).count(";") == 3
    loose = parse_document(wording(desk.world.ben, fallback=True, shortest_justification=0)).demands
    assert refused(item, loose) == ""
    assert waits_longer(strict, loose) == ""


def test_a_replay_that_is_cut_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_out, "BATCH", 1)
    for _ in range(3):
        group = make.pim_group()
        with desk.as_role("portal_web"):
            make.pending_item(desk.world.ada, group, desk.world.rule)
    whole = work_out(documents(desk))
    assert (whole["requests"], whole["cut"]) == (3, False)
    monkeypatch.setattr(working_out, "MOST", 2)
    cut = work_out(documents(desk))
    assert (cut["requests"], cut["cut"]) == (2, True)


def test_a_worker_works_in_slices_and_nobody_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_out, "SLICE", timedelta(0))
    monkeypatch.setattr(working_out, "BATCH", 1)
    desk.world.ask()
    change = desk.propose({"New": wording(desk.world.ben, groups=[make.oid()])})
    assert work_out_slice()
    effect = RuleEffect.objects.get()
    assert (effect.status, effect.found["people"]) == ("running", 1)
    RuleEffect.objects.update(lease_until=real_now() + timedelta(minutes=1))
    assert not work_out_slice(), "somebody is at it"
    RuleEffect.objects.update(lease_until=None)
    slices = 0
    while work_out_slice():
        slices += 1
    effect.refresh_from_db()
    assert (effect.status, effect.change_id) == ("done", change.pk)
    assert slices > 1
    assert effect.found == {**work_out(change.rules), "moves": effect.found["moves"]}


def test_what_fails_is_tried_again_and_given_up_in_words(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise Invalid("test", "Nothing works.")

    desk.propose({"New": wording(desk.world.ben, groups=[make.oid()])})
    monkeypatch.setattr(working_out, "steps", broken)
    for _ in range(3):
        assert not work_out_slice()
        RuleEffect.objects.exclude(lease_until=None).update(lease_until=real_now())
    effect = RuleEffect.objects.get()
    assert effect.status == "failed"
    assert "tried three times" in effect.problem
    assert not work_out_slice()


def test_what_is_decided_is_not_worked_out_any_more(desk: Desk) -> None:
    change = desk.propose({"New": wording(desk.world.ben, groups=[make.oid()])})
    with desk.as_role("portal_web"):
        accept(change_id=change.pk, person_id=desk.otto.pk, reason="So be it", actor=make.actor(desk.otto))
    RuleEffect.objects.create(change=change, started_at=business_now())
    carry_changes()
    assert not work_out_slice()


def test_the_task_applies_and_works_out_and_rings_for_the_rest(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(tasks.rules, "delay", lambda: rung.append("rules"))
    change = desk.propose({"New": wording(desk.world.ben, groups=[make.oid()])})
    tasks.rules()
    assert (RuleEffect.objects.get().status, rung) == ("done", ["rules"])
    with desk.as_role("portal_web"):
        accept(change_id=change.pk, person_id=desk.otto.pk, reason="So be it", actor=make.actor(desk.otto))
    tasks.rules()
    assert "New" in in_force()[1]
    assert rung == ["rules"]


def test_doubts_name_what_is_probably_not_meant(desk: Desk) -> None:
    world, gone = desk.world, make.oid()
    rules = {
        "Odd": parse_document(
            {
                "applies_to": {
                    "groups": [world.group.object_id, gone],
                    "accounts": ["999999999999"],
                    "permission_sets": ["No such set"],
                },
                "longest_duration": "P1D",
                "automatic": {"longest_duration": "PT9M", "read_only": True},
                "stages": [
                    {"people": [world.ben.object_id, gone], "quorum": 2},
                    {"groups": [gone]},
                    {"people": [world.ben.object_id]},
                ],
            }
        )
    }
    PimGroup.objects.filter(pk=world.group.pk).update(
        authentication_context="c1", requires_approval=True, approver_people=[gone]
    )
    said = [each.sentence for each in doubts(rules)]
    for words in (
        f"PIM demands the authentication context c1 of whoever activates it ({world.group.display_name})",
        f"PIM demands the approval of one of its own approvers ({world.group.display_name})",
        f"PIM demands an approval, which this rule waives ({world.group.display_name})",
        f"no managed PIM group that the portal knows: {gone}",
        "no AWS account that the portal knows: 999999999999",
        "no permission set that the portal knows: No such set",
        f"nobody enabled is known with the id {gone}",
        f"no directory group {gone} is known",
        "At stage 1, 2 must agree and 1 could",
        "At stage 3, all of the 1 who could decide must agree",
        "Automatically it approves at most 9 min, and access is given for at least 10 min",
        f"longer than PIM allows for {world.group.display_name}",
    ):
        assert any(words in each for each in said), words
    fine = {
        "All": parse_document(wording(world.ben, fallback=True)),
        "More": parse_document(wording(world.ben, fallback=True)),
    }
    assert not any("No rule names" in each.sentence for each in doubts(fine))


@pytest.mark.parametrize("by", ["groups", "everything", "accounts", "permission_sets", "account_tags"])
def test_what_is_looser_than_pim_is_said_however_a_rule_finds_the_group(desk: Desk, by: str) -> None:
    group = desk.world.group
    account = group.account_assignments.select_related("account", "permission_set").first()
    assert account is not None
    AwsAccount.objects.filter(pk=account.account_id).update(tags={"env": "prod"})
    PimGroup.objects.filter(pk=group.pk).update(
        activation_maximum=timedelta(hours=2), requires_ticket=True, authentication_context="c1"
    )
    here, elsewhere = {
        "groups": ([group.object_id], [make.oid()]),
        "everything": ("everything", None),
        "accounts": ([account.account.account_id], ["999999999999"]),
        "permission_sets": ([account.permission_set.name], ["No such set"]),
        "account_tags": ({"env": ["prod"]}, {"env": ["dev"]}),
    }[by]
    loose = {
        "longest_duration": "PT4H",
        "shortest_justification": 0,
        "automatic": {"longest_duration": "PT3H"},
        "emergency": {
            "allowed": {"people": [desk.pia.object_id]},
            "longest_duration": "PT5H",
            "reviewers": {"people": [desk.otto.object_id]},
        },
    }

    def said(applies_to: Any, **more: Any) -> str:
        scope = applies_to if applies_to == "everything" else {by: applies_to}
        rules = {"Loose": wording(desk.world.ben, applies_to=scope, **more)}
        return " ".join(
            each.sentence
            for each in doubts({name: parse_document(raw) for name, raw in rules.items()})
            if "PIM" in each.sentence and group.display_name in each.sentence and each.rule == "Loose"
        )

    told = said(here, **loose)
    for words in (
        f"It allows 4 h, which is longer than PIM allows for {group.display_name}",
        f"In emergencies it allows 5 h, which is longer than PIM allows for {group.display_name}",
        f"Automatically it approves 3 h, which is longer than PIM allows for {group.display_name}",
        f"PIM demands a ticket, and this rule no reference ({group.display_name})",
        f"PIM demands a justification, and this rule none ({group.display_name})",
        f"PIM demands the authentication context c1 of whoever activates it ({group.display_name})",
    ):
        assert words in told, words
    strict = {
        "longest_duration": "PT2H",
        "reference_required": True,
        "step_up": {"ask": {"contexts": ["c1"]}},
    }
    assert said(here, **strict) == ""
    if elsewhere is not None:
        assert said(elsewhere, **loose) == ""


def test_a_fallback_is_looser_only_where_it_may_judge(desk: Desk) -> None:
    world = desk.world
    PimGroup.objects.filter(pk=world.group.pk).update(activation_maximum=timedelta(hours=2))
    raw = {
        "Rest": wording(world.ben, fallback=True, longest_duration="PT4H"),
        "Named": wording(world.ben, groups=[world.group.object_id], longest_duration="PT1H"),
    }

    def said() -> bool:
        found = doubts({name: parse_document(each) for name, each in raw.items()})
        return any("longer than PIM allows" in each.sentence for each in found if each.rule == "Rest")

    assert not said()
    scope = {"groups": [world.group.object_id], "requester": {"department": ["Finance"]}}
    raw["Named"] = wording(world.ben, applies_to=scope, longest_duration="PT1H")
    assert said(), "others than those of Finance come to it"
