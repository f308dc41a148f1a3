"""Incidents: what a freeze ends and closes, what it lets through, and who lifts it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from audit.ledger.models import Event
from base import crash
from base.clock import business_now
from base.errors import Conflict, Denied, Invalid, Missing
from identity.models import Person
from requests_app.actions import freezing
from requests_app.actions.deciding import check_decision
from requests_app.actions.submitting import submit_request
from requests_app.freezes.models import Freeze
from requests_app.models import Decision, Grant, RequestItem, Revocation
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Died, Stage, stage

pytestmark = pytest.mark.django_db

WORDS = "The laptop of its holder was stolen"
KINDS = ("person", "account", "permission_set")


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        make.eligibility(made.asker, made.group)
        yield made


@pytest.fixture
def olga(as_role: AsRole) -> Person:
    return operator(as_role, "Olga Operator", employee_id="E99999")


def operator(as_role: AsRole, name: str, *, employee_id: str = "E00000") -> Person:
    person = make.person(name, employee_id=employee_id)
    with as_role("portal_web"):
        make.login(person, "Operator")
    return person


def subject(play: Stage, kind: str) -> str:
    opened = play.group.account_assignments.select_related("account", "permission_set").get()
    return {
        "person": play.asker.object_id,
        "account": opened.account.account_id,
        "permission_set": opened.permission_set.arn,
    }[kind]


def freeze(play: Stage, by: Person, kind: str = "account", reason: str = WORDS) -> UUID:
    """In the browser."""
    with play.as_role("portal_web"):
        return freezing.freeze(
            kind=kind, subject=subject(play, kind), person_id=by.pk, reason=reason, actor=make.actor(by)
        )


def lift(play: Stage, freeze_id: UUID, by: Person, reason: str = "The keys were changed") -> None:
    """In the browser."""
    with play.as_role("portal_web"):
        freezing.lift(freeze_id=freeze_id, person_id=by.pk, reason=reason, actor=make.actor(by))


def ask(play: Stage) -> UUID:
    """Through the page's own action."""
    with play.as_role("portal_web"):
        return submit_request(
            requester_id=play.asker.pk,
            group_object_id=play.group.object_id,
            duration=timedelta(hours=1),
            justification="Fix the stuck deployment",
            reference="",
            actor=make.actor(play.asker),
        )


# ------------------------------------------------------------ what it ends


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_open_ends_with_who_and_why(play: Stage, olga: Person, kind: str) -> None:
    item = play.ask()
    play.decide(item)
    play.play_to("active")
    play.step(timedelta(minutes=6))
    freeze_id = freeze(play, olga, kind)
    assert play.grant().status == "active", "the browser stores the freeze; a worker ends what is open"
    play.work()
    grant = play.grant()
    assert grant.end_reason == "incident"
    assert not play.in_entra(), "taken away in the same pass"
    told = Revocation.objects.get(grant=grant)
    assert (told.kind, told.by, told.reason) == ("incident", olga, WORDS)
    assert Event.objects.get(type="grant.revoked").actor_oid == olga.object_id
    row = Freeze.objects.get(pk=freeze_id)
    assert (row.grants_ended, row.items_closed) == (1, 0)
    assert row.carried_at is not None
    frozen = Event.objects.get(type="incident.frozen").data["fields"]
    assert (frozen["grants"], frozen["people"], frozen["requests"]) == (1, 1, 0)
    assert Event.objects.get(type="incident.carried").data["fields"]["grants"] == 1


def test_in_the_first_five_minutes_the_removal_is_queued(play: Stage, olga: Person) -> None:
    play.decide(play.ask())
    play.play_to("active")
    freeze(play, olga)
    play.work()
    grant = play.grant()
    assert (grant.status, grant.problem_code, grant.end_reason) == ("removing", "queued", "incident")
    assert play.in_entra()
    assert play.play_out().status in ("ended", "never_arrived")


