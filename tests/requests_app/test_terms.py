"""What a request is held to: the rules that apply, combined when it is made, and again before an approval counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from base.clock import business_now
from base.errors import Invalid
from catalog.models import AwsAccount, OrganizationalUnit, PimGroup
from identity.models import DirectoryGroup, DirectoryMembership, Person
from policy.document import document_hash, parse_document
from policy.loading import load_rules
from policy.matching import Match
from policy.models import Rule, Terms
from policy.terms import terms_of
from requests_app.actions import submitting
from requests_app.actions.deciding import check_decision
from requests_app.actions.submitting import submit_request
from requests_app.actions.withdrawing import withdraw_item
from requests_app.models import Decision, RequestItem
from requests_app.offers import offers
from tests.requests_app import factories as make
from tests.requests_app.deciding_scene import colleague, people, play, policy, submit
from tests.support.stage import Stage

__all__ = ["play"]
pytestmark = pytest.mark.django_db


def rules(play: Stage, **said: dict[str, Any]) -> None:
    """These are the rules now. Without a scope they are for the play's group."""
    documents = {
        name: parse_document({"applies_to": {"groups": [play.group.object_id]}, **raw})
        for name, raw in said.items()
    }
    load_rules(documents, written_by="a test", retire_others=True)


def ask(play: Stage, **changes: Any) -> RequestItem:
    with play.as_role("portal_web"):
        request_id = submit_request(
            requester_id=play.asker.pk,
            group_object_id=play.group.object_id,
            duration=timedelta(hours=1),
            actor=make.actor(play.asker),
            **{"justification": "Fix the stuck deployment", "reference": "", **changes},
        )
    return RequestItem.objects.select_related("terms").get(request=request_id)


def counted(decision_id: Any) -> bool:
    check_decision(decision_id=decision_id)
    return Decision.objects.get(pk=decision_id).status == "counted"


def test_every_rule_that_applies_has_its_stages(play: Stage) -> None:
    other = colleague(play, "Olga Other")
    rules(
        play,
        Own={"stages": [people(play.boss)], "longest_duration": "PT2H"},
        Wide={"applies_to": "everything", "stages": [people(other)], "lapses_after": "PT6H"},
        Fallback={"applies_to": {"accounts": ["999999999999"]}, "fallback": True, "stages": [people(other)]},
    )
    item = ask(play)
    assert str(item.terms) == "Own v1 and Wide v1"
    assert item.lapses_at - item.created_at == timedelta(hours=6)
    assert counted(submit(play, item.pk, play.boss))
    assert RequestItem.objects.get(pk=item.pk).status == "pending"
    assert counted(submit(play, item.pk, other))
    assert RequestItem.objects.get(pk=item.pk).status == "approved"


def test_requests_that_are_held_to_the_same_share_their_terms(play: Stage) -> None:
    rules(play, Own={"stages": [people(play.boss)]})
    first = ask(play)
    submit(play, first.pk, play.boss, "deny")
    check_decision(decision_id=Decision.objects.get().pk)
    assert ask(play).terms == first.terms
    assert Terms.objects.count() == 1


