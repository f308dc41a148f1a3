"""Who is told what, once, whatever fails in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from audit.ledger.registry import registered
from base import crash
from base.clock import business_now, real_now
from clients.errors import Refused, Unreachable
from identity.absences.declaring import declare, withdraw
from identity.models import DirectoryGroup, DirectoryMembership, Person
from notifications import audiences, planning, sending
from notifications.facts import no_longer_needed
from notifications.kinds import Kind
from notifications.models import EventOwed, Message
from notifications.planning import message, plan
from notifications.telling import tell
from policy.document import document_hash
from policy.models import RuleVersion
from requests_app.actions.conversing import remark
from requests_app.actions.ending import begin_end, record_revocation
from requests_app.actions.recording import record_of
from requests_app.actions.withdrawing import withdraw_item
from requests_app.lifecycle import DecisionStatus, EndReason, GrantStatus, ItemStatus
from requests_app.models import Decision, Grant, RequestItem
from tests.notifications.conftest import Post, give_mailbox
from tests.pages.conftest import World
from tests.pages.moving import bring, decide, step
from tests.requests_app import factories as make
from tests.support.stage import Died

pytestmark = pytest.mark.django_db
State = Message.State


def a_grant(world: World, status: GrantStatus) -> Grant:
    item = world.ask()
    decide(item, world.ben, "approve", world.as_role)
    return bring(make.scheduled_grant(item), status)


def with_deputy(world: World) -> tuple[World, Person]:
    """The world in which somebody else may decide on Ada's next request, too."""
    dora = give_mailbox(make.person("Dora Deputy"))
    return replace(world, rule=make.rule(world.ben, dora, groups=(world.group,))), dora


def with_stages(world: World, *stages: dict[str, Any]) -> World:
    """The world in which these stages decide on Ada's next request."""
    document = world.rule.document | {
        "stages": [{"people": [], "groups": [], "quorum": 1} | each for each in stages]
    }
    version = RuleVersion.objects.create(
        rule=world.rule.rule,
        number=2,
        document=document,
        document_hash=document_hash(document),
        created_at=real_now(),
        created_by="tests",
    )
    return replace(world, rule=version)


# ------------------------------------------------------------ who is told what


def test_who_may_decide_is_asked_and_who_asked_is_told_so(world: World, post: Post) -> None:
    item = world.ask()
    assert tell() == (2, 2)
    assert post.to(world.ben) == ["Ada Asker asks for AWS - Amazon EC2 Admin"]
    assert post.to(world.ada) == ["You asked for AWS - Amazon EC2 Admin"]
    (asked,) = [mail for mail in post.mails if mail.to == (world.ben.mail,)]
    for part in (f"http://127.0.0.1:8000/approvals/{item.pk}/", "> Fix the stuck deployment", "for 1 h"):
        assert part in asked.text
    assert f'href="http://127.0.0.1:8000/approvals/{item.pk}/"' in asked.html
    assert not EventOwed.objects.exists()
    assert tell() == (0, 0), "once"


def test_the_others_are_told_when_it_is_handled_and_the_decider_is_not(world: World, post: Post) -> None:
    world, dora = with_deputy(world)
    item = world.ask()
    tell()
    decide(item, world.ben, "deny", world.as_role, comment="x")
    tell()
    assert post.to(dora)[1:] == ["Denied: Ada Asker and AWS - Amazon EC2 Admin"]
    assert len(post.to(world.ben)) == 1
    assert post.to(world.ada)[1:] == ["Denied: AWS - Amazon EC2 Admin"]


def test_who_was_not_told_yet_is_told_nothing_of_what_is_over(world: World, post: Post) -> None:
    item = world.ask()
    plan()
    with world.as_role("portal_web"):
        withdraw_item(item_id=item.pk, person_id=world.ada.pk, actor=make.actor(world.ada))
    tell()
    assert post.mails == []
    assert set(Message.objects.values_list("state", flat=True)) == {State.DROPPED}


