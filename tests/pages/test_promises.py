"""What docs/promises.md says: while a fault of the simulated clouds is on, a page or the trail shows what becomes of it.

Actions and pages run as they are, over the world behind the ports; each test is named by a row of that table.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client, override_settings
from pytest_django import Settings

from audit.ledger.models import Event
from base.clock import real_now
from catalog.models import SyncRun
from catalog.sync.provisioning import Provisioning
from catalog.sync.work import Work
from identity.models import SignIn, User
from identity.personal.sealing import add_key
from oversight.drift.runs import run_slice
from requests_app.actions.deciding import check_decision
from requests_app.cutting.models import FastRemoval
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant, RequestItem
from tests.oversight.test_drift import one_more_account
from tests.pages.conftest import Visitor, main_of
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.requests_app.cutting.scene import scene
from tests.requests_app.test_as_person import sign_in
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db
POST = "graph.POST assignmentScheduleRequests"
READ = "graph.GET assignmentScheduleInstances"
ON_DEMAND = "graph.POST provisionOnDemand"
HOUR = timedelta(hours=1)


@pytest.fixture
def play(as_role: AsRole, settings: Settings) -> Iterator[Stage]:
    settings.ALLOWED_HOSTS = ["testserver"]
    with stage(as_role) as made:
        read_provisioning()
        yield made


def read_provisioning() -> None:
    """What the catalogue's sync reads of the provisioning job every minute."""
    Provisioning().advance(Work(SyncRun.Part.PROVISIONING, {}, real_now() + HOUR))


def visitor(play: Stage, who: str = "asker") -> Visitor:
    """Somebody's browser, signed in now: the asker, the boss, or an operator who reads the trail too."""
    person = {"asker": play.asker, "boss": play.boss}.get(who) or make.person("Olga Operator")
    roles = [] if who in ("asker", "boss") else ["Operator", "Auditor"]
    with play.as_role("portal_web"):
        user = User.objects.filter(person=person).first()
        user = user or make.login(person, *roles)
        client = Client()
        client.force_login(user, backend=django_settings.AUTHENTICATION_BACKENDS[0])
        key = str(client.session.session_key)
        SignIn.objects.create(session_key=key, user=user, started_at=real_now(), seen_at=real_now())
    return Visitor(client, play.as_role)


def asked_by_another(play: Stage) -> RequestItem:
    """What somebody else waits for."""
    with play.as_role("portal_web"):
        return make.pending_item(make.person("Wanda Waits"), play.group, play.rule)


def page(play: Stage) -> str:
    """What the asker's page of the newest grant's request shows now."""
    return main_of(visitor(play).get(f"/requests/{play.grant().first_request_id}/"))


def trail(play: Stage, *types: str) -> str:
    """What an auditor reads of the case, in which there is an event of each of these types."""
    told = Event.objects.filter(request_id=play.grant().first_request_id)
    assert set(types) <= set(told.values_list("type", flat=True))
    return main_of(visitor(play, "auditor").get(f"/audit/requests/{play.grant().first_request_id}/"))


def granted(play: Stage, duration: timedelta = HOUR) -> Grant:
    play.decide(play.ask(duration=duration))
    return play.play_to(GrantStatus.ACTIVE)


def happen(play: Stage, kind: str, **more: str) -> None:
    play.world.happen(kind, group=play.world_group.id, person=play.world_asker.id, **more)


# ------------------------------------------------------------ arriving


def test_a_lost_answer_is_asked_about_and_never_called_ready_before(play: Stage) -> None:
    play.world.faults.add(POST, "lose_answer")
    play.world.faults.add("pim.read", "stale", seconds=60, count=None)
    play.decide(play.ask())
    play.play_to(GrantStatus.ACTIVATING)
    play.work()
    shown = page(play)
    assert "answer was lost" in shown
    assert "Ready to use" not in shown
    play.world.faults.clear()
    play.play_to(GrantStatus.ACTIVE)
    assert "Ready to use until" in page(play)
    assert play.assignments_made() == 1
    assert "Entra answered the assignment" in trail(play, "outside.assignment_answered")