@pytest.mark.parametrize("kind", KINDS)
def test_what_waits_is_closed_and_what_is_scheduled_is_cancelled(
    play: Stage, olga: Person, kind: str, as_role: AsRole
) -> None:
    item = play.ask()
    make.scheduled_grant(item)
    other = make.person("Otto Other")
    make.eligibility(other, play.group)
    with as_role("portal_web"):
        theirs = make.pending_item(other, play.group, play.rule)
    freeze(play, olga, kind)
    play.work()
    grant = play.grant()
    assert (grant.status, grant.end_reason) == ("cancelled", "incident")
    assert play.assignments_made() == 0
    closed = RequestItem.objects.get(pk=item.pk)
    assert closed.status == "closed"
    assert "frozen in an incident" in closed.close_reason
    # Another person's request is concerned by what it opens, not by who is frozen.
    assert RequestItem.objects.get(pk=theirs.pk).status == ("pending" if kind == "person" else "closed")


def test_what_was_approved_counts_when_the_catalogue_no_longer_shows_it(play: Stage, olga: Person) -> None:
    play.decide(play.ask())
    play.play_to("active")
    name = subject(play, "account")
    play.group.account_assignments.all().delete()
    with play.as_role("portal_web"):
        freezing.freeze(kind="account", subject=name, person_id=olga.pk, reason=WORDS, actor=make.actor(olga))
    play.work()
    assert play.grant().end_reason == "incident"


def test_every_account_of_the_human_is_concerned(play: Stage, olga: Person) -> None:
    play.decide(play.ask())
    play.play_to("active")
    second = make.person("Ada Admin", employee_id=play.asker.employee_id)
    with play.as_role("portal_web"):
        freezing.freeze(
            kind="person", subject=second.object_id, person_id=olga.pk, reason=WORDS, actor=make.actor(olga)
        )
    play.work()
    assert play.grant().end_reason == "incident"


def test_access_elsewhere_goes_on(play: Stage, olga: Person) -> None:
    play.decide(play.ask())
    play.play_to("active")
    elsewhere = make.pim_group()
    with play.as_role("portal_web"):
        freezing.freeze(
            kind="account",
            subject=elsewhere.account_assignments.select_related("account")[0].account.account_id,
            person_id=olga.pk,
            reason=WORDS,
            actor=make.actor(olga),
        )
    play.work()
    assert play.grant().status == "active"


def test_more_than_one_pass_ends_is_carried_by_the_next(
    play: Stage, olga: Person, monkeypatch: pytest.MonkeyPatch, as_role: AsRole
) -> None:
    monkeypatch.setattr(freezing, "MOST", 2)
    for number in range(5):
        with as_role("portal_web"):
            make.pending_item(make.person(f"Person {number}"), play.group, play.rule)
    row = Freeze.objects.get(pk=freeze(play, olga))
    assert freezing.carry_freezes() == 2
    row.refresh_from_db()
    assert (row.items_closed, row.carried_at) == (2, None)
    with pytest.raises(Conflict, match="still ending"):
        lift(play, row.pk, operator(as_role, "Oskar Operator"))
    assert [freezing.carry_freezes() for _ in range(3)] == [2, 1, 0]
    row.refresh_from_db()
    assert row.items_closed == 5
    assert row.carried_at is not None


# ------------------------------------------------------------ the gates


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_asked_for(play: Stage, olga: Person, kind: str) -> None:
    freeze(play, olga, kind)
    with pytest.raises(Conflict, match="frozen in an incident"):
        ask(play)
    assert not RequestItem.objects.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_an_approval_is_not_taken_and_a_denial_is(play: Stage, olga: Person, kind: str) -> None:
    item = play.ask()
    freeze(play, olga, kind)
    with pytest.raises(Conflict, match="Your approval was not taken"):
        play.decide(item)
    denial = play.decide(item, "deny")
    check_decision(decision_id=denial)
    assert RequestItem.objects.get(pk=item.pk).status == "denied"