def test_the_next_stage_is_asked_when_the_one_before_has_its_quorum(world: World, post: Post) -> None:
    dora = give_mailbox(make.person("Dora Deputy"))
    world = with_stages(world, {"people": [world.ben.object_id]}, {"people": [dora.object_id]})
    item = world.ask()
    tell()
    assert post.to(dora) == []
    with world.as_role("portal_web"):
        decision = Decision.objects.get(pk=make.submitted_decision(item, world.ben))
    step(decision, DecisionStatus.COUNTED, settled_at=business_now())
    RequestItem.objects.filter(pk=item.pk).update(stage=1)
    tell()
    assert post.to(dora) == ["Ada Asker asks for AWS - Amazon EC2 Admin"]
    assert len(post.to(world.ben)) == 1
    assert post.to(world.ada)[1:] == ["One stage is done: AWS - Amazon EC2 Admin"]
    assert "approved at one stage by Ben Boss" in post.mails[-2].text + post.mails[-1].text
    assert no_longer_needed(Message.objects.get(kind="advanced")) == ""
    RequestItem.objects.filter(pk=item.pk).update(stage=2)
    assert no_longer_needed(Message.objects.get(kind="advanced")), (
        "a further stage has been told of by itself"
    )


def test_who_was_only_reminded_is_told_when_it_is_handled(world: World, post: Post) -> None:
    item = world.ask()
    tell()
    dora = give_mailbox(make.person("Dora Deputy"))  # came to stand in for somebody after the first mail
    reminder = message(Kind.REMIND, dora, occasion="reminded", item=item, stage="0")
    reminder.save()
    tell()
    decide(item, world.ben, "deny", world.as_role, comment="x")
    tell()
    assert [each.partition(":")[0] for each in post.to(dora)][1:] == ["Denied"]


def test_nobody_is_asked_about_their_own_request_by_any_account(world: World, post: Post) -> None:
    twin = give_mailbox(make.person("Ada Admin", employee_id=world.ada.employee_id))
    world = replace(world, rule=make.rule(world.ada, twin, world.ben, groups=(world.group,)))
    world.ask()
    tell()
    assert post.to(twin) == []
    assert post.to(world.ada) == ["You asked for AWS - Amazon EC2 Admin"]
    assert len(post.to(world.ben)) == 1


def test_of_many_who_may_decide_some_are_told_and_the_mail_says_so(world: World, post: Post) -> None:
    leads = DirectoryGroup.objects.create(object_id=make.oid(), display_name="Leads")
    for number in range(7):
        DirectoryMembership.objects.create(group=leads, person=give_mailbox(make.person(f"Lead {number}")))
    world = with_stages(world, {"people": [world.ben.object_id], "groups": [leads.object_id]})
    with patch.object(audiences, "MOST_ASKED", 3), CaptureQueriesContext(connection) as asked:
        world.ask()
        plan()
    assert Message.objects.filter(kind="decide").count() == 3
    assert Message.objects.filter(kind="decide", person=world.ben).exists(), "who is named comes first"
    assert len(asked) < 60
    tell()
    assert "3 of the 8 people who may decide were told" in post.mails[-1].text


def test_the_holder_is_told_at_each_turn(world: World, post: Post) -> None:
    grant = a_grant(world, GrantStatus.ACTIVE)
    tell()
    bring(grant, GrantStatus.DRAINING)
    tell()
    assert post.to(world.ada) == [
        "Approved: AWS - Amazon EC2 Admin",
        "Ready: AWS - Amazon EC2 Admin",
        "Ended: AWS - Amazon EC2 Admin",
    ]


def test_an_end_is_told_before_it_comes_once_for_each_end(world: World, post: Post) -> None:
    grant = a_grant(world, GrantStatus.ACTIVE)
    soon = business_now() + timedelta(minutes=10)
    with patch.object(planning, "ENDING_SOON", timedelta(minutes=70)):
        plan()
        assert not Message.objects.filter(kind="ending").exists(), "a short window needs no warning"
    with patch.object(planning, "business_now", lambda: grant.ends_at - timedelta(minutes=10)):
        Grant.objects.filter(pk=grant.pk).update(next_action_at=soon)
        plan()
        plan()
    tell()
    assert post.to(world.ada)[-1] == "Ends soon: AWS - Amazon EC2 Admin"
    assert Message.objects.filter(kind="ending").count() == 1


def test_a_revocation_is_told_with_who_and_why(world: World, post: Post) -> None:
    grant = a_grant(world, GrantStatus.ACTIVE)
    tell()
    with transaction():
        record_revocation(
            grant,
            EndReason.REVOKED,
            by=world.ben,
            reason="The change was called off",
            acting_as="approver",
            actor=make.actor(world.ben),
        )
        begin_end(grant, EndReason.REVOKED, actor=make.actor(world.ben))
    tell()
    assert post.to(world.ada)[-1] == "Revoked: AWS - Amazon EC2 Admin"
    assert "revoked by Ben Boss" in post.mails[-1].text
    assert "> The change was called off" in post.mails[-1].text


