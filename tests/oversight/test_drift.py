"""Each kind of drift, played in a world behind the ports: found, kept once, resolved by the world or by a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial

import pytest

from audit.ledger.models import Event
from base.clock import business_now
from base.errors import Conflict, Invalid
from catalog.models import AccountAssignment, AwsAccount, PermissionSet, PimGroup
from oversight.drift.resolving import accept_finding, handle_finding
from oversight.drift.runs import OWN_DOUBT_EMPTY, OWN_DOUBT_SHRUNK, Outcome, run_if_due, run_slice
from oversight.models import DriftRun, Finding, FindingKind, FindingStatus, GroupLook
from requests_app.models import Grant
from simulator.world.pim import Ask, Caller
from simulator.world.state import Expiration, Identity
from tests.requests_app import factories as make
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db
type AsRole = Callable[[str], AbstractContextManager[None]]

SOMEBODY = Caller(identity=Identity(user_id="admin", user_name="Somebody"))
READ_PIM = "graph.GET assignmentScheduleInstances"
READ_STORE = "aws.identitystore.ListGroupMemberships"


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def active(play: Stage) -> Grant:
    play.decide(play.ask())
    return play.play_to("active")


def look(play: Stage, *, after: timedelta = timedelta(minutes=1)) -> None:
    """A whole comparison, a moment later."""
    play.step(after)
    assert run_slice() is Outcome.DONE


def unresolved() -> dict[str, Finding]:
    rows = Finding.objects.filter(status__in=[FindingStatus.OPEN, FindingStatus.ACCEPTED])
    return {row.kind: row for row in rows}


def add_in_aws(play: Stage, user_id: str = "") -> None:
    """Somebody puts a member into the group in AWS, behind everybody's back."""
    play.world.identity_store.add_member(
        play.group.store_group_id, user_id or play.boss.store_user_id, by="admin"
    )


def assign_in_entra(play: Stage, person_oid: str, *, hours: int) -> None:
    """An administrator assigns in PIM, without the portal."""
    expiration = Expiration("afterDateTime", end=play.time.now + timedelta(hours=hours))
    ask = Ask(
        "adminAssign",
        play.world_group.id,
        person_oid,
        start=play.time.now,
        expiration=expiration,
        justification="Help",
    )
    play.world.pim.request_assignment(ask, SOMEBODY)


# ------------------------------------------------------------ agreement


def test_a_grant_that_is_as_approved_is_no_drift_at_any_step(play: Stage) -> None:
    play.decide(play.ask())
    for status in ("activating", "provisioning", "active", "removing", "deprovisioning", "draining", "ended"):
        play.play_to(status, "ended")
        look(play, after=timedelta(0))
        assert unresolved() == {}, status
    assert not Finding.objects.exists()


# ------------------------------------------------------------ each kind


def test_an_orphan_is_access_in_aws_that_nothing_explains(play: Stage) -> None:
    active(play)
    add_in_aws(play)
    look(play)
    (found,) = unresolved().values()
    assert found.kind == FindingKind.ORPHAN
    assert found.principal == play.boss.object_id
    assert found.person == play.boss
    assert found.evidence["store_request_id"].startswith(READ_STORE)
    assert play.world.identity_store.is_member(play.boss.store_user_id, play.group.store_group_id), (
        "never removed"
    )


def test_an_orphan_whom_only_aws_knows_is_shown_by_its_name_there(play: Stage) -> None:
    active(play)
    stranger = play.world.identity_store.users()[0]
    stranger_id = play.world.identity_store.new_id()
    made = type(stranger)(
        **{**stranger.__dict__, "id": stranger_id, "user_name": "break-glass@aws", "external_id": None}
    )
    play.world.identity_store.put_user(made)
    add_in_aws(play, stranger_id)
    look(play)
    (found,) = unresolved().values()
    assert (found.kind, found.principal) == (FindingKind.ORPHAN, f"store:{stranger_id}")
    assert found.principal_name == "break-glass@aws"
    assert found.person is None


def test_a_ghost_is_a_grant_that_entra_has_lost(play: Stage) -> None:
    active(play)
    play.world.directory.remove_member(play.world_group.id, play.world_asker.id)
    look(play)
    assert unresolved() == {}, "half of what was expected is missing: it is read again first"
    assert GroupLook.objects.get().problem
    look(play)
    (found,) = unresolved().values()
    assert found.kind == FindingKind.GHOST
    assert found.grant == play.grant()


def test_a_ghost_is_a_grant_that_aws_has_lost(play: Stage) -> None:
    active(play)
    play.world.identity_store.remove_member(play.group.store_group_id, play.asker.store_user_id, by="admin")
    look(play)
    (found,) = unresolved().values()
    assert found.kind == FindingKind.GHOST
    assert "IAM Identity Center" in found.sentence