@pytest.mark.parametrize("kind", KINDS)
def test_an_approval_that_was_being_checked_is_refused_with_the_reason(
    play: Stage, olga: Person, kind: str
) -> None:
    decision = play.decide(play.ask())
    freeze(play, olga, kind)
    assert check_decision(decision_id=decision) == ()
    row = Decision.objects.get(pk=decision)
    assert row.status == "refused"
    assert "frozen in an incident" in row.reason
    assert not Grant.objects.exists()


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("person", "starting.before_settle"),
        ("account", "activating.looked"),
        ("permission_set", "activating.looked"),
    ],
)
def test_what_a_worker_was_about_to_start_or_send_is_not(
    play: Stage, olga: Person, kind: str, point: str
) -> None:
    """The freeze commits in the gap between a worker's look and its settling, or its call."""
    froze: list[UUID] = []

    def meanwhile(reached: str) -> None:
        if reached == point and not froze:
            froze.append(freeze(play, olga, kind))

    decision = play.decide(play.ask())
    crash.install(meanwhile)
    check_decision(decision_id=decision)
    play.work()
    crash.install(None)
    assert froze
    assert play.assignments_made() == 0
    assert play.grant().end_reason == "incident"
    assert play.play_out().status in ("cancelled", "never_arrived", "ended")
    assert not Event.objects.filter(type="outside.assignment_sent").exists()


def test_an_answer_that_comes_after_the_freeze_is_taken_away_again(play: Stage, olga: Person) -> None:
    """The one call that had left already: what it made is found and removed."""
    froze: list[UUID] = []

    def meanwhile(reached: str) -> None:
        if reached == "write.intent_recorded" and not froze:
            froze.append(freeze(play, olga))

    play.decide(play.ask())
    crash.install(meanwhile)
    play.work()
    crash.install(None)
    assert froze
    assert play.play_out().end_reason == "incident"
    assert not play.in_entra()
    assert not play.in_aws()


# ------------------------------------------------------------ lifting


def test_a_second_operator_lifts_it_and_people_ask_again(play: Stage, olga: Person, as_role: AsRole) -> None:
    freeze_id = freeze(play, olga)
    play.work()
    with pytest.raises(Denied, match="second operator"):
        lift(play, freeze_id, olga)
    with pytest.raises(Denied, match="second operator"):
        lift(play, freeze_id, operator(as_role, "Olga Admin", employee_id=olga.employee_id))
    with pytest.raises(Denied, match="Only operators"):
        lift(play, freeze_id, play.boss)
    oskar = operator(as_role, "Oskar Operator")
    with pytest.raises(Invalid, match="Say why"):
        lift(play, freeze_id, oskar, reason=" ")
    lift(play, freeze_id, oskar)
    row = Freeze.objects.get(pk=freeze_id)
    assert (row.lifted_by, row.lift_reason, row.version) == (oskar, "The keys were changed", 2)
    assert Event.objects.get(type="incident.lifted").actor_oid == oskar.object_id
    with pytest.raises(Conflict, match="lifted already"):
        lift(play, freeze_id, oskar)
    ask(play)
    assert not Grant.objects.exists(), "nothing comes back by itself"


def test_whoever_is_frozen_does_not_lift_it(play: Stage, olga: Person, as_role: AsRole) -> None:
    with as_role("portal_web"):
        make.login(play.asker, "Operator")
    freeze_id = freeze(play, olga, "person")
    play.work()
    with pytest.raises(Denied, match="You are the one who is frozen"):
        lift(play, freeze_id, play.asker)


def test_who_may_freeze_and_what(play: Stage, olga: Person) -> None:
    with pytest.raises(Denied, match="Only operators"):
        freeze(play, play.boss)
    with pytest.raises(Invalid, match="Say why"):
        freeze(play, olga, reason="")
    for kind, name in (("person", make.oid()), ("account", "1"), ("permission_set", "x"), ("world", "x")):
        with pytest.raises(Missing), play.as_role("portal_web"):
            freezing.freeze(kind=kind, subject=name, person_id=olga.pk, reason=WORDS, actor=make.actor(olga))
    freeze(play, olga)
    with pytest.raises(Conflict, match="frozen already"):
        freeze(play, olga)
    assert Freeze.objects.count() == 1