def test_a_vendor_who_asks_to_wait_stops_the_queue_and_operators_see_it(play: Stage) -> None:
    play.world.faults.add(POST, "throttle", retry_after=120)
    play.decide(play.ask())
    play.play_to(GrantStatus.ACTIVATING)
    play.work()
    assert "Entra asks to wait" in page(play)
    assert "nothing is sent until" in main_of(visitor(play, "operator").get("/operations/queue/"))
    play.play_to(GrantStatus.ACTIVE)


def test_without_provisioning_on_demand_the_page_waits_for_the_cycle(play: Stage) -> None:
    play.world.faults.add(ON_DEMAND, "error", count=None)
    play.decide(play.ask())
    play.play_to(GrantStatus.PROVISIONING)
    for _ in range(3):
        play.work()
        play.step(timedelta(seconds=30))
    assert "cycle" in page(play)
    play.play_to(GrantStatus.ACTIVE)
    assert "provisioning" in trail(play, "outside.provisioning_answered")


def test_an_eligibility_that_ended_before_the_start_is_not_started_and_says_so(play: Stage) -> None:
    play.decide(play.ask())
    play.work_until_it_dies("starting.before_check")
    happen(play, "eligibility_ended")
    play.play_out()
    assert "no longer eligible for this PIM group" in page(play)
    assert "no longer eligible for this PIM group" in trail(play, "grant.not_started")
    assert not play.in_entra()


def test_an_eligibility_that_ended_while_entra_was_away_is_not_sent_and_says_so(play: Stage) -> None:
    play.world.faults.add(READ, "throttle", retry_after=7200)
    play.decide(play.ask(duration=4 * HOUR))
    play.play_to(GrantStatus.ACTIVATING)
    happen(play, "eligibility_ended")
    play.play_out()
    assert "no longer eligible for this PIM group" in page(play)
    assert "no longer eligible for this PIM group" in trail(play, "grant.refused")
    assert play.assignments_made() == 0


def test_an_approver_who_left_before_the_start_has_approved_nothing(play: Stage) -> None:
    play.decide(play.ask())
    play.work_until_it_dies("starting.before_check")
    play.step(timedelta(minutes=2))
    play.world.happen("person_disabled", person=play.boss.object_id)
    play.play_out()
    for shown in (page(play), trail(play, "grant.not_started")):
        assert f"The approval by {play.boss.display_name} doesn&#x27;t stand any more" in shown
        assert "ask again" in shown
    assert play.assignments_made() == 0


def test_somebody_elses_membership_is_not_adopted_and_the_page_says_so(play: Stage) -> None:
    happen(play, "foreign_member")
    play.decide(play.ask())
    play.play_out()
    for shown in (page(play), trail(play, "grant.refused")):
        assert "a membership in this group that the portal didn&#x27;t make" in shown
    assert play.assignments_made() == 0