def test_late_is_a_membership_that_entra_keeps_past_its_end(play: Stage) -> None:
    grant = active(play)
    schedule = next(row for row in play.world.state.schedules.values() if row.id == grant.pim_schedule_id)
    schedule.end = grant.ends_at + timedelta(days=2)  # PIM's clock has stopped for this one
    play.world.state.due = [
        due for due in play.world.state.due if due.arguments.get("schedule_id") != schedule.id
    ]
    play.time.now = grant.ends_at + timedelta(minutes=6)
    look(play)
    kinds = unresolved()
    assert FindingKind.LATE in kinds
    assert kinds[FindingKind.LATE].grant == grant


def test_late_is_a_membership_that_aws_keeps_past_a_cycle(play: Stage) -> None:
    active(play)
    grant = play.play_to("deprovisioning")
    play.world.provisioning.pause()
    look(play)
    assert unresolved() == {}, "a cycle may take its time"
    look(play, after=timedelta(minutes=55))
    (found,) = unresolved().values()
    assert (found.kind, found.grant) == (FindingKind.LATE, grant)


def test_standing_is_a_permanent_membership(play: Stage) -> None:
    active(play)
    play.world.directory.add_member(play.world_group.id, play.boss.object_id)
    look(play)
    (found,) = unresolved().values()
    assert found.kind == FindingKind.STANDING
    assert found.evidence["ends_at"] == "never"
    assert found.evidence["pim_request_id"].startswith(READ_PIM)


def test_foreign_is_an_assignment_that_the_portal_did_not_make_and_its_leaving_is_no_orphan(
    play: Stage,
) -> None:
    active(play)
    assign_in_entra(play, play.boss.object_id, hours=1)
    add_in_aws(play)  # as provisioning would
    look(play)
    (found,) = unresolved().values()
    assert found.kind == FindingKind.FOREIGN_ASSIGNMENT
    play.step(timedelta(minutes=59))
    look(play)
    look(play)
    assert FindingKind.ORPHAN not in unresolved(), "AWS may show it until the next cycle"


def test_changed_end_is_an_end_in_pim_that_nobody_approved(play: Stage) -> None:
    grant = active(play)
    schedule = next(row for row in play.world.state.schedules.values() if row.id == grant.pim_schedule_id)
    schedule.end = grant.ends_at + timedelta(hours=5)
    look(play)
    (found,) = unresolved().values()
    assert (found.kind, found.grant) == (FindingKind.CHANGED_END, grant)


def one_more_account(group: PimGroup) -> None:
    account = AwsAccount.objects.create(account_id="999900001111", name="payments-prod", state="ACTIVE")
    held = PermissionSet.objects.filter(account_assignments__group=group).first()
    assert held is not None
    AccountAssignment.objects.create(group=group, account=account, permission_set=held)
    PimGroup.objects.filter(pk=group.pk).update(scope_hash="another")


def test_widened_is_a_group_that_opens_more_than_was_approved(play: Stage) -> None:
    grant = active(play)
    one_more_account(play.group)
    look(play)
    (found,) = unresolved().values()
    assert (found.kind, found.grant) == (FindingKind.WIDENED, grant)
    assert "payments-prod" in found.sentence


def test_a_group_that_opens_less_is_not_widened(play: Stage) -> None:
    one_more_account(play.group)
    play.group.refresh_from_db()
    active(play)
    AccountAssignment.objects.filter(account__name="payments-prod").delete()
    PimGroup.objects.filter(pk=play.group.pk).update(scope_hash="a third")
    look(play)
    assert unresolved() == {}


# ------------------------------------------------------------ once, and until it is resolved


def test_a_finding_is_kept_once_and_closes_when_the_world_is_in_order(play: Stage) -> None:
    active(play)
    add_in_aws(play)
    look(play)
    first = unresolved()[FindingKind.ORPHAN]
    look(play)
    again = unresolved()[FindingKind.ORPHAN]
    assert again.pk == first.pk
    assert again.last_seen_at > first.last_seen_at
    assert again.first_seen_at == first.first_seen_at
    play.world.identity_store.remove_member(play.group.store_group_id, play.boss.store_user_id, by="admin")
    look(play)
    look(play)  # half of what was expected is gone: read twice
    assert unresolved() == {}
    told = Event.objects.filter(type__startswith="drift.").order_by("id").values_list("type", flat=True)
    assert list(told) == ["drift.found", "drift.gone"]


def test_an_exception_lasts_until_its_date_and_opens_again(play: Stage) -> None:
    active(play)
    play.world.directory.add_member(play.world_group.id, play.boss.object_id)
    look(play)
    until = business_now() + timedelta(hours=1)
    found = unresolved()[FindingKind.STANDING]
    with play.as_role("portal_web"):
        accept_finding(
            finding_id=found.pk,
            by=play.boss,
            reason="The owner of the group",
            until=until,
            actor=make.actor(play.boss),
        )
    look(play)
    assert unresolved()[FindingKind.STANDING].status == FindingStatus.ACCEPTED
    look(play, after=timedelta(hours=2))
    look(play)
    row = unresolved()[FindingKind.STANDING]
    assert (row.pk, row.status, row.resolved_by) == (found.pk, FindingStatus.OPEN, None)
    told = Event.objects.filter(type__startswith="drift.").order_by("id").values_list("type", flat=True)
    assert list(told)[:3] == ["drift.found", "drift.accepted", "drift.reopened"]