# ------------------------------------------------------------ a worker that dies


@pytest.mark.parametrize("point", ["freezing.ended", "freezing.closed", "freezing.before_carried"])
def test_a_worker_that_dies_is_followed_by_one_that_finishes(
    play: Stage, olga: Person, point: str, as_role: AsRole
) -> None:
    play.decide(play.ask())
    play.play_to("active")
    with as_role("portal_web"):
        make.pending_item(make.person("Otto Other"), play.group, play.rule)
    freeze_id = freeze(play, olga)

    def die(reached: str) -> None:
        if reached == point:
            raise Died(reached)

    crash.install(die)
    with pytest.raises(Died):
        freezing.carry_freezes()
    crash.install(None)
    play.work()
    row = Freeze.objects.get(pk=freeze_id)
    assert (row.grants_ended, row.items_closed) == (1, 1), "each was counted once"
    assert row.carried_at is not None
    assert Event.objects.filter(type="incident.carried").count() == 1
    assert play.play_out().end_reason == "incident"


# ------------------------------------------------------------ what PostgreSQL refuses


def update(freeze_id: UUID, **values: object) -> None:
    with transaction.atomic():
        Freeze.objects.filter(pk=freeze_id).update(**values)


def update_and_commit(freeze_id: UUID, **values: object) -> None:
    with transaction.atomic():
        Freeze.objects.filter(pk=freeze_id).update(**values)
        connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")


def lifted_by(person: Person) -> dict[str, object]:
    return {"version": 2, "lifted_by": person, "lifted_at": business_now(), "lift_reason": "It is over"}


def test_raw_updates_by_the_web_process_are_refused(play: Stage, olga: Person, as_role: AsRole) -> None:
    freeze_id = freeze(play, olga)
    oskar = operator(as_role, "Oskar Operator")
    with as_role("portal_web"), pytest.raises(IntegrityError, match="still being ended"):
        update(freeze_id, **lifted_by(oskar))
    play.work()
    twin = make.person("Olga Admin", employee_id=f" {olga.employee_id.lower()}")
    for who in (olga, twin):
        with as_role("portal_web"), pytest.raises(IntegrityError, match="second operator"):
            update(freeze_id, **lifted_by(who))
    with as_role("portal_web"), pytest.raises(IntegrityError):
        update(freeze_id, **{**lifted_by(oskar), "lift_reason": ""})
    with as_role("portal_web"), pytest.raises(ProgrammingError, match="permission denied"):
        update(freeze_id, reason="Something else")
    with as_role("portal_web"), pytest.raises(ProgrammingError, match="permission denied"):
        update(freeze_id, carried_at=business_now())
    with as_role("portal_web"), pytest.raises(IntegrityError, match="No audit event"):
        update_and_commit(freeze_id, **lifted_by(oskar))
    lift(play, freeze_id, oskar)
    with as_role("portal_web"), pytest.raises(IntegrityError, match="never changes"):
        update(freeze_id, lift_reason="Another story")


def test_the_worker_neither_freezes_nor_lifts(play: Stage, olga: Person) -> None:
    freeze_id = freeze(play, olga)
    with pytest.raises(ProgrammingError, match="permission denied"):
        update(freeze_id, **lifted_by(make.person("Oskar")))
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        Freeze.objects.create(
            kind="account",
            subject="1",
            subject_name="x",
            frozen_by=olga,
            frozen_at=business_now(),
            reason="x",
        )
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        Freeze.objects.filter(pk=freeze_id).delete()
    play.work()
    with pytest.raises(IntegrityError, match="not taken back"):
        update(freeze_id, carried_at=None)


@pytest.mark.parametrize("kind", KINDS)
def test_no_grant_is_moved_to_its_start_under_a_freeze(play: Stage, olga: Person, kind: str) -> None:
    grant = make.scheduled_grant(play.ask())
    freeze(play, olga, kind)
    with pytest.raises(IntegrityError, match="frozen in an incident"), transaction.atomic():
        Grant.objects.filter(pk=grant.pk).update(status="activating", version=2)