def test_terms_that_no_rules_make_are_refused(play: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a taken-over web process could write them: the right rule, and somebody else who decides."""
    accomplice = colleague(play, "Mal Mate")
    rules(play, Own={"stages": [people(play.boss)]})

    def forge(found: Match) -> Terms:
        honest = terms_of(found)
        demands = {**honest.demands, "stages": [people(accomplice)]}
        wording = document_hash({"demands": demands, "judged_by": honest.judged_by})
        return Terms.objects.create(demands=demands, judged_by=honest.judged_by, document_hash=wording)

    monkeypatch.setattr(submitting, "keep_terms", forge)
    decision = submit(play, ask(play).pk, accomplice)
    assert not counted(decision)
    assert (
        "What the rules demand of this request is something else" in Decision.objects.get(pk=decision).reason
    )


def test_a_rule_that_came_since_voids_what_was_approved(play: Stage) -> None:
    rules(play, Own={"stages": [people(play.boss)]})
    item = ask(play)
    both: dict[str, dict[str, Any]] = {
        "Own": {"stages": [people(play.boss)]},
        "Late": {"applies_to": "everything", "stages": [people(play.boss)]},
    }
    rules(play, **both)
    decision = submit(play, item.pk, play.boss)
    assert not counted(decision)
    assert "Other rules judge this PIM group now" in Decision.objects.get(pk=decision).reason


def test_the_owner_of_the_account_decides_as_long_as_they_are_its_owner(play: Stage) -> None:
    owner, heir = colleague(play, "Oda Owner"), colleague(play, "Hal Heir")
    opened = AwsAccount.objects.filter(account_assignments__group=play.group)
    opened.update(tags={"Owner": owner.user_principal_name.upper()})
    rules(play, Own={"stages": [{"account_owner": {"tag": "Owner"}}]})
    item = ask(play)
    assert {each for stage in item.terms.parsed.stages for each in stage.approvers.people} == {
        owner.object_id
    }
    opened.update(tags={"Owner": heir.object_id})
    decision = submit(play, item.pk, owner)
    assert not counted(decision)
    assert "something else now" in Decision.objects.get(pk=decision).reason
    opened.update(tags={"Owner": owner.object_id})
    assert counted(submit(play, item.pk, owner))


def test_the_requesters_manager_decides_as_long_as_they_are(play: Stage) -> None:
    manager, heir = colleague(play, "Mia Manager"), colleague(play, "Hal Heir")
    rules(play, Own={"stages": [{"manager": True}]})
    with pytest.raises(Invalid, match="has not been read from Entra yet"):
        ask(play)
    told = Person.objects.filter(pk=play.asker.pk)
    told.update(manager_read_at=business_now())
    with pytest.raises(Invalid, match="has no manager in Entra"):
        ask(play)
    told.update(manager_object_id=play.asker.object_id)
    with pytest.raises(Invalid, match="nobody decides on their own request"):
        ask(play)
    told.update(manager_object_id=manager.object_id)
    play.world_asker.manager_id = heir.object_id  # Entra knows better than the snapshot
    item = ask(play)
    decision = submit(play, item.pk, manager)
    assert not counted(decision)
    assert "something else now" in Decision.objects.get(pk=decision).reason
    play.world_asker.manager_id = manager.object_id
    assert counted(submit(play, item.pk, manager))


def test_an_account_without_a_known_owner_can_not_be_asked_for(play: Stage) -> None:
    rules(play, Own={"stages": [{"account_owner": {"tag": "Owner"}}]})
    with pytest.raises(Invalid) as refused:
        ask(play)
    assert "an account has no owner whom the portal knows" in refused.value.sentence.lower()


def test_who_has_left_the_group_that_a_rule_is_for_is_judged_without_it(play: Stage) -> None:
    """The snapshot still has the membership; the directory, asked by the worker, doesn't."""
    team = DirectoryGroup.objects.create(object_id=make.oid(), display_name="Team")
    DirectoryMembership.objects.create(group=team, person=play.asker)
    rules(play, Own={"applies_to": {"requester_groups": [team.object_id]}, "stages": [people(play.boss)]})
    item = ask(play)
    decision = submit(play, item.pk, play.boss)
    assert not counted(decision)
    assert "Other rules judge" in Decision.objects.get(pk=decision).reason


def test_texts_fit_the_patterns_that_the_rules_give(play: Stage) -> None:
    rules(
        play,
        Own={
            "stages": [people(play.boss)],
            "justification_pattern": "(?s).*deployment.*",
            "reference_pattern": ["INC[0-9]{7}", ".{10}"],
        },
    )
    for changes, field in (
        ({"justification": "Fix the stuck machine"}, "justification"),
        ({"reference": "CHG0012345"}, "reference"),
        ({"reference": "INC0012345678"}, "reference"),
    ):
        with pytest.raises(Invalid, match="pattern") as refused:
            ask(play, **changes)
        assert refused.value.field == field
    assert ask(play, reference="INC0012345").status == "pending"


def test_guests_decide_where_every_rule_lets_them(play: Stage) -> None:
    Person.objects.filter(pk=play.boss.pk).update(guest=True)
    rules(play, Own={"stages": [people(play.boss)]})
    with pytest.raises(Invalid, match="guest"):
        ask(play)
    rules(play, Own={"stages": [people(play.boss)], "guests_decide": True})
    assert ask(play).terms.parsed.guests_decide
    rules(
        play,
        Own={"stages": [people(play.boss)], "guests_decide": True},
        Wide={"applies_to": "everything", "stages": [people(play.boss)]},
    )
    (offer,) = offers(play.asker, query="", after="").offers
    assert "guest" in offer.obstacle


def test_units_are_inherited_and_a_page_of_groups_costs_the_same(
    play: Stage, django_assert_max_num_queries: Any
) -> None:
    root = OrganizationalUnit.objects.create(unit_id="r-ab12", name="Root")
    below = OrganizationalUnit.objects.create(unit_id="ou-ab12-prod", name="Production", parent=root)
    AwsAccount.objects.update(unit=below)
    rules(play, Own={"applies_to": {"units": ["r-ab12"]}, "stages": [people(play.boss)]})
    assert ask(play).terms.rules == {Rule.objects.get(name="Own").pk}
    for _ in range(5):
        more = make.pim_group(accounts=3)
        make.eligibility(play.asker, more)
        AwsAccount.objects.update(unit=below)
    with django_assert_max_num_queries(16):
        found = offers(play.asker, query="", after="").offers
    assert len(found) == 6
    assert all(offer.demands is not None for offer in found)
    AwsAccount.objects.filter(
        account_assignments__group__in=PimGroup.objects.exclude(pk=play.group.pk)
    ).update(unit=None)
    found = offers(play.asker, query="", after="").offers
    assert sum("No rule says who decides" in offer.obstacle for offer in found) == 5


def test_a_reference_that_pim_wants_is_asked_for_and_held_against_pim_again(play: Stage) -> None:
    """An assignment by the application isn't subject to PIM's activation rules: the portal keeps them."""
    rules(play, Own={"stages": [people(play.boss)]})
    item = ask(play)
    policy(play, activation_rules=["Justification", "Ticketing"])
    decision = submit(play, item.pk, play.boss)
    assert not counted(decision)
    assert "a reference number, which the request lacks" in Decision.objects.get(pk=decision).reason
    with play.as_role("portal_web"):
        withdraw_item(item_id=item.pk, person_id=play.asker.pk, actor=make.actor(play.asker))
    PimGroup.objects.update(requires_ticket=True)
    with pytest.raises(Invalid, match="reference") as refused:
        ask(play)
    assert refused.value.field == "reference"
    again = ask(play, reference="INC0012345")
    assert counted(submit(play, again.pk, play.boss))
