"""The approver's inbox and the decision page."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from pytest_django import Settings

from base.clock import business_now, real_now
from catalog.models import DeciderRefresh, PersonRefresh, PimGroup
from identity.absences.declaring import declare
from identity.models import DirectoryGroup, DirectoryMembership, Person
from identity.signin.proving import Proof
from policy.approvers import may_decide
from policy.models import Rule, RuleVersion
from policy.preflight import who_can_decide
from requests_app.lifecycle import DecisionStatus, GrantStatus
from requests_app.meeting import conditions_of
from requests_app.models import Decision, Grant, RequestItem
from requests_app.selectors import decision_page, inbox, to_decide, waiting_count, waits_for
from requests_app.shown import read_facts
from requests_app.surroundings import surroundings
from tests.pages.conftest import Visitor, World, main_of
from tests.pages.moving import bring, decide, step
from tests.requests_app import factories as make
from tests.requests_app.activity.rows import activity


@pytest.fixture
def ben(world: World) -> Visitor:
    return world.sign_in(world.ben)


def page_of(item: RequestItem) -> str:
    return f"/approvals/{item.pk}/"


def test_the_inbox_has_the_first_due_first_and_counts_them(world: World, ben: Visitor) -> None:
    world.ask()
    second = make.pim_group("AWS - Asked later")
    with world.as_role("portal_web"):
        make.pending_item(world.ada, second, world.rule)
    answer = ben.get("/approvals/")
    page = main_of(answer)
    assert page.index(world.group.display_name) < page.index("AWS - Asked later")
    assert '<span class="count">2<' in answer.content.decode()


def test_the_inbox_is_paged(world: World, ben: Visitor) -> None:
    for _ in range(26):
        group = make.pim_group(accounts=1)
        with world.as_role("portal_web"):
            make.pending_item(world.ada, group, world.rule)
    first = main_of(ben.get("/approvals/"))
    assert first.count('<th scope="row">') == 25
    further = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert main_of(ben.get("/approvals/" + further)).count('<th scope="row">') == 1
    assert ben.get("/approvals/?after=nonsense_1").status_code == 200


def test_the_decision_page_says_what_an_approver_needs(world: World, ben: Visitor) -> None:
    item = world.ask()
    page = main_of(ben.get(page_of(item)))
    for expected in (
        item.request.justification,
        "Ada Asker",
        "1 h",
        "Last possible use",
        "Decided by Ben Boss.",
    ):
        assert expected in page
    for row in item.scope.all():
        assert row.account_id in page


def test_the_decision_page_says_which_conditions_are_met(world: World, ben: Visitor) -> None:
    Rule.objects.update(retired=True)
    rule = make.rule(
        world.ben, groups=(world.group,), longest_duration="PT4H", justification_pattern="Fix .*",
        reference_pattern="INC.*", step_up={"ask": {"contexts": ["c1"]}},
    )  # fmt: skip
    now = real_now()
    with world.as_role("portal_web"):
        proof = Proof(world.ada.object_id, now, now, {"c1": now}, now)
        item = make.pending_item(world.ada, world.group, rule, proof=proof)
    page = main_of(ben.get(page_of(item)))
    met = " ".join(page.partition('id="conditions">')[2].partition("</ul>")[0].split())
    for words in (
        f"The rule “{rule.rule.name}” names this PIM group.",
        "It is for 1 h, of 4 h at most.",
        "Its justification has 24 characters, of 10 at least.",
        "Its justification fits the pattern Fix .*.",
        "It was asked for with a sign-in with Entra&#x27;s authentication context c1.",
    ):
        assert words in met
    assert "Not met" not in met
    assert "reference" not in met, "none was given, and none is wanted"
    # What doesn't hold is said so, and a rule that has changed says no more why it judged it.
    changed = replace(read_facts(item).judging, demands=None)
    item.duration, item.request.proof, item.request.reference = timedelta(hours=5), None, "CHG1"
    assert [each.words for each in conditions_of(item, changed) if not each.holds] == [
        "It is for 5 h, of 4 h at most.",
        "Its reference does not fit the pattern INC.*.",
        "It was asked for with a sign-in with Entra's authentication context c1.",
    ]
    assert not [each for each in conditions_of(item, changed) if "names this PIM group" in each.words]


def test_a_length_that_no_rule_demands_is_no_condition(world: World, ben: Visitor) -> None:
    Rule.objects.update(retired=True)
    rule = make.rule(world.ben, groups=(world.group,), shortest_justification=0)
    with world.as_role("portal_web"):
        item = make.pending_item(world.ada, world.group, rule)
    page = main_of(ben.get(page_of(item)))
    assert "Its justification has" not in page
    assert "0 characters" not in page


def test_only_deciders_see_it_and_the_requester_never(world: World) -> None:
    item = world.ask()
    cy, ada = world.sign_in(world.cy), world.sign_in(world.ada)
    auditor = world.sign_in(make.person("Dee Auditor"), "Auditor")
    answers = [each.get(page_of(item)) for each in (cy, ada, auditor)]
    answers += [cy.get(f"/approvals/{uuid.uuid4()}/"), cy.get("/approvals/x/")]
    assert [each.status_code for each in answers] == [404] * 5
    assert len({main_of(each) for each in answers}) == 1
    assert [each.post(page_of(item), verdict="approve").status_code for each in (cy, auditor)] == [404, 404]
    assert not Decision.objects.exists()


def test_nobody_approves_their_own_request(world: World) -> None:
    version = make.rule(world.ada, world.ben, groups=(world.group,))
    with world.as_role("portal_web"):
        item = make.pending_item(world.ada, world.group, version)
    ada = world.sign_in(world.ada)
    assert item.pk not in {each.pk for each in inbox(waits_for(world.ada))}
    assert ada.post(page_of(item), verdict="approve").status_code == 404, "as her page of it doesn't exist"
    assert not Decision.objects.exists()


def test_approving_is_checked_and_followed(world: World, ben: Visitor) -> None:
    item = world.ask()
    assert (
        ben.post(page_of(item), verdict="approve", comment="Fine", shown=make.shown(item)).status_code == 302
    )
    decision = Decision.objects.get()
    assert (decision.verdict, decision.comment, decision.status) == ("approve", "Fine", "submitted")
    page = main_of(ben.get(page_of(item)))
    assert "A decision is being checked." in page
    assert "Your decision is being checked." in page
    assert "<textarea" not in page
    live = page.partition('hx-get="')[2].partition('"')[0]
    assert ben.get(live).status_code == 204
    step(decision, DecisionStatus.COUNTED, settled_at=decision.submitted_at)
    assert b"Approved" in ben.get(live).content


def test_a_refused_decision_says_why_and_can_be_made_again(world: World, ben: Visitor) -> None:
    item = world.ask()
    ben.post(page_of(item), verdict="approve", shown=make.shown(item))
    decision = Decision.objects.get()
    step(
        decision,
        DecisionStatus.REFUSED,
        settled_at=decision.submitted_at,
        reason="The requester is no longer eligible for this PIM group.",
    )
    page = main_of(ben.get(page_of(item)))
    assert "Your decision was not counted" in page
    assert "no longer eligible" in page
    assert "<textarea" in page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"verdict": "deny"}, "Say why"),
        ({"verdict": "maybe", "comment": "Perhaps"}, "Choose whether to approve or to deny."),
        ({}, "Choose whether to approve or to deny."),
        ({"verdict": "deny", "comment": "x" * 2001}, "at most 2000 characters"),
    ],
)
def test_refusals_are_inline(world: World, ben: Visitor, fields: dict[str, str], sentence: str) -> None:
    answer = ben.post(page_of(world.ask()), **fields)
    assert answer.status_code == 422
    assert sentence in main_of(answer)
    assert fields.get("comment", "") in main_of(answer)
    assert not Decision.objects.exists()


def test_deciding_after_somebody_else_is_a_clear_conflict(world: World, ben: Visitor) -> None:
    item = world.ask()
    decide(item, world.ben, "deny", world.as_role)
    answer = ben.post(page_of(item), verdict="approve")
    assert answer.status_code == 409
    assert "your decision was not taken" in main_of(answer)


def test_a_question_and_its_answer_are_seen_by_both(world: World, ben: Visitor) -> None:
    item, ada = world.ask(), world.sign_in(world.ada)
    thread = f"/requests/{item.request_id}/thread/"
    assert ada.get(thread).status_code == 404, "nobody has asked"
    assert 'id="say"' in main_of(ben.get(page_of(item)))
    empty = ben.post(thread, words=" ")
    assert empty.status_code == 422
    assert "Write your question first." in main_of(empty)
    asked = ben.post(thread, words="Which <host> is it?")
    assert (asked.status_code, asked["Location"]) == (302, page_of(item))
    page = main_of(ada.get(f"/requests/{item.request_id}/"))
    assert "Which &lt;host&gt; is it?" in page
    assert "A question waits for an answer from you." in page
    assert "Question for you" in main_of(ada.get("/"))
    for path in ("/approvals/", "/"):
        assert "Question open" in main_of(ben.get(path)), path
    answered = ada.post(thread, words="The first one")
    assert (answered.status_code, answered["Location"]) == (302, f"/requests/{item.request_id}/")
    assert "The first one" in main_of(ben.get(page_of(item)))
    assert "Answered" in main_of(ben.get("/approvals/"))
    assert waiting_count(waits_for(world.ben)) == 1


def test_who_looks_at_it_is_shown_to_the_others(world: World, ben: Visitor) -> None:
    version = make.rule(world.ben, world.cy, groups=(world.group,))
    with world.as_role("portal_web"):
        item = make.pending_item(world.ada, world.group, version)
    cy, attention = world.sign_in(world.cy), f"{page_of(item)}attention/"
    assert "I'm looking at it" in main_of(ben.get(page_of(item)))
    assert ben.post(attention).status_code == 302
    assert "Ben Boss is looking at it" in main_of(cy.get(page_of(item)))
    assert "Ben Boss is looking at it" in main_of(cy.get("/approvals/"))
    assert cy.post(attention).status_code == 409
    assert 'name="put_down"' in main_of(ben.get(page_of(item)))
    assert ben.post(attention, put_down="1").status_code == 302
    assert "is looking at it" not in main_of(cy.get("/approvals/"))


def test_who_else_has_it_what_this_person_had_and_who_decides_next(world: World, ben: Visitor) -> None:
    page = main_of(ben.get(page_of(world.ask())))
    for words in (
        "Nobody, by the portal&#x27;s own grants",
        "Never through the portal",
        "Last use in AWS",
        ": not known",
        "An approval of yours is the last one needed.",
    ):
        assert words.replace("&#x27;", "'") in page.replace("&#x27;", "'")


def test_surroundings_count_what_arrived_and_name_who_holds_it(world: World) -> None:
    leads = DirectoryGroup.objects.create(object_id=make.oid(), display_name="Leads")
    version = two_stage_rule(world.ben, leads.object_id, world)
    people = [make.person(f"Holder {number}") for number in range(6)]
    for holder, until in [*((each, GrantStatus.ACTIVE) for each in people), (world.ada, GrantStatus.ENDED)]:
        with world.as_role("portal_web"):
            earlier = make.pending_item(holder, world.group, world.rule)
        decide(earlier, world.ben, "approve", world.as_role)
        bring(make.scheduled_grant(earlier), until)
    with world.as_role("portal_web"):
        item = make.pending_item(world.ada, world.group, version)
    found = surroundings(decision_page(world.ben, item.pk))
    assert (list(found.holders), found.more_holders) == ([f"Holder {number}" for number in range(5)], 1)
    assert found.had == 1
    assert found.last_arrived_at is not None
    assert found.next_words == "After yours, the next stage decides: Leads."
    assert [use.at for use in found.last_used] == [None]
    used = activity(Grant.objects.get(person=world.ada)).uses.latest("last_at")
    (last,) = surroundings(decision_page(world.ben, item.pk)).last_used
    assert (last.permission_set, last.at) == (used.permission_set_name, used.last_at)
    two, elsewhere = make.rule(world.ben, world.cy, quorum=2), make.pim_group()
    with world.as_role("portal_web"):
        other = make.pending_item(world.ada, elsewhere, two)
    shown = decision_page(world.ben, other.pk)
    assert surroundings(shown).next_words == "After yours, 1 more approval is needed at this stage."
    asked = f"/requests/{other.request_id}/"
    ada = world.sign_in(world.ada)
    assert "One of them has approved." not in main_of(ada.get(asked))
    with world.as_role("portal_web"):
        word = Decision.objects.get(pk=make.submitted_decision(other, world.ben))
    step(word, DecisionStatus.COUNTED, settled_at=business_now())
    assert "One of them has approved." in main_of(ada.get(asked))


def test_approving_for_less_is_said_to_whoever_asked(world: World, ben: Visitor) -> None:
    item = world.ask(duration=timedelta(hours=2))
    assert main_of(ben.get(page_of(item))).count('name="length"') == 4, "as asked, two shorter ones, another"
    fields = {
        "verdict": "approve",
        "comment": "",
        "length": "other",
        "minutes": "45",
        "shown": make.shown(item),
    }
    refused = ben.post(page_of(item), **{**fields, "hours": "3"})
    assert refused.status_code == 422
    assert "2 h was asked for" in main_of(refused)
    assert ben.post(page_of(item), **{**fields, "hours": "0"}).status_code == 302
    assert Decision.objects.get().duration == timedelta(minutes=45)
    page = main_of(world.sign_in(world.ada).get(f"/requests/{item.request_id}/"))
    assert "For 45 min, which is less than the 2 h that you asked for." in page


def test_a_page_that_is_not_so_any_more_is_refused_with_the_change(world: World, ben: Visitor) -> None:
    item = world.ask()
    seen = main_of(ben.get(page_of(item))).partition('name="shown" value="')[2].partition('"')[0]
    assert seen == make.shown(item)
    added = make.pim_group(accounts=1).account_assignments.get()
    added.pk, added.group = None, world.group
    added.save()
    PimGroup.objects.filter(pk=world.group.pk).update(scope_hash="other")
    answer = ben.post(page_of(item), verdict="approve", comment="Fine", shown=seen)
    page = main_of(answer)
    assert answer.status_code == 409
    assert "What this PIM group opens has changed. Your decision was not taken." in page
    assert f"opens what was not asked for: {added.permission_set.name} on {added.account.name}." in page
    assert "Fine" in page, "what was written is kept"
    assert not Decision.objects.exists()
    again = page.partition('name="shown" value="')[2].partition('"')[0]
    assert ben.post(page_of(item), verdict="deny", comment="Too much", shown=again).status_code == 302


def test_a_page_refused_for_another_reason_goes_on_naming_what_it_showed(world: World, ben: Visitor) -> None:
    item = world.ask()
    seen = make.shown(item)
    PimGroup.objects.filter(pk=world.group.pk).update(scope_hash="other")
    answer = ben.post(page_of(item), verdict="deny", comment="", shown=seen)
    assert answer.status_code == 422
    assert f'name="shown" value="{seen}"' in main_of(answer)


# --- What waits for whom, against the rule that says who may decide


def two_stage_rule(first: Person, second_group: str, world: World) -> RuleVersion:
    version = make.rule(first, groups=(world.group,))
    stages = [
        {"people": [first.object_id], "groups": [], "quorum": 1},
        {"people": [], "groups": [second_group], "quorum": 1},
    ]
    document = {**version.document, "stages": stages}
    return RuleVersion.objects.create(
        rule=version.rule,
        number=2,
        document=document,
        document_hash="two stages",
        created_at=version.created_at,
        created_by="tests",
    )


def test_what_waits_for_somebody_is_what_they_may_decide(world: World) -> None:
    leads = DirectoryGroup.objects.create(object_id=make.oid(), display_name="Leads")
    twin = make.person("Ada Admin", employee_id=world.ada.employee_id)
    guest, disabled = make.person("Gil Guest", guest=True), make.person("Dan Disabled", enabled=False)
    for member in (world.cy, world.ada, twin, guest, disabled):
        DirectoryMembership.objects.create(group=leads, person=member)
    version = two_stage_rule(world.ben, leads.object_id, world)
    groups = [make.pim_group(accounts=1) for _ in range(2)]
    with world.as_role("portal_web"):
        items = [make.pending_item(world.ada, group, version) for group in groups]
    RequestItem.objects.filter(pk=items[1].pk).update(stage=1)
    items[1].stage = 1
    for person in (world.ada, world.ben, world.cy, twin, guest, disabled):
        expected = {
            item.pk for item in items if may_decide(person, item.terms.parsed, item.stage, item.requester)
        }
        assert {item.pk for item in to_decide(person)} == expected, person
    assert [item.pk for item in inbox(waits_for(world.cy))] == [items[1].pk]
    assert waiting_count(waits_for(twin)) == 0


def test_where_guests_decide_nothing_waits_for_one_whom_nobody_knows(world: World) -> None:
    known, unknown = (make.person(f"Gil Guest {mark}", guest=True, employee_id=mark) for mark in ("E-9", " "))
    rule = make.rule(known, unknown, groups=(world.group,), guests_decide=True)
    with world.as_role("portal_web"):
        item = make.pending_item(world.ada, world.group, rule)
    for person, may in ((known, True), (unknown, False)):
        assert may_decide(person, item.terms.parsed, 0, world.ada) is may
        assert waiting_count(waits_for(person)) == int(may)
    assert [found.names for found in who_can_decide(item.terms.parsed, world.ada)] == [["Gil Guest E-9"]]


def test_nothing_of_ones_own_waits_even_without_an_employee_id(world: World) -> None:
    Person.objects.filter(pk__in=(world.ada.pk, world.ben.pk)).update(employee_id="")
    ada, ben = Person.objects.get(pk=world.ada.pk), Person.objects.get(pk=world.ben.pk)
    version = make.rule(ada, ben, groups=(world.group,))
    with world.as_role("portal_web"):
        make.pending_item(ada, world.group, version)
    assert (waiting_count(waits_for(ada)), waiting_count(waits_for(ben))) == (0, 1)


def test_what_was_decided_waits_no_longer_unless_it_was_not_counted(world: World) -> None:
    item = world.ask(duration=timedelta(minutes=30))
    with world.as_role("portal_web"):
        decision = Decision.objects.get(pk=make.submitted_decision(item, world.ben))
    assert waiting_count(waits_for(world.ben)) == 0
    step(decision, DecisionStatus.REFUSED, settled_at=decision.submitted_at, reason="no longer")
    assert waiting_count(waits_for(world.ben)) == 1


def test_a_delegate_sees_for_whom_and_the_page_says_so_afterwards(world: World) -> None:
    dora = make.person("Dora Deputy")
    item = world.ask()
    with world.as_role("portal_web"):
        declare(
            person_id=world.ben.pk,
            delegate_id=dora.pk,
            begins_at=None,
            ends_at=business_now() + timedelta(days=1),
            by_id=world.ben.pk,
            actor=make.actor(world.ben),
        )
    visitor, ben = world.sign_in(dora), world.sign_in(world.ben)
    assert "You also decide for Ben Boss" in main_of(visitor.get("/approvals/"))
    assert "You decide for Ben Boss, who is away until" in main_of(visitor.get(f"/approvals/{item.pk}/"))
    own = main_of(ben.get(f"/approvals/{item.pk}/"))
    assert "You are away" in own
    assert "Dora Deputy decides for you" in own
    answer = visitor.post(f"/approvals/{item.pk}/", verdict="deny", comment="No", shown=make.shown(item))
    assert answer.status_code == 302
    said = "In the right of Ben Boss, who was away."
    assert said in main_of(visitor.get(f"/approvals/{item.pk}/"))
    assert said in main_of(world.sign_in(world.ada).get(f"/requests/{item.request_id}/"))
    auditor = world.sign_in(world.cy, "Auditor")
    assert "In the right of Ben Boss" in main_of(auditor.get(f"/audit/requests/{item.request_id}/"))


def test_opening_the_form_or_a_decision_asks_for_fresh_knowledge_of_who_decides(
    world: World, settings: Settings
) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT
    item = world.ask()
    Person.objects.update(synced_at=None)
    world.sign_in(world.ben).get(f"/approvals/{item.pk}/")
    assert set(DeciderRefresh.objects.values_list("object_id", flat=True)) == {world.ben.object_id}
    DeciderRefresh.objects.update(owed=False)
    world.sign_in(world.ada).get(f"/access/{world.group.object_id}/request/")
    assert not DeciderRefresh.objects.filter(owed=True).exists(), "once a minute"


def test_so_do_the_pages_of_several(world: World, settings: Settings) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT
    other, dora = make.pim_group("AWS - Other"), make.person("Dora Decider")
    make.rule(dora, groups=(other,))
    make.eligibility(world.ada, other)
    item = world.ask()
    ben, ada = world.sign_in(world.ben), world.sign_in(world.ada)

    def asked_for() -> set[str]:
        rows = DeciderRefresh.objects.filter(owed=True)
        found = set(rows.values_list("object_id", flat=True))
        rows.update(owed=False)
        return found

    Person.objects.update(synced_at=None)
    ben.get(f"/approvals/{item.pk}/together/")
    assert asked_for() == {world.ben.object_id}
    ada.get(f"/access/request/?group={world.group.object_id}&group={other.object_id}")
    assert asked_for() == {dora.object_id}, "once a minute"
    assert PersonRefresh.objects.get().person == world.ada
