"""Groups that are activated as the person: with the holder's own token, waiting for them, never wider than PIM allows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from pytest_django import Settings

from audit.ledger.models import Event
from base import crash
from base.clock import real_now
from base.errors import Invalid
from catalog.events import MODE
from catalog.models import PimGroup
from identity.models import ActivationMode, Person, PersonalToken
from identity.personal import keeping
from identity.personal.sealing import add_key
from notifications.facts import no_longer_needed
from notifications.kinds import Kind
from notifications.models import Message
from notifications.planning import plan
from policy.requestable import requestability
from requests_app.actions.steps import personal
from requests_app.actions.submitting import submit_request
from requests_app.models import Grant
from requests_app.offers import Offer
from simulator.world.pim import Ask, Caller
from simulator.world.state import Expiration, Identity
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.by_hand import known
from tests.support.stage import Stage, check_invariants, stage
from tests.support.world_personal import PIM_POST, SIGN_IN, token_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def play(as_role: AsRole, settings: Settings, tmp_path: Path) -> Iterator[Stage]:
    """The stage's group is activated as the person, and the portal has keys."""
    path = tmp_path / "keys.pem"
    settings.PERSONAL_TOKEN_PUBLIC_KEY = add_key(path).text
    settings.PERSONAL_TOKEN_KEYS_PATH = str(path)
    with stage(as_role) as made:
        call_command("activation_mode", made.group.object_id, "person", reason="PIM's own policy shall hold")
        made.group.refresh_from_db()
        yield made


def sign_in(play: Stage, *contexts: str, mfa: bool = True, who: Person | None = None) -> None:
    """Somebody, by default the asker, signs in, with what these prove."""
    person = who or play.asker
    token = token_for(person.object_id, contexts=contexts, mfa=mfa)
    with play.as_role("portal_web"):
        keeping.keep(person, token, actor=make.actor(person))


def requests(play: Stage) -> list[tuple[str, str | None]]:
    rows = play.world.pim.assignment_requests(group_id=play.world_group.id)
    return [(row.action, row.created_by.user_id) for row in reversed(rows)]


def waiting(play: Stage) -> Grant:
    """Play until the grant waits for its person."""
    play.play(lambda: Grant.objects.filter(problem_code="person").exists())
    return play.grant()


def test_pim_is_asked_in_the_persons_own_name_from_click_to_end(play: Stage) -> None:
    sign_in(play)
    item = play.ask()
    play.decide(item)
    grant = play.play_to("active")
    assert grant.as_person
    assert requests(play) == [("selfActivate", play.asker.object_id)]
    assert grant.entra_ends_at is not None
    shorter = grant.ends_at - grant.entra_ends_at
    assert timedelta(0) <= shorter - personal.ON_ITS_WAY < timedelta(seconds=5)
    play.play_out()
    check_invariants(play, item)


def test_ending_early_is_the_persons_own_too(play: Stage) -> None:
    sign_in(play)
    play.decide(play.ask())
    play.finish_early(play.play_to("active"))
    play.play_to("deprovisioning")
    assert requests(play)[1:] == [("selfDeactivate", play.asker.object_id)]


def test_ending_early_without_a_token_is_the_portals(play: Stage) -> None:
    sign_in(play)
    play.decide(play.ask())
    grant = play.play_to("active")
    PersonalToken.objects.all().delete()
    play.finish_early(grant)
    play.play_to("deprovisioning")
    assert requests(play)[1:] == [("adminRemove", None)]


def test_without_a_token_it_waits_for_its_person_and_the_window_does_not_move(play: Stage) -> None:
    play.decide(play.ask())
    grant = waiting(play)
    assert "signed in again" in grant.problem
    assert requests(play) == []
    window = (grant.starts_at, grant.ends_at)
    play.step(timedelta(minutes=20))
    play.work()
    sign_in(play)
    grant = play.play_to("active")
    assert (grant.starts_at, grant.ends_at) == window
    assert grant.problem == ""
    (row,) = [row for row in play.world.state.schedules.values() if row.kind == "assignment"]
    assert row.end is not None
    assert row.end <= grant.ends_at


def test_it_lapses_when_nothing_usable_remains(play: Stage) -> None:
    play.decide(play.ask())
    grant = waiting(play)
    play.step(grant.ends_at - timedelta(minutes=5, seconds=20) - play.time.now)
    play.work()
    assert play.grant().waits_for_person
    grant = play.play_out()
    assert (grant.status, grant.problem_code) == ("not_granted", "window_over")
    assert requests(play) == []
    assert not play.in_entra()


def test_an_activation_that_is_long_on_its_way_does_not_reach_past_the_approved_end(play: Stage) -> None:
    """PIM counts from when it takes it up."""
    sign_in(play)
    play.decide(play.ask())
    play.calls.pause = lambda seconds: play.step(timedelta(seconds=seconds))
    play.world.faults.add(PIM_POST, "delay", seconds=20)
    grant = play.play_to("active")
    (row,) = [row for row in play.world.state.schedules.values() if row.kind == "assignment"]
    assert row.end is not None
    assert grant.ends_at - personal.ON_ITS_WAY < row.end <= grant.ends_at


