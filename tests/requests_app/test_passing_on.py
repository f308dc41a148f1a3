"""PIM's own approval of what is activated as the person: passed on in the approver's name, waited for, never late."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from audit.ledger.models import Event
from base import crash
from clients import errors
from clients.registry import clients
from clients.types import PersonTokens
from identity.models import Person, PersonalToken
from identity.personal import keeping
from notifications.kinds import Kind
from notifications.models import Message
from notifications.planning import plan
from requests_app.actions.steps import pacing, passing, personal
from requests_app.models import Grant, RequestItem
from requests_app.narrow_path import application, window
from requests_app.path_models import PathKind, PathUse
from simulator.world.pim import Caller
from simulator.world.state import Identity
from tests.oversight.test_drift import look, unresolved
from tests.requests_app import factories as make
from tests.requests_app.deciding_scene import ask_under, colleague, people, rule_of
from tests.requests_app.test_as_person import play, requests, sign_in
from tests.requests_app.test_scheduled_starts import lose_eligibility
from tests.support.stage import Stage, check_invariants
from tests.support.world_personal import PIM_CANCEL, PIM_PATCH, PIM_POST

__all__ = ["play"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(play: Stage) -> Stage:
    """PIM wants the boss's approval, and the boss has approved in the portal; the asker is signed in."""
    approvers(play, play.boss)
    sign_in(play)
    play.decide(play.ask())
    return play


def approvers(play: Stage, *people: Person) -> None:
    play.world.policies.change(
        play.world_group.id, approval_required=True, approver_users=[each.object_id for each in people]
    )


def statuses(play: Stage) -> list[str]:
    rows = play.world.pim.assignment_requests(group_id=play.world_group.id)
    return [row.status for row in reversed(rows)]


def reviewers(play: Stage) -> list[str | None]:
    return [each.stages[0].reviewed_by for each in play.world.state.approvals.values()]


def waiting(play: Stage, code: str = "approver") -> Grant:
    play.play(lambda: Grant.objects.filter(problem_code=code).exists())
    return play.grant()


@pytest.mark.parametrize("point", ["deciding.counted", "activating.before_settle"])
def test_the_least_time_outlives_a_death_where_most_of_it_passes_on_the_way(play: Stage, point: str) -> None:
    approvers(play, play.boss)
    sign_in(play)
    sign_in(play, who=play.boss)
    play.decide(play.ask(duration=settings.SHORTEST_ACCESS))
    play.work_until_it_dies(point)
    assert play.play_to("active", "not_granted").status == "active", play.describe()


def test_the_approvers_word_is_passed_on_at_once_and_in_their_name(asked: Stage) -> None:
    sign_in(asked, who=asked.boss)
    grant = asked.play_to("active")
    assert requests(asked) == [("selfActivate", asked.asker.object_id)]
    assert reviewers(asked) == [asked.boss.object_id]
    assert grant.entra_ends_at is not None
    assert (
        timedelta(0)
        <= grant.ends_at - grant.entra_ends_at - personal.ON_ITS_WAY
        <= passing.PASS_ON_WITHIN + timedelta(seconds=5)
    )
    asked.play_out()
    check_invariants(asked, grant.intervals.get().item)


@pytest.mark.proof
def test_an_end_of_pims_own_a_minute_early_is_the_end_of_the_window(asked: Stage) -> None:
    sign_in(asked, who=asked.boss)
    grant = asked.play_to("active")
    asked.step(grant.ends_at - timedelta(seconds=30) - asked.time.now)
    assert not asked.in_entra()
    look(asked, after=timedelta(seconds=5))
    look(asked, after=timedelta(seconds=5))  # what is missing is believed when it is read again
    assert unresolved() == {}
    Grant.objects.update(next_action_at=asked.time.now)  # a look that happens to be due
    asked.work()
    grant = asked.grant()
    assert grant.status != "active"
    assert grant.end_reason == "window_over"


def test_pim_is_not_asked_before_an_approver_is_there(asked: Stage) -> None:
    grant = waiting(asked)
    assert asked.boss.display_name in grant.problem
    assert requests(asked) == []
    plan()
    assert [row.person for row in Message.objects.filter(kind=Kind.SIGN_IN)] == [asked.boss]
    before = dict(asked.calls.made)
    asked.step(personal.LOOK_EVERY)
    asked.work()
    assert asked.calls.made == before
    window = (grant.starts_at, grant.ends_at)
    asked.step(timedelta(minutes=20))
    sign_in(asked, who=asked.boss)
    grant = asked.play_to("active")
    assert (grant.starts_at, grant.ends_at) == window
    assert grant.entra_ends_at is not None
    assert grant.entra_ends_at <= grant.ends_at


