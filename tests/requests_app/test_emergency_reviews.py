"""Reviews of emergency use: by somebody else, to others when overdue, and what blocks and lifts the next use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import transaction
from django.db.utils import IntegrityError, ProgrammingError

from audit.ledger.models import Event
from base.errors import Conflict, Denied, DomainError, Invalid, Missing
from catalog.models import PimGroup
from identity.models import Person
from requests_app.actions.sweeping import sweep
from requests_app.models import Decision, RequestItem
from requests_app.waivers.models import OwedReview, Waiver
from requests_app.waivers.reading import waiting_for
from requests_app.waivers.reviewing import escalate_overdue, lift_block, review
from requests_app.waivers.settling import check_waiver
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.requests_app.deciding_scene import colleague
from tests.requests_app.waiver_scene import ask, emergency, only_rule, operator, review_of, waiver_of
from tests.support.stage import Died, Stage, stage

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


@pytest.fixture
def rita(play: Stage) -> Person:
    return colleague(play, "Rita Reviewer")


@pytest.fixture
def eve(play: Stage) -> Person:
    """To whom an overdue review goes on."""
    return colleague(play, "Eve Escalated")


@pytest.fixture
def owed(play: Stage, rita: Person, eve: Person) -> OwedReview:
    """The review of a use that was let through."""
    reviewers = {"people": [rita.object_id], "escalates_to": {"people": [eve.object_id]}}
    only_rule(play, emergency(play.asker, reviewers=reviewers))
    item = ask(play)
    check_waiver(waiver_id=waiver_of(item).pk)
    return review_of(item)


def word(
    play: Stage, owed: OwedReview, who: Person, verdict: str = "in_order", comment: str = "Fine"
) -> None:
    with play.as_role("portal_web"):
        review(review_id=owed.pk, person_id=who.pk, verdict=verdict, comment=comment, actor=make.actor(who))


def lift(play: Stage, owed: OwedReview, who: Person, reason: str = "The reviewers are ill") -> None:
    with play.as_role("portal_web"):
        lift_block(review_id=owed.pk, person_id=who.pk, reason=reason, actor=make.actor(who))


def later(play: Stage, **by: float) -> None:
    play.step(timedelta(**by))
    PimGroup.objects.update(policy_read_at=play.time.now)


def test_a_review_is_kept_once_and_is_an_event(play: Stage, owed: OwedReview, rita: Person) -> None:
    assert [row.review for row in waiting_for(rita)] == [owed]
    word(play, owed, rita, "not_in_order", "The pager was answered")
    owed.refresh_from_db()
    assert (owed.verdict, owed.reviewed_by, owed.version) == ("not_in_order", rita, 2)
    event = Event.objects.get(type="emergency.reviewed")
    assert event.data["fields"]["verdict"] == "not in order"
    assert waiting_for(rita) == []
    with pytest.raises(Conflict):
        word(play, owed, rita)


def second_account(play: Stage) -> Person:
    twin = colleague(play, "Ada Admin")
    Person.objects.filter(pk=twin.pk).update(employee_id=play.asker.employee_id)
    return Person.objects.get(pk=twin.pk)


@pytest.mark.parametrize(
    ("who", "kind"),
    [
        (lambda play, eve: play.asker, Denied),
        (lambda play, eve: second_account(play), Denied),
        (lambda play, eve: play.boss, Missing),
        (lambda play, eve: eve, Missing),  # not before it is overdue
        (lambda play, eve: operator(play, colleague(play, "Otto Operator")), Missing),
    ],
)
def test_who_may_not_review(
    play: Stage,
    owed: OwedReview,
    eve: Person,
    who: Callable[[Stage, Person], Person],
    kind: type[DomainError],
) -> None:
    with pytest.raises(kind):
        word(play, owed, who(play, eve))


def test_a_panel_that_names_the_user_and_their_second_account_waits_for_the_others(
    play: Stage, rita: Person
) -> None:
    twin = second_account(play)
    named = [rita, play.asker, twin]
    only_rule(play, emergency(play.asker, reviewers={"people": [one.object_id for one in named]}))
    check_waiver(waiver_id=waiver_of(ask(play)).pk)
    assert [len(waiting_for(one)) for one in named] == [1, 0, 0]


def test_all_mistakes_of_a_review_at_once(play: Stage, owed: OwedReview, rita: Person) -> None:
    with pytest.raises(Invalid) as refused:
        word(play, owed, rita, "maybe", " ")
    assert [each.field for each in refused.value.parts] == ["verdict", "comment"]


def test_overdue_it_goes_on_to_others_once(play: Stage, owed: OwedReview, eve: Person) -> None:
    assert escalate_overdue() == 0
    later(play, days=2, minutes=1)

    def die(reached: str) -> None:
        if reached == "reviewing.before_commit":
            raise Died

    with patch("base.crash._handler", die), pytest.raises(Died):
        escalate_overdue()
    assert not Event.objects.filter(type="emergency.review_overdue").exists(), "who dies leaves it owed"
    sweep()
    assert escalate_overdue() == 0
    assert Event.objects.filter(type="emergency.review_overdue").count() == 1
    assert [row.words for row in waiting_for(eve)] == ["Overdue"]
    word(play, owed, eve)


def test_each_rules_reviewers_owe_one(play: Stage, rita: Person, eve: Person) -> None:
    panels = [{"people": [rita.object_id]}, {"people": [eve.object_id]}]
    only_rule(play, emergency(play.asker, reviewers=panels))
    item = ask(play)
    check_waiver(waiver_id=waiver_of(item).pk)
    assert OwedReview.objects.count() == 2
    assert len(waiting_for(rita)) == len(waiting_for(eve)) == 1


def test_a_block_is_lifted_by_another_operator_and_the_review_stays_owed(
    play: Stage, owed: OwedReview, rita: Person
) -> None:
    otto = operator(play, colleague(play, "Otto Operator"))
    with pytest.raises(Conflict):
        lift(play, owed, otto)  # it blocks nothing yet
    later(play, days=8)
    with pytest.raises(Conflict, match="was to be reviewed"):
        ask(play)
    for who, kind in ((rita, Missing), (operator(play, play.asker), Denied)):
        with pytest.raises(kind):
            lift(play, owed, who)
    with pytest.raises(Invalid):
        lift(play, owed, otto, " ")
    lift(play, owed, otto)
    ask(play)
    word(play, owed, rita)
    owed.refresh_from_db()
    assert (owed.version, owed.lifted_by, owed.reviewed_by) == (3, otto, rita)


def test_a_review_ends_the_block(play: Stage, owed: OwedReview, rita: Person) -> None:
    later(play, days=8)
    word(play, owed, rita, "not_in_order", "Not needed")
    ask(play)


def test_a_block_that_began_since_the_ask_is_seen_by_the_worker(play: Stage, owed: OwedReview) -> None:
    later(play, seconds=(owed.blocks_at - play.time.now).total_seconds() - 3600)
    item = ask(play)
    later(play, hours=2)
    check_waiver(waiver_id=waiver_of(item).pk)
    assert "blocks the next one" in waiver_of(item).reason


# ------------------------------------------------------------ in the database

STEPS: list[tuple[str, dict[str, Any], str]] = [
    ("portal_web", {"verdict": "in_order", "comment": "x", "by": "asker", "version": 2}, "their own"),
    ("portal_web", {"lifted": "asker", "version": 2}, "their own"),
    ("portal_web", {"verdict": "in_order", "comment": "x", "by": "boss", "version": 1}, "does not follow"),
    (
        "portal_worker",
        {"verdict": "in_order", "comment": "x", "by": "boss", "version": 2},
        "permission denied",
    ),
    ("portal_web", {"due_at": timedelta(days=9)}, "permission denied"),
]


@pytest.mark.parametrize(("role", "change", "refusal"), STEPS)
def test_postgres_refuses_what_no_action_does(
    play: Stage, owed: OwedReview, role: str, change: dict[str, Any], refusal: str
) -> None:
    people = {"asker": play.asker, "boss": play.boss}
    values = {key: value for key, value in change.items() if key not in ("by", "lifted", "due_at")}
    if "by" in change:
        values |= {"reviewed_by": people[change["by"]], "reviewed_at": owed.owed_at}
    if "lifted" in change:
        values |= {"lifted_by": people[change["lifted"]], "lifted_at": owed.owed_at, "lift_reason": "x"}
    if "due_at" in change:
        values["due_at"] = owed.owed_at + change["due_at"]
    with (
        play.as_role(role),
        pytest.raises((IntegrityError, ProgrammingError), match=refusal),
        transaction.atomic(),
    ):
        OwedReview.objects.filter(pk=owed.pk).update(**values)


def test_postgres_lets_no_drill_be_approved_or_decided_on(play: Stage, owed: OwedReview) -> None:
    item = ask(play, drill=True)
    word = {"verdict": "approve", "stage": 0, "status": "submitted", "submitted_at": item.created_at}
    with (
        play.as_role("portal_web"),
        pytest.raises(IntegrityError, match="decides on a drill"),
        transaction.atomic(),
    ):
        Decision.objects.create(item=item, approver=play.boss, **word)
    for status, refusal in (("approved", "a drill grants nothing"), ("drilled", "that a worker has checked")):
        with pytest.raises(IntegrityError, match=refusal), transaction.atomic():
            RequestItem.objects.filter(pk=item.pk).update(
                status=status, version=2, decided_at=item.created_at
            )


def test_postgres_lets_nobody_but_a_worker_settle_a_waiver(play: Stage, owed: OwedReview) -> None:
    item = ask(play)
    with (
        play.as_role("portal_web"),
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
    ):
        Waiver.objects.filter(item=item).update(status="granted", version=2)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        Waiver.objects.filter(item=item).update(drill=True)