def test_a_failure_is_told_to_who_asked_and_to_who_approved(world: World, post: Post) -> None:
    grant = a_grant(world, GrantStatus.SCHEDULED)
    tell()
    problem = "Entra says no. Ask the group's owner."
    step(grant, GrantStatus.NOT_GRANTED, problem=problem, ended_at=business_now(), next_action_at=None)
    tell()
    assert post.to(world.ada)[-1] == "Not given: AWS - Amazon EC2 Admin"
    assert post.to(world.ben)[-1] == "Not given: AWS - Amazon EC2 Admin for Ada Asker"
    assert all(f"> {problem}" in mail.text for mail in post.mails[-2:])


@pytest.mark.parametrize("reason", [EndReason.OUTCOME_UNKNOWN, EndReason.ENDED_EARLY])
def test_an_activation_that_is_undone_is_told_once_unless_somebody_ended_it(
    world: World, post: Post, reason: EndReason
) -> None:
    grant = a_grant(world, GrantStatus.ACTIVATING)
    tell()
    before = len(post.mails)
    now = business_now()
    step(grant, GrantStatus.REMOVING, end_reason=reason, removal_started_at=now, problem="It was refused.")
    tell()
    told = [mail.text for mail in post.mails[before:]]
    if reason == EndReason.ENDED_EARLY:
        assert told == []
        return
    assert len(told) == 2
    assert all("could not be activated as" in text and "> It was refused." in text for text in told)
    step(grant, GrantStatus.DEPROVISIONING, out_of_entra_at=now)
    step(grant, GrantStatus.NEVER_ARRIVED, ended_at=now)
    tell()
    assert len(post.mails) == before + 2


def test_what_was_not_lengthened_is_told_to_both_and_the_earlier_end_before_it_comes(
    world: World, post: Post
) -> None:
    grant = a_grant(world, GrantStatus.ACTIVE)
    tell()
    problem, stands = (
        "That approval is void, so it was not lengthened.",
        grant.ends_at - timedelta(minutes=10),
    )
    Grant.objects.filter(pk=grant.pk).update(fell_back_to=stands, extension_problem=problem)
    with transaction():
        record_of(grant, "grant.extension_not_sent", {"revision": 2, "ends_at": stands, "problem": problem})
    tell()
    assert post.to(world.ada)[-1] == "Not lengthened: AWS - Amazon EC2 Admin"
    assert post.to(world.ben)[-1] == "Not lengthened: AWS - Amazon EC2 Admin for Ada Asker"
    assert all(f"> {problem}" in mail.text for mail in post.mails[-2:])
    with patch.object(planning, "business_now", lambda: stands - timedelta(minutes=10)):
        Grant.objects.filter(pk=grant.pk).update(next_action_at=stands)
        plan()
    ending = Message.objects.get(kind="ending")
    assert ending.facts["ends_at"] == stands.isoformat()
    assert no_longer_needed(ending) == ""
    # It stands again: of its end is told anew, and that it isn't lengthened would be untrue now.
    Grant.objects.filter(pk=grant.pk).update(fell_back_to=None, next_action_at=grant.ends_at)
    assert (
        no_longer_needed(Message.objects.filter(kind="undone").latest("pk")) == "It was lengthened after all."
    )
    with patch.object(planning, "business_now", lambda: grant.ends_at - timedelta(minutes=10)):
        plan()
    assert [each.facts["ends_at"] for each in Message.objects.filter(kind="ending").order_by("pk")] == [
        stands.isoformat(),
        grant.ends_at.isoformat(),
    ]


def test_an_approver_is_told_why_their_word_was_not_counted(world: World, post: Post) -> None:
    item = world.ask()
    with world.as_role("portal_web"):
        decision = Decision.objects.get(pk=make.submitted_decision(item, world.ben))
    step(decision, DecisionStatus.REFUSED, settled_at=business_now(), reason="The stage is over.")
    tell()
    assert post.to(world.ben)[-1] == "Not counted: your decision on Ada Asker and AWS - Amazon EC2 Admin"
    assert "> The stage is over." in post.mails[-1].text


@pytest.mark.parametrize(("status", "word"), [(ItemStatus.LAPSED, "Lapsed"), (ItemStatus.CLOSED, "Closed")])
def test_a_request_without_an_answer_is_told_to_both(
    world: World, post: Post, status: ItemStatus, word: str
) -> None:
    item = world.ask()
    tell()
    step(item, status, decided_at=business_now(), close_reason="The group is gone.")
    tell()
    assert post.to(world.ada)[-1] == f"{word}: your request for AWS - Amazon EC2 Admin"
    assert post.to(world.ben)[-1] == f"{word}: Ada Asker and AWS - Amazon EC2 Admin"


