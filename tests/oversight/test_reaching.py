"""Rules that can't reach their quorum are found once a day, told once, and called over when they are mended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit.ledger.models import Event
from base.clock import business_now, real_now
from identity.absences.declaring import declare
from identity.models import DirectoryGroup, DirectoryMembership, Person
from oversight.alerts import raise_and_clear
from oversight.facts import facts
from oversight.health import health
from oversight.models import Alert, AlertKind, Heartbeat, RuleOutOfReach
from oversight.reaching import BEAT, EVERY, check_rules_if_due, out_of_reach
from policy.document import document_hash
from policy.models import OnCallShift, Rule, RuleVersion
from tests.pages.conftest import World
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db


def rule_of(leads: DirectoryGroup) -> RuleVersion:
    """A rule of its own PIM group, by which the members of this group decide."""
    document = make.rule(make.person(), groups=(make.pim_group(),)).document
    document = document | {"stages": [{"people": [], "groups": [leads.object_id], "quorum": 1}]}
    made = Rule.objects.create(name="Lonely")
    version = RuleVersion.objects.create(
        rule=made,
        number=1,
        document=document,
        document_hash=document_hash(document),
        created_at=real_now(),
        created_by="tests",
    )
    Rule.objects.filter(pk=made.pk).update(current=version)
    return version


def told() -> list[str]:
    rows = Event.objects.filter(type__startswith="operations.rule").order_by("id")
    return list(rows.values_list("type", flat=True))


def hop() -> tuple[str, str]:
    (found,) = [each for each in health().hops if each.name == "Rules and their quorum"]
    return found.tone, found.sentence


def a_day_later() -> None:
    Heartbeat.objects.filter(name=BEAT).update(seen_at=real_now() - EVERY)


def test_found_told_and_over(world: World) -> None:
    leads = DirectoryGroup.objects.create(
        object_id=make.oid(), display_name="Leads", synced_at=business_now()
    )
    lonely = rule_of(leads)
    assert hop()[0] == "waiting"
    assert check_rules_if_due()
    assert not check_rules_if_due(), "once a day"
    (row,) = RuleOutOfReach.objects.all()
    assert (row.rule, row.sentence) == (lonely.rule, "The group Leads has no members in Entra.")
    raise_and_clear(facts())
    alert = Alert.objects.get(kind=AlertKind.OUT_OF_REACH)
    assert "The group Leads has no members in Entra." in alert.sentence
    assert hop() == ("problem", f"“{lonely.rule.name}”: {row.sentence}")

    a_day_later()
    assert check_rules_if_due()
    assert told() == ["operations.rule_out_of_reach"], "told when it changes"

    DirectoryMembership.objects.create(group=leads, person=world.cy)
    a_day_later()
    assert check_rules_if_due()
    raise_and_clear(facts())
    assert told() == ["operations.rule_out_of_reach", "operations.rule_in_reach"]
    assert Alert.objects.get(pk=alert.pk).cleared_at is not None
    assert hop()[0] == "live"


def test_a_new_version_is_looked_at_soon_and_who_is_away_does_not_count(world: World) -> None:
    assert check_rules_if_due()
    assert not RuleOutOfReach.objects.exists()
    with world.as_role("portal_web"):
        declare(
            person_id=world.ben.pk,
            delegate_id=None,
            begins_at=None,
            ends_at=business_now() + timedelta(days=9),
            by_id=world.ben.pk,
            actor=make.actor(world.ben),
        )
    make.rule(world.cy, groups=(make.pim_group(),))
    assert check_rules_if_due()
    row = RuleOutOfReach.objects.get()
    assert row.rule == world.rule.rule
    assert "away" in row.sentence
    Rule.objects.filter(pk=world.rule.rule_id).update(retired=True)
    assert facts().out_of_reach == []
    a_day_later()
    check_rules_if_due()
    assert not RuleOutOfReach.objects.exists()


def test_a_schedule_that_has_nobody_is_found_once_it_was_read(world: World) -> None:
    stages = [{"on_call": "payments", "quorum": 2}, {"manager": True}]
    rule = make.rule(groups=(make.pim_group(),), stages=stages).rule_id
    assert out_of_reach() == {}, "nobody has asked the source yet"

    def read(*people: Person, problem: str = "") -> str:
        now, ids = business_now(), sorted(each.object_id for each in people)
        OnCallShift.objects.create(
            schedule="payments", people=ids, problem=problem, begun_at=now, seen_at=now
        )
        return out_of_reach().get(rule, "")

    assert read(problem="nobody is on call for payments") == "Nobody is on call for payments."
    assert read(world.ben) == "2 are needed and 1 could decide."
    assert read(world.ben, world.cy) == ""


def emergency_rule(world: World, user: Person, leads: DirectoryGroup) -> RuleVersion:
    """A rule that somebody can decide by, and this person may use in an emergency, which these people review."""
    emergency = {
        "allowed": {"people": [user.object_id]},
        "longest_duration": "PT1H",
        "reviewers": [{"people": [world.ben.object_id]}, {"groups": [leads.object_id]}],
    }
    return make.rule(world.ben, groups=(make.pim_group(),), emergency=emergency)


def test_emergency_use_that_a_panel_could_not_review_is_found(world: World) -> None:
    leads = DirectoryGroup.objects.create(
        object_id=make.oid(), display_name="Leads", synced_at=business_now()
    )
    version = emergency_rule(world, world.ada, leads)

    def found() -> str:
        return out_of_reach().get(version.rule_id, "")

    assert found() == "Nobody could review an emergency use: the group Leads has no members in Entra."
    ada = DirectoryMembership.objects.create(group=leads, person=world.ada)
    assert found().startswith("The only one who could review an emergency use may use it too")
    twin = make.person("Ada Admin", employee_id=world.ada.employee_id)
    DirectoryMembership.objects.create(group=leads, person=twin)
    assert found(), "her other account is she"
    cy = DirectoryMembership.objects.create(group=leads, person=world.cy)
    assert found() == ""
    ada.delete()
    with world.as_role("portal_web"):
        declare(
            person_id=world.cy.pk,
            delegate_id=None,
            begins_at=None,
            ends_at=business_now() + timedelta(days=9),
            by_id=world.cy.pk,
            actor=make.actor(world.cy),
        )
    DirectoryMembership.objects.exclude(pk=cy.pk).filter(group=leads).delete()
    assert found() == "Nobody could review an emergency use: 1 of them is away."
    Rule.objects.filter(pk=version.rule_id).update(retired=True)
    assert found() == ""