def test_somebody_else_decided_already_and_that_is_read_back(asked: Stage) -> None:
    sign_in(asked, who=asked.boss)
    taken: list[str] = []

    def first(reached: str) -> None:
        """Somebody decides in Entra between the ask and the portal's own word."""
        pending = [
            r for r in asked.world.pim.assignment_requests(group_id=asked.world_group.id) if r.approval_id
        ]
        if reached == "write.intent_recorded" and pending and not taken:
            taken.append(pending[0].id)
            port = clients().personal
            tokens, _ = personal.tokens_of(asked.boss)
            port.approve(pending[0].id, tokens, justification="in Entra", client_request_id="elsewhere")

    crash.install(first)
    asked.play_to("active")
    assert taken
    assert requests(asked) == [("selfActivate", asked.asker.object_id)]


def test_nobody_who_approved_is_an_approver_in_pim(asked: Stage) -> None:
    approvers(asked)
    sign_in(asked, who=asked.boss)
    grant = asked.play_out()
    assert (grant.status, grant.problem_code) == ("not_granted", "pim_approval")
    assert "counts nobody who approved here" in grant.problem
    assert statuses(asked) == ["Canceled"]


@pytest.fixture
def two(play: Stage) -> tuple[Stage, Person]:
    """Boss and Lea have both approved, Lea last; the asker and Lea are signed in. PIM wants an approval, too."""
    lea = colleague(play, "Lea Lead")
    sign_in(play)
    sign_in(play, who=lea)
    item = ask_under(play, rule_of(play, people(play.boss, lea, quorum=2)))
    play.decide(item)
    play.work()
    play.step(timedelta(seconds=1))
    play.decide(item, who=lea)
    return play, lea


def test_whoever_of_those_who_approved_is_an_approver_in_pim_is_waited_for(two: tuple[Stage, Person]) -> None:
    """Lea is no approver of PIM's; the boss is, and isn't signed in."""
    play, lea = two
    approvers(play, play.boss)
    grant = waiting(play)
    assert play.boss.display_name in grant.problem
    assert lea.display_name not in grant.problem
    assert statuses(play) == ["Canceled"], "nothing that may begin later is left in PIM"
    before = dict(play.calls.made)
    play.step(personal.LOOK_EVERY)
    play.work()
    assert play.calls.made == before
    sign_in(play, who=play.boss)
    play.play_to("active")
    assert reviewers(play)[-1] == play.boss.object_id


@pytest.mark.parametrize("other_signed_in", [True, False])
def test_an_approver_of_whom_pim_wants_more_holds_up_no_other_and_is_waited_for_alone(
    two: tuple[Stage, Person], monkeypatch: pytest.MonkeyPatch, other_signed_in: bool
) -> None:
    play, lea = two
    approvers(play, play.boss, lea)
    if other_signed_in:
        sign_in(play, who=play.boss)
    weak, port = keeping.newest([lea]), type(clients().personal)
    plain = port.approve

    def wants_more_of_lea(self: Any, request_id: str, tokens: PersonTokens, **more: Any) -> Any:
        if lea.object_id in tokens.access_token and keeping.newest([lea]) == weak:
            raise errors.StepUpRequired("more", claims='{"access_token": {}}')
        return plain(self, request_id, tokens, **more)

    monkeypatch.setattr(port, "approve", wants_more_of_lea)
    if not other_signed_in:
        grant = waiting(play)
        assert lea.display_name in grant.problem
        assert grant.wanted_claims == '{"access_token": {}}'
        asked = len(requests(play))
        for _ in range(20):
            play.step(personal.LOOK_EVERY)
            play.work()
        assert len(requests(play)) == asked, "PIM isn't asked again and again meanwhile"
        sign_in(play, who=lea)
    play.play_to("active")
    assert reviewers(play)[-1] == (play.boss if other_signed_in else lea).object_id


def test_after_an_ask_that_was_lost_pim_is_asked_again_ever_more_rarely(two: tuple[Stage, Person]) -> None:
    """Lea is no approver of PIM's; the boss is, and isn't signed in."""
    play, _ = two
    approvers(play, play.boss)
    play.world.faults.add(PIM_POST, "lose_request", count=1)
    waiting(play)
    asked = len(requests(play))
    for _ in range(20):
        play.step(personal.LOOK_EVERY)
        play.work()
    assert len(requests(play)) - asked <= 5
    sign_in(play, who=play.boss)
    play.play_to("active")