def test_a_question_is_told_to_who_asked_for_access_and_the_answer_to_who_asked_it(
    world: World, post: Post
) -> None:
    item = world.ask()
    tell()
    for person, words in ((world.ben, "Which instance is it?"), (world.ada, "The one behind web-prod")):
        with world.as_role("portal_web"):
            remark(item_id=item.pk, person_id=person.pk, words=words, actor=make.actor(person))
        tell()
    assert post.to(world.ada)[1:] == ["Asked back: your request for AWS - Amazon EC2 Admin"]
    assert post.to(world.ben)[1:] == ["Answered: Ada Asker and AWS - Amazon EC2 Admin"]
    assert "> Which instance is it?" in post.mails[-2].text
    assert "> The one behind web-prod" in post.mails[-1].text


def absent(world: World, delegate: Person, by: Person) -> UUID:
    with world.as_role("portal_web"):
        return declare(
            person_id=world.ben.pk,
            delegate_id=delegate.pk,
            begins_at=None,
            ends_at=business_now() + timedelta(days=1),
            by_id=by.pk,
            actor=make.actor(by),
        )


def reminded(item: RequestItem) -> None:
    with transaction():
        record(
            "item.reminded",
            actor=Actor.system(),
            fields={"item_id": item.pk, "group_name": item.group.display_name, "stage": 0, "number": 1},
            request_id=item.request_id,
        )


def test_while_somebody_is_away_their_delegate_is_asked_and_told_for_whom(world: World, post: Post) -> None:
    dora = give_mailbox(make.person("Dora Deputy"))
    absent(world, dora, world.ben)
    item = world.ask()
    tell()
    assert post.to(world.ben) == []
    assert post.to(dora) == ["You decide for Ben Boss", "Ada Asker asks for AWS - Amazon EC2 Admin"]
    assert "You may decide on it for Ben Boss, who is away." in post.mails[-1].text
    reminded(item)
    tell()
    assert post.to(dora)[-1] == "Ada Asker still waits for AWS - Amazon EC2 Admin"
    assert "and you may for Ben Boss, who is away." in post.mails[-1].text


def test_who_is_said_to_be_away_is_told_and_what_is_withdrawn_is_not(world: World, post: Post) -> None:
    dora = give_mailbox(make.person("Dora Deputy"))
    key = absent(world, dora, world.cy)
    tell()
    assert post.to(world.ben) == ["You are recorded as away"]
    assert "Cy Bystander recorded" in post.mails[-1].text + post.mails[-2].text
    with world.as_role("portal_web"):
        withdraw(absence_id=key, person_id=world.ben.pk, by_id=world.ben.pk, actor=make.actor(world.ben))
    again = absent(world, dora, world.cy)
    plan()
    with world.as_role("portal_web"):
        withdraw(absence_id=again, person_id=world.ben.pk, by_id=world.ben.pk, actor=make.actor(world.ben))
    before = len(post.mails)
    tell()
    assert len(post.mails) == before


def test_an_approval_for_less_says_for_how_long(world: World, post: Post) -> None:
    item = world.ask()
    decision = decide(item, world.ben, "approve", world.as_role)
    with patch("notifications.facts.time_given", lambda *_: timedelta(minutes=20)):
        tell()
    assert decision.verdict == "approve"
    assert "was approved for 20 min by Ben Boss" in post.mails[-1].text


def test_every_event_that_is_planned_for_exists(world: World) -> None:
    assert set(registered()) >= planning.TELLING


# ------------------------------------------------------------ once, whatever happens


@contextmanager
def dying_at(point: str) -> Iterator[None]:
    def die(name: str) -> None:
        if name == point:
            raise Died

    crash.install(die)
    try:
        yield
    finally:
        crash.install(None)


def test_who_dies_while_planning_leaves_the_event_owed_and_no_message(world: World, post: Post) -> None:
    world.ask()
    owed = EventOwed.objects.count()
    with dying_at("telling.before_planned"), pytest.raises(Died):
        plan()
    assert (EventOwed.objects.count(), Message.objects.count()) in {(owed, 0), (owed - 1, 0)}
    assert tell() == (2, 2)
    assert len(post.mails) == 2


def test_who_dies_before_sending_is_followed_by_one_who_sends_once(world: World, post: Post) -> None:
    world.ask()
    plan()
    with dying_at("telling.before_sent"), pytest.raises(Died):
        tell()
    assert post.mails == []
    Message.objects.update(retry_at=real_now())  # the claim has run out
    tell()
    assert len(post.mails) == 2
    assert set(Message.objects.values_list("state", flat=True)) == {State.SENT}