def test_a_stronger_sign_in_is_asked_of_the_person_and_waited_for(
    play: Stage, settings: Settings, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.pem"
    settings.PERSONAL_TOKEN_PUBLIC_KEY = add_key(keys).text
    settings.PERSONAL_TOKEN_KEYS_PATH = str(keys)
    call_command("activation_mode", play.group.object_id, "person", reason="PIM's own policy shall hold")
    play.group.refresh_from_db()
    play.world.happen(
        "activation_demands", group=play.world_group.id, context="c2", approver=play.boss.object_id
    )
    sign_in(play)
    play.decide(play.ask())
    play.play(lambda: Grant.objects.filter(problem_code="person").exists())
    assert "Entra wants a stronger sign-in" in page(play)
    assert "waits for a sign-in of the requester" in trail(play, "grant.waits_for_sign_in")
    sign_in(play, "c2")
    play.play(lambda: Grant.objects.filter(problem_code="approver").exists())
    assert "PIM wants an approval of its own" in page(play)
    assert "waits for a sign-in of an approver" in trail(play, "grant.waits_for_sign_in")
    sign_in(play, who=play.boss)
    play.play_to(GrantStatus.ACTIVE)
    assert "Entra answered the approval passed on" in trail(play, "outside.approval_answered")


# ------------------------------------------------------------ ending


@pytest.mark.proof
def test_what_pim_ends_late_is_overdue_on_the_page_and_in_the_trail(play: Stage) -> None:
    grant = granted(play)
    happen(play, "expiry_late", minutes="60")
    play.world.faults.add(POST, "error", count=None)
    play.play(lambda: play.time.now > grant.ends_at + timedelta(minutes=20))
    assert "Overdue: still in Entra" in page(play)
    assert "is overdue in Entra" in trail(play, "grant.overdue")
    play.world.faults.clear()
    play.play_out()
    assert "Ended. No session can be left." in page(play)


def test_an_extension_that_fell_is_not_sent_and_leaves_the_earlier_end_as_the_one_to_be_held(
    play: Stage,
) -> None:
    first = granted(play)
    play.world.faults.add(READ, "throttle", retry_after=120)
    check_decision(decision_id=play.decide(play.ask()))
    play.work()
    play.world.happen("person_disabled", person=play.boss.object_id)
    play.play(lambda: play.grant().fell_back_to is not None, at_most=timedelta(minutes=5))
    assert "Should Entra not end it then, the portal takes it out." in page(play)
    assert "PIM was not asked to lengthen" in trail(play, "grant.extension_not_sent")
    happen(play, "expiry_late", minutes="180")
    play.world.faults.add(POST, "error", count=None)
    play.play(lambda: play.time.now > first.ends_at + timedelta(minutes=20))
    assert "Overdue: still in Entra" in page(play)
    assert "is overdue in Entra" in trail(play, "grant.overdue")
    play.world.faults.clear()
    play.play_to(GrantStatus.DEPROVISIONING, GrantStatus.DRAINING)
    assert play.time.now < first.ends_at + HOUR


def test_one_answer_that_lacks_the_membership_ends_nothing_and_proves_no_removal(play: Stage) -> None:
    grant = granted(play, timedelta(hours=4))
    play.step(timedelta(minutes=20))
    play.world.faults.add("pim.read", "stale", seconds=7200)
    answer = visitor(play, "boss").post(f"/requests/{grant.first_request_id}/revoke/", reason="Not any more")
    assert answer.status_code == 302
    play.work()
    assert play.grant().unseen_since == play.time.now
    assert "Out of Entra. On its way out of AWS." not in page(play)
    assert not Event.objects.filter(type="grant.out_of_entra").exists()
    play.world.faults.clear()
    play.play_to(GrantStatus.DEPROVISIONING, GrantStatus.DRAINING)
    trail(play, "outside.removal_sent", "grant.out_of_entra")
    assert not play.in_entra()


@pytest.mark.proof
def test_a_removal_that_never_arrives_is_overdue_late_and_can_be_done_at_once(play: Stage) -> None:
    grant = granted(play)
    happen(play, "removal_lost")
    play.play(lambda: play.time.now > grant.ends_at + timedelta(hours=2))
    assert "Overdue: still in AWS" in page(play)
    assert "is overdue in AWS" in trail(play, "grant.overdue")
    run_slice()
    operator = visitor(play, "operator")
    assert grant.person.display_name in main_of(operator.get("/operations/drift/?kind=late"))
    with override_settings(FAST_REMOVAL="direct"):
        assert f"/operations/remove/{grant.pk}/" in main_of(operator.get("/operations/"))


def test_a_leaver_loses_it_and_the_trail_says_why(play: Stage) -> None:
    granted(play, timedelta(hours=4))
    play.world.happen("person_disabled", person=play.world_asker.id)
    play.play_to(GrantStatus.REMOVING, GrantStatus.DEPROVISIONING)
    assert "disabled" in trail(play, "grant.removal_started")
    assert not play.in_entra()


def test_in_the_first_five_minutes_a_revocation_is_queued_and_the_page_says_until_when(play: Stage) -> None:
    grant = granted(play)
    answer = visitor(play, "boss").post(f"/requests/{grant.first_request_id}/revoke/", reason="Not any more")
    assert answer.status_code == 302
    play.work()
    assert "Ending. PIM lets it go at" in page(play)
    assert play.in_entra()
    trail(play, "grant.revoked")
    play.play_to(GrantStatus.DEPROVISIONING)


@pytest.mark.proof
@pytest.mark.parametrize("skips", [True, False])
def test_what_is_given_again_after_a_fast_removal_arrives(play: Stage, skips: bool) -> None:
    play.world.switches.skip_readd_before_cycle = skips
    with override_settings(FAST_REMOVAL="direct"):
        first = granted(play)
        play.play_to(GrantStatus.DRAINING)
        assert FastRemoval.objects.filter(grant=first).exists()
        assert "Asked IAM Identity Center to take" in trail(play, "fast_removal.sent")
        play.decide(play.ask())
        play.play(lambda: play.grant().pk != first.pk)
        play.play_to(GrantStatus.ACTIVE)
        assert "Ready to use until" in page(play)
        assert play.in_aws()


@pytest.mark.proof
def test_while_provisioning_is_in_quarantine_pages_say_so_and_ends_go_on(play: Stage) -> None:
    grant = granted(play)
    waits = asked_by_another(play)
    play.world.happen("quarantine")
    read_provisioning()
    boss = visitor(play, "boss")
    asked = f"/approvals/{waits.pk}/"
    assert "Nothing is carried to AWS now" in main_of(boss.get(asked))
    answer = boss.post(asked, verdict="approve", comment="", shown=make.shown(waits))
    assert answer.status_code == 409
    assert "Your approval was not taken" in main_of(answer)
    play.play(lambda: play.time.now > grant.ends_at + timedelta(hours=2))
    assert not play.in_entra()
    assert "Overdue: still in AWS" in page(play)
    trail(play, "grant.overdue")
    play.world.happen("quarantine_lifted")
    read_provisioning()
    assert "Nothing is carried" not in main_of(visitor(play).get("/"))
    play.play_out()


@pytest.mark.proof
def test_denied_sessions_are_told_in_the_trail_once_they_are_read_back(
    as_role: AsRole, settings: Settings
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    with scene(as_role) as made:
        made.play.world.faults.add("aws.organizations.UpdatePolicy", "lose_answer")
        made.grant()
        made.wait(45)
        session = made.open()
        made.play.play_to(GrantStatus.DRAINING, GrantStatus.ENDED)
        assert not made.works(session)
        told = trail(made.play, "severance.wanted", "severance.confirmed")
        assert "are to be denied" in told
        assert told.count("Read back: sessions of") == 1


# ------------------------------------------------------------ drift


def test_what_others_change_is_found_and_listed_and_never_undone(play: Stage) -> None:
    granted(play, timedelta(hours=4))
    happen(play, "store_member_removed")
    play.world.happen("foreign_store_member", group=play.world_group.id, person=play.boss.object_id)
    play.step(timedelta(minutes=1))
    run_slice()
    listed = visitor(play, "operator")
    assert play.asker.display_name in main_of(listed.get("/operations/drift/?kind=ghost"))
    assert play.boss.display_name in main_of(listed.get("/operations/drift/?kind=orphan"))
    assert Event.objects.filter(type="drift.found").count() == 2
    assert play.world.identity_store.is_member(play.boss.store_user_id, play.group.store_group_id)


def test_a_group_that_opens_more_than_was_approved_is_listed(play: Stage) -> None:
    granted(play, timedelta(hours=4))
    one_more_account(play.group)
    play.step(timedelta(minutes=1))
    run_slice()
    assert "payments-prod" in main_of(visitor(play, "operator").get("/operations/drift/?kind=widened"))
    assert "payments-prod" in trail(play, "drift.found")


def test_where_a_source_can_not_be_read_the_drift_page_says_so_and_nothing_is_concluded(play: Stage) -> None:
    granted(play, timedelta(hours=4))
    play.world.faults.add(READ, "error", count=None, status=503)
    for _ in range(5):  # it tries again, before it says so
        play.step(timedelta(minutes=5))
        run_slice()
    shown = main_of(visitor(play, "operator").get("/operations/drift/"))
    assert "0 groups looked at, 1 not" in shown
    assert "an error of its own" in shown
    assert play.grant().status == GrantStatus.ACTIVE


# ------------------------------------------------------------ surviving


def test_without_workers_operators_see_what_is_owed(play: Stage, settings: Settings) -> None:
    settings.METRICS_TOKEN = "t0ken"
    granted(play)
    play.decide(asked_by_another(play))
    play.step(timedelta(hours=2))
    operator = visitor(play, "operator")
    health = main_of(operator.get("/operations/"))
    assert "Decisions that nobody checks" in health
    assert "1, 1 stuck" in health
    told = operator.get("/metrics", authorization="Bearer t0ken").content.decode()
    assert 'access_portal_stuck{status="decision"} 1.0' in told
    assert 'access_portal_stuck{status="active"} 1.0' in told
