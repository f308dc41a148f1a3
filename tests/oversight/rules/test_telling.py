"""Operators are told that a change of the rules waits for one of them, and its proposer what came of it."""

from __future__ import annotations

import pytest

from identity.events import LOGIN
from identity.models import User
from notifications.models import EventOwed, Message
from notifications.planning import plan
from notifications.telling import tell
from oversight.rules.applying import carry_changes
from oversight.rules.models import RuleChange
from oversight.rules.proposing import accept, reject, withdraw
from tests.notifications.conftest import Post, give_mailbox, post
from tests.oversight.rules.conftest import Desk, wording
from tests.pages.conftest import Visitor, main_of
from tests.requests_app import factories as make
from tests.support.by_hand import known

__all__ = ["post"]
pytestmark = pytest.mark.django_db
PROPOSED = "A change of the rules waits for a second operator"
HEADING = "Changes of the rules that wait for you"


@pytest.fixture
def mailed(desk: Desk, post: Post) -> Desk:
    """Every operator has a mailbox; Pia has a second account, and Olga has left."""
    twin = desk.operator("Pia Again", employee_id=desk.pia.employee_id)
    gone = desk.operator("Olga Gone")
    for person in (desk.pia, desk.otto, twin, gone):
        give_mailbox(person)
    User.objects.filter(person=gone).update(is_active=False)
    known(LOGIN, User.objects.filter(person=gone))
    return desk


def say(verb: str, desk: Desk, change: RuleChange) -> None:
    action, who = {
        "accept": (accept, desk.otto),
        "reject": (reject, desk.otto),
        "withdraw": (withdraw, desk.pia),
    }[verb]
    with desk.as_role("portal_web"):
        action(change_id=change.pk, person_id=who.pk, reason="As agreed", actor=make.actor(who))


def test_other_operators_are_told_that_it_waits_and_the_proposer_that_it_is_in_force(
    mailed: Desk, post: Post
) -> None:
    change = mailed.propose({"New": wording(mailed.world.ben)}, reason="Ada's team moved\nto Ben")
    tell()
    assert [mail.to for mail in post.mails] == [(mailed.otto.mail,)], (
        "no twin, nobody who has left, not oneself"
    )
    (told,) = post.mails
    assert told.subject == f"[Access Portal] {PROPOSED}"
    for part in (
        "Pia Proposer proposed a change",
        "added New",
        "> Ada's team moved",
        f"/operations/rules/changes/{change.pk}/",
    ):
        assert part in told.text
    say("accept", mailed, change)
    tell()
    assert len(post.mails) == 1, "not before it is applied"
    carry_changes()
    tell()
    assert post.to(mailed.pia) == ["Applied: a change of the rules"]
    assert "is in force; Otto Operator accepted it" in post.mails[-1].text
    assert len(post.mails) == 2
    assert not EventOwed.objects.exists()


def test_a_rejected_one_says_why_and_one_that_became_stale_is_told_to_both(mailed: Desk, post: Post) -> None:
    refused = mailed.propose({"New": wording(mailed.world.ben)})
    plan()
    say("reject", mailed, refused)
    tell()
    assert post.to(mailed.pia) == ["Rejected: a change of the rules"]
    assert "> As agreed" in post.mails[-1].text
    assert post.to(mailed.otto) == [], "what was decided before the mail left isn't asked for"
    assert Message.objects.get(person=mailed.otto).state == Message.State.DROPPED

    first, second = (mailed.propose({name: wording(mailed.world.ben)}) for name in ("One", "Two"))
    for change in (first, second):
        say("accept", mailed, change)
    carry_changes()
    tell()
    assert sorted(post.to(mailed.pia)[1:]) == [
        "Applied: a change of the rules",
        "Not applied: a change of the rules",
    ]
    assert post.to(mailed.otto) == ["Not applied: a change of the rules"]
    taken_back = mailed.propose({"Three": wording(mailed.world.ben)})
    say("withdraw", mailed, taken_back)
    before = len(post.mails)
    tell()
    assert len(post.mails) == before


def test_home_lists_what_waits_for_an_operator_of_another_human(desk: Desk) -> None:
    change = desk.propose({"New": wording(desk.world.ben)}, reason="Shorter windows in production")
    other = desk.world.sign_in(desk.world.cy, "Operator")
    twin = desk.world.sign_in(make.person("Pia Again", employee_id=desk.pia.employee_id), "Operator")
    employee = desk.world.sign_in(desk.world.ada)

    def listed(visitor: Visitor) -> bool:
        return HEADING in main_of(visitor.get("/"))

    assert [listed(each) for each in (other, twin, employee)] == [True, False, False]
    assert f'href="/operations/rules/changes/{change.pk}/"' in main_of(other.get("/"))
    say("reject", desk, change)
    assert not listed(other)