def test_who_dies_before_noting_sends_the_same_id_again(world: World, post: Post) -> None:
    world.ask()
    with dying_at("telling.before_noted"), pytest.raises(Died):
        tell()
    Message.objects.update(retry_at=real_now())
    tell()
    ids = [mail.id for mail in post.mails]
    assert len(ids) == 3
    assert len(set(ids)) == 2


def test_an_occasion_is_told_to_nobody_twice(world: World, post: Post) -> None:
    world.ask()
    plan()
    row = Message.objects.get(kind="decide")
    row.pk = None
    with pytest.raises(IntegrityError), transaction():
        row.save(force_insert=True)
    made = planning._store([row])
    assert made == 1
    assert Message.objects.filter(kind="decide").count() == 1


def test_what_was_rolled_back_is_told_to_nobody(world: World, post: Post) -> None:
    with world.as_role("portal_web"), suppress(RuntimeError), transaction():
        record(
            "action.refused",
            actor=Actor.anonymous(),
            fields={"action": "x", "code": "x", "reason": "x"},
            request_id=uuid4(),
        )
        assert EventOwed.objects.count() == 1
        raise RuntimeError
    assert not EventOwed.objects.exists()


def test_an_event_that_cannot_be_planned_for_holds_up_no_other(world: World, post: Post) -> None:
    with transaction():
        record(
            "decision.refused",
            actor=Actor.worker(),
            fields={
                "source": "submitted", "target": "refused", "item_id": uuid4(),
                "verdict": "deny", "stage": 0, "reason": "x",
            },
            request_id=uuid4(),
        )  # fmt: skip
    world.ask()
    assert tell() == (2, 2)
    for _ in range(3):
        tell()
    assert EventOwed.objects.get().failures == planning.MOST_FAILURES, "it is left for an operator"


# ------------------------------------------------------------ sending fails


def test_a_mail_server_that_is_away_is_tried_again_and_given_up_at_last(world: World, post: Post) -> None:
    post.failing = Unreachable("The mail server is away.", code="away")
    world.ask()
    tell()
    row = Message.objects.get(kind="decide")
    assert (row.state, row.attempts, row.problem) == (State.OWED, 1, "The mail server is away.")
    assert row.retry_at > real_now()
    for _ in range(sending.MOST_ATTEMPTS):
        Message.objects.update(retry_at=real_now())
        tell()
    row.refresh_from_db()
    assert (row.state, row.attempts) == (State.GIVEN_UP, sending.MOST_ATTEMPTS)


def test_a_mail_server_that_is_away_is_asked_few_times_in_a_pass(world: World, post: Post) -> None:
    for _ in range(6):
        give_mailbox(make.person())
    plan_for = [planning.message("usable", world.ben, occasion=str(number)) for number in range(9)]  # type: ignore[arg-type]
    Message.objects.bulk_create(plan_for)
    post.failing = Unreachable("The mail server is away.", code="away")
    tell()
    assert Message.objects.filter(attempts=1).count() == sending.MOST_FAILED


@pytest.mark.parametrize(
    "mail", ["", "not an address", "a@example.com\nBcc: b@example.com", "a@example.com,b@example.com"]
)
def test_who_has_no_address_is_given_up_and_seen(world: World, post: Post, mail: str) -> None:
    Person.objects.filter(pk=world.ben.pk).update(mail=mail)
    world.ask()
    tell()
    row = Message.objects.get(kind="decide")
    assert row.state == State.GIVEN_UP
    assert "no mail address" in row.problem
    assert post.to(world.ada), "the others are told"


def test_a_recipient_that_is_refused_is_not_tried_again(world: World, post: Post) -> None:
    post.failing = Refused("The mail server refuses this recipient or message.", code="550")
    world.ask()
    tell()
    assert set(Message.objects.values_list("state", "attempts")) == {(State.GIVEN_UP, 1)}


def test_without_a_sender_nothing_is_sent_and_nothing_piles_up(world: World) -> None:
    world.ask()
    assert tell() == (2, 0)
    assert set(Message.objects.values_list("state", flat=True)) == {State.DROPPED}
    assert "MAIL_FROM" in Message.objects.values_list("problem", flat=True)[0]


def test_what_was_settled_long_ago_is_deleted(world: World, post: Post) -> None:
    world.ask()
    tell()
    Message.objects.filter(kind="asked").update(settled_at=real_now() - sending.KEEP - timedelta(days=1))
    tell()
    assert list(Message.objects.values_list("kind", flat=True)) == ["decide"]