def test_an_approver_whose_sign_in_entra_could_not_answer_for_is_not_asked_to_sign_in(
    two: tuple[Stage, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    play, _ = two
    approvers(play, play.boss)
    sign_in(play, who=play.boss)
    port = type(clients().personal)
    plain, busy = port.sign_in, [True]

    def busy_once_for_the_boss(self: Any, refresh_token: str, **more: Any) -> Any:
        if play.boss.object_id in refresh_token and busy:
            busy.clear()
            raise errors.Unreachable("Entra is busy.")
        return plain(self, refresh_token, **more)

    monkeypatch.setattr(port, "sign_in", busy_once_for_the_boss)
    play.play_to("active")
    assert reviewers(play)[-1] == play.boss.object_id
    assert "grant.waits_for_sign_in" not in set(Event.objects.values_list("type", flat=True))


def test_where_nobody_has_approved_nobody_is_waited_for(play: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule approved it by itself; PIM has come to want an approval since."""
    sign_in(play)
    play.decide(play.ask())
    play.world.faults.add(PIM_POST, "throttle", retry_after=30, count=1)
    play.play(lambda: Grant.objects.filter(problem_code="waiting").exists())
    approvers(play, play.boss)
    monkeypatch.setattr(Grant, "approvers", lambda grant: [])
    grant = play.play_out()
    assert (grant.status, grant.problem_code) == ("not_granted", "pim_demands")
    assert "nobody has approved" in grant.problem


def test_a_stronger_sign_in_to_take_it_back_is_asked_of_its_person(
    asked: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(asked, who=asked.boss)
    asked.world.faults.add(PIM_PATCH, "throttle", retry_after=120, count=1)
    weak, port = keeping.newest([asked.asker]), type(clients().personal)
    plain = port.withdraw

    def wants_more(self: Any, request_id: str, tokens: PersonTokens, **more: Any) -> Any:
        if keeping.newest([asked.asker]) == weak:
            raise errors.StepUpRequired("more", claims='{"access_token": {}}')
        return plain(self, request_id, tokens, **more)

    monkeypatch.setattr(port, "withdraw", wants_more)
    grant = waiting(asked, "person")
    assert grant.wanted_claims == '{"access_token": {}}'
    for _ in range(20):
        asked.step(personal.LOOK_EVERY)
        asked.work()
    assert grant.attempts.filter(kind="withdraw").count() < 8
    sign_in(asked)
    asked.play_to("active")


def test_denied_in_entra_is_the_end_of_it(asked: Stage) -> None:
    sign_in(asked, who=asked.boss)
    asked.world.faults.add(PIM_PATCH, "lose_request", count=1)
    denied: list[bool] = []

    def deny(reached: str) -> None:
        rows = asked.world.pim.assignment_requests(group_id=asked.world_group.id)
        if reached == "passing.before_settle" and not denied:
            denied.append(True)
            boss = Caller(Identity("entra", "Entra"), asked.boss.object_id, mfa=True)
            asked.world.pim.decide(rows[0].id, rows[0].id, boss, "Deny", "no")

    crash.install(deny)
    grant = asked.play_out()
    assert (grant.status, grant.problem_code) == ("not_granted", "pim_denied")
    assert "Denied" in grant.problem


def test_what_nobody_approved_in_time_is_withdrawn_and_asked_anew(asked: Stage) -> None:
    sign_in(asked, who=asked.boss)
    asked.world.faults.add(PIM_PATCH, "throttle", retry_after=120, count=1)
    grant = asked.play_to("active")
    assert statuses(asked) == ["Canceled", "Provisioned"]
    assert grant.entra_ends_at is not None
    assert grant.entra_ends_at <= grant.ends_at


def test_at_once_it_goes_on_the_place_of_the_ask_which_is_taken_for_longer(asked: Stage) -> None:
    sign_in(asked, who=asked.boss)
    asked.work_until_it_dies("write.answered")  # of the ask: whoever follows passes it on
    asked.play(lambda: reviewers(asked) == [None])
    (use,) = PathUse.objects.filter(kind=PathKind.ASSIGN)
    Grant.objects.update(lease_until=None)
    asked.step(timedelta(seconds=8))
    approved_at = asked.time.now
    asked.work()
    assert reviewers(asked) == [asked.boss.object_id]
    (later,) = PathUse.objects.filter(kind=PathKind.ASSIGN)
    assert use.frees_at < later.frees_at == approved_at + window()


def test_later_it_takes_a_place_of_its_own_and_waits_for_it(asked: Stage) -> None:
    sign_in(asked, who=asked.boss)
    asked.world.faults.add(PIM_PATCH, "throttle", retry_after=20, count=1)
    asked.play(lambda: statuses(asked) == ["PendingApproval"])
    asked.step(timedelta(seconds=19))
    others = make.scheduled_grant(_elsewhere(asked))
    for _ in range(settings.NARROW_PATH_PLACES):
        PathUse.objects.create(
            application=application(),
            kind=PathKind.ASSIGN,
            grant=others,
            used_at=asked.time.now,
            leaves_by=asked.time.now,
            frees_at=asked.time.now + window(),
        )
    asked.step(timedelta(seconds=1))
    asked.work()
    assert reviewers(asked) == [None]
    assert asked.grant().problem_code == "turn"
    full_until = asked.time.now + window()
    grant = asked.play_to("provisioning", "active")
    assert reviewers(asked) == [asked.boss.object_id]
    assert statuses(asked) == ["Provisioned"]
    of_the_ask, of_the_approval = PathUse.objects.filter(grant=grant, kind=PathKind.ASSIGN).order_by(
        "frees_at"
    )
    assert of_the_ask.frees_at < full_until < of_the_approval.frees_at


def _elsewhere(play: Stage) -> RequestItem:
    """A request of somebody else."""
    person, group = make.person(), make.pim_group()
    with play.as_role("portal_web"):
        return make.pending_item(person, group, play.rule)


def test_who_may_not_have_it_any_more_is_not_approved_in_pim(asked: Stage) -> None:
    """PIM was asked within the minute after the look at the holder, and is to be approved after it."""
    sign_in(asked, who=asked.boss)
    asked.world.faults.add(PIM_PATCH, "throttle", retry_after=50, count=1)
    asked.play(lambda: statuses(asked) == ["PendingApproval"])
    Grant.objects.update(holder_checked_at=asked.time.now - timedelta(seconds=30))
    lose_eligibility(asked)
    grant = asked.play_out()
    assert (grant.status, grant.problem_code) == ("not_granted", "not_started")
    assert "no longer eligible" in grant.problem
    assert statuses(asked) == ["Canceled"]


@pytest.mark.parametrize("signed_in", [True, False])
def test_a_pending_activation_never_outlives_its_grant(asked: Stage, signed_in: bool) -> None:
    sign_in(asked, who=asked.boss)
    asked.world.faults.add(PIM_PATCH, "throttle", retry_after=30, count=1)
    asked.play(lambda: statuses(asked) == ["PendingApproval"])
    if not signed_in:
        PersonalToken.objects.filter(person=asked.asker).delete()
    asked.finish_early(asked.grant())
    asked.play(lambda: asked.grant().status != "activating")
    if not signed_in:
        asked.play(lambda: "still holds the request" in asked.grant().problem)
        assert asked.grant().status == "removing"
        sign_in(asked)
    asked.play_out()
    assert statuses(asked) == ["Canceled"]
    assert not asked.in_entra()


@pytest.mark.proof
@pytest.mark.parametrize(
    "operation",
    [PIM_POST, PIM_PATCH, PIM_CANCEL],
)
@pytest.mark.parametrize("fault", ["lose_answer", "lose_request"])
def test_a_lost_answer_leaves_one_activation(asked: Stage, operation: str, fault: str) -> None:
    sign_in(asked, who=asked.boss)
    if operation == PIM_CANCEL:
        asked.world.faults.add(PIM_PATCH, "throttle", retry_after=120, count=1)
    asked.world.faults.add(operation, fault, count=1)
    grant = asked.play_out()
    assert statuses(asked).count("Provisioned") <= 1
    check_invariants(asked, grant.intervals.get().item)


@pytest.mark.proof
@pytest.mark.parametrize(
    "point",
    [
        "passing.before_settle",
        "passing.withdrawn",
        "write.answered",
    ],
)
def test_a_death_leaves_one_activation(asked: Stage, point: str) -> None:
    sign_in(asked, who=asked.boss)
    if point == "passing.withdrawn":
        asked.world.faults.add(PIM_PATCH, "throttle", retry_after=120, count=1)
    asked.work_until_it_dies(point, every=timedelta(seconds=2))
    grant = asked.play_out()
    assert statuses(asked).count("Provisioned") == 1
    check_invariants(asked, grant.intervals.get().item)


@pytest.mark.proof(about=20)
def test_why_a_request_that_waited_in_pim_for_a_disabled_holder_came_to_nothing_is_said(
    asked: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their token doesn't take it back any more, so that it may still be approved until PIM forgets it: a day of tries."""
    monkeypatch.setattr(pacing, "LONGEST_BACK_OFF", timedelta(minutes=10))
    sign_in(asked, who=asked.boss)
    asked.world.faults.add(PIM_PATCH, "throttle", retry_after=120, count=1)
    asked.play(lambda: statuses(asked) == ["PendingApproval"])
    asked.world.happen("person_disabled", person=asked.world_asker.id)
    grant = asked.play_out()
    assert grant.status in ("never_arrived", "not_granted"), asked.describe()
    assert "disabled or gone" in grant.problem
    assert not asked.in_entra()