def test_less_than_pim_gives_is_not_asked_for(play: Stage) -> None:
    """What is left is enough for PIM, and what is left after the way is not."""
    play.decide(play.ask())
    grant = waiting(play)
    play.step(grant.ends_at - timedelta(minutes=5, seconds=10) - play.time.now)
    sign_in(play)
    play.work()
    grant = play.grant()
    assert (grant.status, grant.problem_code) == ("not_granted", "window_over")
    assert requests(play) == []


def test_a_stronger_sign_in_is_waited_for(play: Stage) -> None:
    play.world.policies.change(play.world_group.id, authentication_context="c2")
    sign_in(play)
    play.decide(play.ask())
    grant = waiting(play)
    assert "stronger sign-in" in grant.problem
    assert json.loads(grant.wanted_claims)["access_token"]["acrs"] == {"essential": True, "value": "c2"}
    assert requests(play) == []
    sign_in(play, "c2")
    play.play_to("active")
    assert requests(play) == [("selfActivate", play.asker.object_id)]


def test_no_cloud_is_asked_while_nothing_has_come_but_what_is_wanted_is_read_again_in_time(
    play: Stage,
) -> None:
    play.decide(play.ask())
    grant = waiting(play)
    assert grant.wanted_claims == ""
    before = dict(play.calls.made)
    for _ in range(20):
        play.step(personal.LOOK_EVERY)
        play.work()
    assert play.calls.made == before
    play.world.policies.change(play.world_group.id, authentication_context="c2")
    play.step(personal.ASK_AGAIN_AFTER)
    play.work()
    grant = play.grant()
    assert '"c2"' in grant.wanted_claims
    assert grant.problem_code == "person"
    (event,) = Event.objects.filter(type="grant.waits_for_sign_in")
    assert event.data["fields"]["whom"] == "the requester"
    plan()
    (told,) = Message.objects.filter(kind=Kind.SIGN_IN)
    assert told.person == play.asker
    assert no_longer_needed(told) == ""
    sign_in(play, "c2")
    play.play_to("active")
    assert no_longer_needed(Message.objects.get(pk=told.pk)) != ""


def test_who_has_to_sign_in_for_what_lengthens_it_is_told_of_that_too(play: Stage) -> None:
    play.decide(play.ask())
    waiting(play)
    plan()
    sign_in(play)
    play.play_to("active")
    play.decide(play.ask())
    play.play(lambda: play.grant().revision == 2)
    PersonalToken.objects.all().delete()
    grant = waiting(play)
    assert grant.assigned_at is not None
    plan()
    assert Message.objects.filter(kind=Kind.SIGN_IN, person=play.asker).count() == 2


def test_multifactor_authentication_is_waited_for(play: Stage) -> None:
    play.world.policies.change(
        play.world_group.id, activation_rules=["MultiFactorAuthentication", "Justification"]
    )
    sign_in(play, mfa=False)
    play.decide(play.ask())
    grant = waiting(play)
    assert "stronger sign-in" in grant.problem
    assert grant.unknown_writes == 0
    sign_in(play)
    play.play_to("active")


def test_a_withdrawn_token_is_deleted_and_waited_for(play: Stage) -> None:
    sign_in(play)
    play.decide(play.ask())

    def switch_off(reached: str) -> None:
        """Between the portal's own look at the person and the use of their token."""
        if reached == "personal.before_sign_in":
            play.world.happen("person_disabled", person=play.world_asker.id)

    crash.install(switch_off)
    assert "signed in again" in waiting(play).problem
    assert not PersonalToken.objects.exists()
    reasons = [e.data["fields"]["reason"] for e in Event.objects.filter(type="signin.token_forgotten")]
    assert reasons == ["Entra doesn't accept it any more"]


def test_a_sign_in_that_comes_while_an_earlier_one_is_refused_is_kept(play: Stage) -> None:
    with play.as_role("portal_web"):
        keeping.keep(
            play.asker, token_for(play.asker.object_id, withdrawn=True), actor=make.actor(play.asker)
        )
    play.decide(play.ask())
    came: list[str] = []

    def sign_in_meanwhile(reached: str) -> None:
        if reached == "personal.before_sign_in" and not came:
            came.append(reached)
            sign_in(play)

    crash.install(sign_in_meanwhile)
    play.play(lambda: bool(came))
    assert keeping.token_of(play.asker) is not None
    play.play_to("active")


def test_what_pim_demands_is_said_and_its_ticket_asked_for_in_the_form(play: Stage) -> None:
    PimGroup.objects.update(requires_ticket=True, requires_mfa=True, requires_approval=True)
    group = PimGroup.objects.get(pk=play.group.pk)
    judged = requestability(play.asker, group, [], now=play.time.now)
    demands = Offer(group, [], judged, {}).pim_demands
    assert [words.partition(",")[0] for words in demands] == [
        "Multifactor authentication",
        "A reference number",
        "An approval in PIM",
    ]
    with play.as_role("portal_web"), pytest.raises(Invalid, match="PIM asks for a reference"):
        ask_for(play, reference=" ")
    with play.as_role("portal_web"):
        ask_for(play, reference="INC-17")