def test_what_was_handled_and_is_still_there_is_found_anew(play: Stage) -> None:
    active(play)
    add_in_aws(play)
    look(play)
    found = unresolved()[FindingKind.ORPHAN]
    with play.as_role("portal_web"):
        handle_finding(
            finding_id=found.pk, by=play.boss, reason="Removed in AWS", actor=make.actor(play.boss)
        )
    look(play)
    assert unresolved() == {}
    play.time.now += timedelta(hours=1)
    look(play)
    look(play)
    assert unresolved()[FindingKind.ORPHAN].pk != found.pk


def test_a_resolution_needs_a_reason_and_happens_once(play: Stage) -> None:
    active(play)
    add_in_aws(play)
    look(play)
    found = unresolved()[FindingKind.ORPHAN]
    handle = partial(handle_finding, finding_id=found.pk, by=play.boss, actor=make.actor(play.boss))
    accept = partial(accept_finding, finding_id=found.pk, by=play.boss, actor=make.actor(play.boss))
    with play.as_role("portal_web"):
        with pytest.raises(Invalid, match="auditors"):
            handle(reason="  ")
        with pytest.raises(Invalid, match="a year"):
            accept(reason="Known", until=business_now() + timedelta(days=800))
        handle(reason="Done")
        with pytest.raises(Conflict):
            handle(reason="Done again")


# ------------------------------------------------------------ doubt


@pytest.mark.parametrize("source", [READ_PIM, READ_STORE])
def test_an_unreadable_source_concludes_nothing(play: Stage, source: str) -> None:
    active(play)
    add_in_aws(play)
    look(play)
    before = unresolved()[FindingKind.ORPHAN].last_seen_at
    play.world.faults.add(source, "error", count=None)
    play.step(timedelta(minutes=11))
    outcomes = []
    for _ in range(5):
        outcomes.append(run_slice())
        play.step(timedelta(minutes=5))
    assert outcomes == [*[Outcome.PAUSED] * 4, Outcome.DONE]
    assert DriftRun.objects.filter(status="failed").latest("started_at").not_looked == 1
    assert unresolved()[FindingKind.ORPHAN].last_seen_at == before
    assert GroupLook.objects.get().problem
    play.world.faults.clear()
    while run_slice() is not Outcome.DONE:
        play.step(timedelta(minutes=5))
    assert GroupLook.objects.get().problem == ""


def test_an_answer_that_lacks_most_must_be_read_twice_alike(play: Stage) -> None:
    active(play)
    empty = play.world.identity_store.group(play.group.store_group_id).members
    kept = dict(empty)
    empty.clear()
    pim_lost = {key: row for key, row in play.world.state.schedules.items() if row.kind == "assignment"}
    for key in pim_lost:
        play.world.state.schedules[key].ended_at = play.time.now
    play.world.directory.remove_member(play.world_group.id, play.world_asker.id)
    look(play)
    assert unresolved() == {}
    empty.update(kept)
    look(play)  # another answer than the doubted one: doubted again, or believed because it is plausible
    assert FindingKind.ORPHAN not in unresolved()


def test_an_empty_table_of_ours_makes_no_orphans(play: Stage) -> None:
    add_in_aws(play)
    assert not Grant.objects.exists()
    look(play)
    assert unresolved() == {}
    assert DriftRun.objects.get().problem == OWN_DOUBT_EMPTY


def test_a_table_of_ours_that_shrank_makes_no_orphans(play: Stage) -> None:
    active(play)
    look(play)
    DriftRun.objects.update(grants_known=7)
    add_in_aws(play)
    look(play)
    assert unresolved() == {}
    assert DriftRun.objects.latest("started_at").problem == OWN_DOUBT_SHRUNK


# ------------------------------------------------------------ the walk


def test_it_is_owed_every_ten_minutes_and_sooner_after_a_doubt(play: Stage) -> None:
    assert run_if_due() is Outcome.DONE
    assert run_if_due() is Outcome.NOT_DUE
    play.step(timedelta(minutes=9))
    assert run_if_due() is Outcome.NOT_DUE
    play.step(timedelta(minutes=2))
    assert run_if_due() is Outcome.DONE
    DriftRun.objects.update(doubted=1)
    play.step(timedelta(minutes=3))
    assert run_if_due() is Outcome.DONE


def test_a_slice_ends_in_time_and_the_next_goes_on(play: Stage) -> None:
    for _ in range(3):
        make.pim_group(store_group_id="")
    assert run_slice(seconds=0) is Outcome.MORE
    left = len(DriftRun.objects.get().cursor)
    assert left == 3
    assert run_slice(seconds=0) is Outcome.MORE
    assert run_slice() is Outcome.DONE
    assert DriftRun.objects.get().looked == 4


def test_one_worker_at_a_time(play: Stage) -> None:
    make.pim_group(store_group_id="")
    assert run_slice(seconds=0) is Outcome.MORE
    DriftRun.objects.update(lease_until=play.time.now + timedelta(minutes=1))
    assert run_slice() is Outcome.BUSY
    play.step(timedelta(minutes=2))
    assert run_slice() is Outcome.DONE
