"""Somebody else than the holder ends it: who may, with which words, and PIM's first five minutes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from audit.ledger.models import Event
from audit.ledger.reading import events_of_request
from base.errors import Conflict, DomainError, Invalid, Missing
from identity.models import Person
from policy.models import Rule
from requests_app.actions.ending import revoke
from requests_app.models import Grant, RequestItem, Revocation
from requests_app.presentation import queued_until
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db

WORDS = "The change was called off"


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def operator(as_role: AsRole, name: str = "Olga Operator") -> Person:
    person = make.person(name)
    with as_role("portal_web"):
        make.login(person, "Operator")
    return person


def end_it(play: Stage, who: Person, reason: str = WORDS) -> None:
    """In the browser."""
    with play.as_role("portal_web"):
        revoke(grant_id=play.grant().pk, person_id=who.pk, reason=reason, actor=make.actor(who))


def test_an_approver_revokes_and_it_is_proven_gone(play: Stage) -> None:
    item = play.ask()
    play.decide(item)
    play.play_to("active")
    play.step(timedelta(minutes=6))
    end_it(play, play.boss)
    grant = play.grant()
    assert (grant.status, grant.end_reason) == ("removing", "revoked")
    revocation = Revocation.objects.get(grant=grant)
    assert (revocation.by, revocation.reason) == (play.boss, WORDS)
    play.work()
    assert not play.in_entra(), "a worker carries it out at once"
    assert play.play_out().status == "ended"
    told = Event.objects.get(type="grant.revoked")
    assert told.actor_oid == play.boss.object_id
    assert told.data["fields"]["acting_as"] == "approver"
    assert any(WORDS in event.texts.values() for event in events_of_request(item.request_id))


def test_an_approver_who_did_not_approve_it_may_too(play: Stage, as_role: AsRole) -> None:
    other = make.person("Otto Other")
    Rule.objects.update(retired=True)
    rule = make.rule(play.boss, other, groups=(play.group,))
    with as_role("portal_web"):
        item = make.pending_item(play.asker, play.group, rule)
    play.decide(item)
    play.play_to("active")
    end_it(play, other)
    assert play.grant().status == "removing"


def test_an_operator_may_whatever_the_rule_says(play: Stage, as_role: AsRole) -> None:
    play.decide(play.ask())
    play.play_to("provisioning", "active")
    end_it(play, operator(as_role))
    assert play.grant().end_reason == "revoked"
    assert Event.objects.get(type="grant.revoked").data["fields"]["acting_as"] == "operator"


def test_in_the_first_five_minutes_it_is_queued_and_happens_then(play: Stage) -> None:
    play.decide(play.ask())
    play.play_to("active")
    end_it(play, play.boss)
    play.work()
    grant = play.grant()
    assert (grant.status, grant.problem_code) == ("removing", "queued")
    assert grant.assigned_at is not None
    assert grant.next_action_at == grant.assigned_at + timedelta(minutes=5)
    assert play.in_entra()
    gone = play.play_to("deprovisioning").out_of_entra_at
    assert gone is not None
    assert timedelta(minutes=5) <= gone - grant.assigned_at < timedelta(minutes=5, seconds=30)


def test_what_somebody_takes_out_of_entra_meanwhile_is_queued_no_more(play: Stage) -> None:
    play.decide(play.ask())
    play.play_to("active")
    end_it(play, play.boss)
    play.work()
    assert play.grant().problem_code == "queued"
    play.world.happen("member_removed", group=play.world_group.id, person=play.world_asker.id)
    play.play(lambda: play.grant().unseen_since is not None, at_most=timedelta(minutes=6))
    grant = play.grant()
    assert (grant.status, grant.problem, grant.problem_code) == ("removing", "", "")
    assert queued_until(grant) is None


def test_what_has_not_begun_is_cancelled_and_nothing_is_sent(play: Stage) -> None:
    item = play.ask()
    make.scheduled_grant(item)
    end_it(play, play.boss)
    grant = play.grant()
    assert (grant.status, grant.end_reason) == ("cancelled", "revoked")
    play.work()
    assert play.assignments_made() == 0


def test_another_request_of_the_person_is_not_touched(play: Stage, as_role: AsRole) -> None:
    play.decide(play.ask())
    play.play_to("active")
    other = make.pim_group()
    with as_role("portal_web"):
        waiting = make.pending_item(play.asker, other, play.rule)
    end_it(play, play.boss)
    assert RequestItem.objects.get(pk=waiting.pk).status == "pending"


def test_those_who_may_not_are_told_no_more_than_strangers(play: Stage, as_role: AsRole) -> None:
    play.decide(play.ask())
    play.play_to("active")
    auditor, disabled = make.person("Audra Auditor"), operator(as_role, "Dora Disabled")
    with as_role("portal_web"):
        make.login(auditor, "Auditor")
    Person.objects.filter(pk=disabled.pk).update(enabled=False)
    for who in (make.person("Cy Bystander"), play.asker, auditor, disabled):
        with pytest.raises(Missing):
            end_it(play, who)
    assert play.grant().status == "active"
    assert not Revocation.objects.exists()


def test_the_holders_other_account_is_no_approver(play: Stage, as_role: AsRole) -> None:
    twin = make.person("Ada Twin", employee_id=play.asker.employee_id)
    rule = make.rule(twin, play.boss, groups=(play.group,))
    with as_role("portal_web"):
        item = make.pending_item(play.asker, play.group, rule)
    make.scheduled_grant(item)
    with pytest.raises(Missing):
        end_it(play, twin)
    end_it(play, play.boss)
    assert play.grant().status == "cancelled"


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 2001, "hidden \u202e words"])
def test_without_good_words_nothing_happens(play: Stage, reason: str) -> None:
    play.decide(play.ask())
    play.play_to("active")
    with pytest.raises(Invalid) as refused:
        end_it(play, play.boss, reason)
    assert refused.value.field == "reason"
    assert play.grant().status == "active"


def test_what_is_ending_already_is_not_revoked(play: Stage) -> None:
    play.decide(play.ask())
    play.finish_early(play.play_to("active"))
    with pytest.raises(Conflict):
        end_it(play, play.boss)
    assert not Revocation.objects.exists()


def test_two_who_revoke_it_leave_one_word(play: Stage, as_role: AsRole) -> None:
    play.decide(play.ask())
    play.play_to("active")
    end_it(play, play.boss)
    with pytest.raises(DomainError):
        end_it(play, operator(as_role))
    assert Revocation.objects.count() == 1
    assert Event.objects.filter(type="grant.revoked").count() == 1


def test_postgres_wants_to_know_who_and_why(play: Stage) -> None:
    play.decide(play.ask())
    grant = play.play_to("active")
    with pytest.raises(IntegrityError, match="who and why"), transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(end_reason="revoked")
    with pytest.raises(IntegrityError, match="revocation_by_somebody"), transaction.atomic():
        Revocation.objects.create(grant=grant, kind="revoked", reason=WORDS, revoked_at=play.time.now)
    with pytest.raises(IntegrityError, match="revocation_has_a_reason"), transaction.atomic():
        Revocation.objects.create(
            grant=grant, kind="revoked", by=play.boss, reason="", revoked_at=play.time.now
        )