def ask_for(play: Stage, *, reference: str) -> None:
    submit_request(
        requester_id=play.asker.pk,
        group_object_id=play.group.object_id,
        duration=timedelta(hours=1),
        justification="Replace the failing instance",
        reference=reference,
        actor=make.actor(play.asker),
    )


@pytest.mark.parametrize(
    "fault",
    [
        "lose_answer",
        pytest.param("lose_request", marks=pytest.mark.proof),
        pytest.param("error_after", marks=pytest.mark.proof),
    ],
)
def test_a_lost_answer_makes_no_second_activation(play: Stage, fault: str) -> None:
    sign_in(play)
    item = play.ask()
    play.decide(item)
    play.world.faults.add(PIM_POST, fault, count=1)
    play.play_out()
    check_invariants(play, item)


@pytest.mark.parametrize(
    "point",
    [
        "personal.before_sign_in",
        pytest.param("write.intent_recorded", marks=pytest.mark.proof),
        pytest.param("write.answered", marks=pytest.mark.proof),
    ],
)
def test_a_death_makes_no_second_activation(play: Stage, point: str) -> None:
    sign_in(play)
    item = play.ask()
    play.decide(item)
    play.work_until_it_dies(point)
    play.play_out()
    check_invariants(play, item)


def test_a_death_while_giving_back_looks_again(play: Stage) -> None:
    play.decide(play.ask())
    play.work_until_it_dies("personal.before_wait", every=timedelta(seconds=5))
    waiting(play)


def test_who_gives_it_back_meanwhile_is_asked_for_no_sign_in(play: Stage) -> None:
    play.decide(play.ask())

    def done_with_it(reached: str) -> None:
        if reached == "personal.before_wait" and play.grant().status == "activating":
            play.finish_early(play.grant())

    crash.install(done_with_it)
    play.play(lambda: Grant.objects.exclude(status__in=["scheduled", "activating"]).exists())
    assert "signed in again" not in play.grant().problem
    assert not Event.objects.filter(type="grant.waits_for_sign_in").exists()


def test_entra_out_of_reach_is_no_matter_of_the_persons(play: Stage) -> None:
    sign_in(play)
    play.decide(play.ask())
    play.world.faults.add(SIGN_IN, "error", count=1)
    play.play(lambda: Grant.objects.filter(problem_code="waiting").exists())
    assert PersonalToken.objects.exists()
    play.play_to("active")


def test_the_mode_of_the_approval_stays(play: Stage) -> None:
    play.decide(play.ask())
    waiting(play)
    call_command("activation_mode", play.group.object_id, "application", reason="back")
    sign_in(play)
    assert keeping.clear_expired_tokens() == 0
    play.play_to("active")
    assert requests(play) == [("selfActivate", play.asker.object_id)]


def test_a_forged_mark_in_application_mode_is_nobodys(play: Stage) -> None:
    call_command("activation_mode", play.group.object_id, "application", reason="back")
    play.group.refresh_from_db()
    play.world.faults.add(PIM_POST, "throttle", retry_after=10, count=1)
    play.decide(play.ask())
    grant = play.play_to("activating")
    assert not grant.as_person
    forged = Ask(
        "selfActivate",
        play.world_group.id,
        play.world_asker.id,
        expiration=Expiration("afterDateTime", end=grant.ends_at),
        justification=f"x [access-portal:{grant.tag}]",
    )
    elsewhere = Identity("another-application", "Not the portal")
    play.world.pim.request_assignment(forged, Caller(elsewhere, play.world_asker.id, mfa=True))
    grant = play.play_to("not_granted")
    assert grant.problem_code == "foreign_assignment"


def test_the_command_says_what_it_did(play: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    group = play.group.object_id
    call_command("activation_mode", group.upper(), "person", reason="again")
    assert "so already" in capsys.readouterr().out
    call_command("activation_mode", group, "application", reason="back")
    assert "in application mode from now on" in capsys.readouterr().out
    assert not PimGroup.objects.get(object_id=group).as_person
    assert keeping.anything_as_person(), "for a day still: what was approved before goes on that way"
    ActivationMode.objects.update(changed_at=real_now() - settings.PERSONAL_TOKEN_LIFETIME)
    known(MODE, ActivationMode.objects.all())
    assert not keeping.anything_as_person()
    for wrong in ({"group": "nobody", "reason": "x"}, {"group": group, "reason": " "}):
        with pytest.raises(CommandError):
            call_command("activation_mode", wrong["group"], "person", reason=wrong["reason"])
    modes = [
        e.data["fields"]["mode"]
        for e in Event.objects.filter(type="catalog.activation_mode_changed").order_by("id")
    ]
    assert modes == ["as the person", "in application mode"]
