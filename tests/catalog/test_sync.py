"""What the catalogue becomes of the clouds' answers, and of their failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django_subatomic.db import dbs_with_open_transactions, transaction

from audit.ledger.models import Event
from catalog.freshness import ages
from catalog.models import (
    AccountAssignment,
    AwsAccount,
    Eligibility,
    OrganizationalUnit,
    PermissionSet,
    PimGroup,
    ProvisioningState,
    SyncRun,
)
from catalog.sync.directory import Interest
from catalog.sync.engine import LEASE, Outcome, due_parts, run_part
from catalog.sync.intervals import INTERVALS, OWNERS_FRESH_FOR
from catalog.sync.work import Work
from clients.errors import NotPermitted, Refused, Throttled, Unreachable
from clients.types import GroupAssignment, StoreGroup
from identity.models import DirectoryGroup, Person
from tests.support.fake_clouds import (
    ADA,
    APPROVERS,
    BEN,
    BILLING,
    CLEO,
    DORA,
    EC2,
    ENGINEERS,
    FakeClouds,
    a_permission_set,
    a_policy,
    a_user,
    arn,
    eligible,
    guid,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("step")]
Part = SyncRun.Part
type Step = Callable[[timedelta], datetime]


def sync(*parts: SyncRun.Part) -> None:
    for part in parts or INTERVALS:
        assert run_part(part) is Outcome.DONE


def the_group(number: int = EC2) -> PimGroup:
    return PimGroup.objects.get(object_id=guid(number))


def opened(number: int = EC2) -> set[tuple[str, str]]:
    rows = AccountAssignment.objects.filter(group=the_group(number))
    return set(rows.values_list("account__account_id", "permission_set__name"))


def eligible_people(number: int = EC2) -> dict[str, str]:
    rows = Eligibility.objects.filter(group=the_group(number)).select_related("person", "through")
    return {row.person.display_name: str(row.through or "directly") for row in rows}


def owners(number: int = EC2) -> set[str]:
    return set(the_group(number).owners.values_list("person__display_name", flat=True))


def events(name: str) -> list[dict[str, Any]]:
    return [event.data["fields"] for event in Event.objects.filter(type=name).order_by("id")]


def test_everything_arrives(clouds: FakeClouds) -> None:
    sync()
    assert OrganizationalUnit.objects.get(name="Production").path == "Workloads / Production"
    assert AwsAccount.objects.get(account_id="111111111111").tags == {"Owner": "Treasury"}
    assert opened() == {
        ("111111111111", "EC2AdminAccess"),
        ("222222222222", "EC2AdminAccess"),
        ("222222222222", "ReadOnly"),
    }
    group = the_group()
    assert (group.managed, group.assigned_to_application, group.store_group_id) == (True, True, "store-ec2")
    assert (group.account_count, group.permission_set_count) == (2, 2)
    assert group.longest_session == timedelta(hours=4)
    assert group.activation_maximum == timedelta(hours=8)
    assert group.preview == {
        "permission_sets": ["EC2AdminAccess", "ReadOnly"],
        "accounts": ["payments-prod", "search-prod"],
    }
    assert eligible_people() == {"Ada Ames": "directly", "Ben Boll": "Engineers", "Cleo Cox": "Engineers"}
    assert Person.objects.get(object_id=guid(ADA)).store_user_id == "store-ada"
    assert ProvisioningState.objects.get().code == "Active"
    assert all(age.read_at and not age.problem for age in ages())


def test_one_call_a_group_and_nothing_written_when_nothing_changed(clouds: FakeClouds) -> None:
    sync()
    clouds.calls.clear()
    before = Event.objects.count()
    sync()
    assert clouds.calls["group_assignments"] == clouds.calls["group_policy"] == 2
    assert clouds.calls["read_user"] == 0, "people who came along with groups are not read one by one"
    assert Event.objects.count() == before
    for run in SyncRun.objects.order_by("-pk")[: len(INTERVALS)]:
        assert not any(number for name, number in run.changes.items() if name != "people_read"), run.part


def test_owners_of_managed_groups_are_read_seldom_and_become_people(clouds: FakeClouds, step: Step) -> None:
    clouds.owners = {guid(EC2): [guid(DORA), guid(ADA)]}
    clouds.users[guid(DORA)] = a_user(DORA, "Dora Dent")
    sync()
    assert owners() == {"Ada Ames", "Dora Dent"}
    assert owners(BILLING) == set()
    assert the_group(BILLING).owners_read_at, "nobody is an answer too"
    assert clouds.calls["read_owners"] == 2
    clouds.owners = {guid(EC2): [guid(DORA)], guid(BILLING): [guid(ADA)]}
    step(OWNERS_FRESH_FOR)
    sync(Part.GROUPS)
    assert clouds.calls["read_owners"] == 2
    step(timedelta(seconds=1))
    sync(Part.GROUPS)
    assert (owners(), owners(BILLING), clouds.calls["read_owners"]) == ({"Dora Dent"}, {"Ada Ames"}, 4)


def test_owners_that_all_go_are_read_twice_first(clouds: FakeClouds, step: Step) -> None:
    clouds.owners = {guid(EC2): [guid(ADA)]}
    sync()
    clouds.owners = {}
    step(OWNERS_FRESH_FOR + timedelta(seconds=1))
    sync(Part.GROUPS)
    assert owners() == {"Ada Ames"}
    sync(Part.GROUPS)
    assert owners() == set()


def test_owners_that_can_not_be_read_stop_nothing_and_age(
    clouds: FakeClouds, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.sync.groups.PER_STEP", 1)
    clouds.owners = {guid(EC2): [guid(ADA)], guid(BILLING): [guid(ADA)]}
    clouds.failing_for["read_owners", guid(BILLING)] = Refused("No.", code="x")
    sync()
    assert (owners(), the_group(BILLING).owners_read_at) == ({"Ada Ames"}, None)
    read_at = the_group().owners_read_at
    step(OWNERS_FRESH_FOR + timedelta(seconds=1))
    clouds.failing["read_owners"] = NotPermitted("No.", code="x")
    sync(Part.GROUPS)
    assert (owners(), the_group().owners_read_at) == ({"Ada Ames"}, read_at)
    assert clouds.calls["read_owners"] == 3, "where owners may not be read, a run asks once"


def test_no_call_is_made_inside_a_transaction(clouds: FakeClouds) -> None:
    def refuse(operation: str) -> None:
        assert not dbs_with_open_transactions(), operation

    clouds.before_call = refuse
    sync()


def test_a_call_inside_a_transaction_is_a_mistake_that_raises(clouds: FakeClouds, step: Step) -> None:
    work = Work(part="groups", cursor={}, deadline=step(timedelta(0)))
    calls: list[Callable[[], object]] = [
        lambda: work.fetch(clouds.clients().provisioning.job),
        lambda: work.fetch_each([guid(ADA)], clouds.clients().directory.read_user),
    ]
    for call in calls:
        # subatomic keeps its exceptions' names to itself.
        with pytest.raises(Exception) as mistake, transaction():  # noqa: PT011 - the name is checked
            call()
        assert "OpenTransaction" in type(mistake.value).__name__
    assert not clouds.calls


def test_what_a_group_opens_changes_with_an_event(clouds: FakeClouds) -> None:
    sync()
    clouds.assignments["store-ec2"] ^= {
        ("222222222222", arn("ReadOnly")),
        ("333333333333", arn("ReadOnly")),
    }
    hash_before = the_group().scope_hash
    sync(Part.GROUPS)
    assert ("333333333333", "ReadOnly") in opened()
    assert ("222222222222", "ReadOnly") not in opened()
    assert the_group().scope_hash != hash_before
    change = events("catalog.scope_changed")[-1]
    assert (change["added"], change["removed"]) == (["333333333333 ReadOnly"], ["222222222222 ReadOnly"])


def test_an_assignment_on_an_account_not_read_yet_is_shown_all_the_same(clouds: FakeClouds) -> None:
    clouds.assignments["store-ec2"].add(("999999999999", arn("Unheard")))
    sync(Part.GROUPS)
    assert ("999999999999", arn("Unheard").rpartition("/")[2]) in opened()
    assert "not known" in PermissionSet.objects.get(arn=arn("Unheard")).summary


def test_a_changed_permission_set_changes_the_hash_of_what_groups_open(clouds: FakeClouds) -> None:
    sync()
    before = the_group().scope_hash
    clouds.permission_sets[arn("EC2AdminAccess")] = a_permission_set(
        "EC2AdminAccess", session_duration=timedelta(hours=12)
    )
    sync(Part.PERMISSION_SETS)
    assert the_group().scope_hash != before
    assert the_group().longest_session == timedelta(hours=12)
    assert [each["changed"] for each in events("catalog.permission_set_changed")] == ["session duration"]


def test_a_policy_change_leaves_an_event(clouds: FakeClouds) -> None:
    sync()
    clouds.policies[guid(EC2)] = a_policy(guid(EC2), requires_mfa=True)
    sync(Part.GROUPS)
    assert the_group().requires_mfa
    assert [each["after"] for each in events("catalog.policy_changed")] == [{"requires_mfa": True}]


def test_a_policy_that_cannot_be_read_keeps_the_last_one_and_says_so(clouds: FakeClouds, step: Step) -> None:
    sync()
    read_at = the_group().policy_read_at
    step(timedelta(minutes=10))
    clouds.failing_for["group_policy", guid(EC2)] = Refused("PIM doesn't show this policy.")
    sync(Part.GROUPS)
    assert the_group().policy_problem == "PIM doesn't show this policy."
    assert the_group().policy_read_at == read_at
    assert the_group().activation_maximum == timedelta(hours=8)
    assert the_group(BILLING).policy_problem == ""


@pytest.mark.parametrize(
    ("store_groups", "joined", "problem"),
    [
        ([StoreGroup("a", "Renamed", (guid(EC2).upper(),))], "a", ""),
        ([StoreGroup("a", "AWS - Amazon EC2 Admin", ())], "a", ""),
        ([StoreGroup("a", "aws - amazon ec2 admin", ())], "", ""),
        ([StoreGroup("a", "AWS - Amazon EC2 Admin", (guid(999),))], "", "another Entra group"),
        (
            [StoreGroup("a", "Renamed", (guid(EC2),)), StoreGroup("b", "AWS - Amazon EC2 Admin", ())],
            "",
            "another Entra group",
        ),
        (
            [StoreGroup("a", "AWS - Amazon EC2 Admin", ()), StoreGroup("b", "AWS - Amazon EC2 Admin", ())],
            "",
            "2 groups named",
        ),
    ],
)
def test_groups_are_joined_by_id_then_by_exact_name_and_never_by_guess(
    clouds: FakeClouds, store_groups: list[StoreGroup], joined: str, problem: str
) -> None:
    clouds.store_groups = store_groups
    sync(Part.GROUPS)
    assert the_group().store_group_id == joined
    assert problem in the_group().join_problem
    assert bool(the_group().join_problem) == bool(problem)


def test_a_doubtful_join_keeps_the_id_that_read_backs_need(clouds: FakeClouds) -> None:
    sync()
    clouds.store_groups = [StoreGroup("new", "AWS - Amazon EC2 Admin", (guid(999),)), clouds.store_groups[1]]
    sync(Part.GROUPS)
    assert the_group().store_group_id == "store-ec2"
    assert the_group().join_problem


@pytest.mark.parametrize(
    ("part", "empty"),
    [
        (Part.ORGANIZATION, "units"),
        (Part.ORGANIZATION, "accounts"),
        (Part.PERMISSION_SETS, "permission_sets"),
        (Part.GROUPS, "application"),
        (Part.GROUPS, "store_groups"),
        (Part.GROUPS, "groups"),
    ],
)
def test_an_empty_answer_wipes_nothing(clouds: FakeClouds, part: SyncRun.Part, empty: str) -> None:
    sync()
    before = opened(), AwsAccount.objects.filter(present=True).count(), eligible_people()
    full = getattr(clouds, empty)
    setattr(clouds, empty, type(full)())
    for _ in range(2):
        assert run_part(part) is Outcome.FAILED
    assert (opened(), AwsAccount.objects.filter(present=True).count(), eligible_people()) == before
    assert the_group().present
    assert the_group().assigned_to_application
    (age,) = [age for age in ages() if age.part == part]
    assert "--accept-shrinking" in age.problem
    assert age.read_at is not None, "the last good reading keeps its age"


def test_half_a_list_is_doubted_until_an_operator_accepts_it(clouds: FakeClouds) -> None:
    sync()
    clouds.accounts = clouds.accounts[:1]
    assert run_part(Part.ORGANIZATION) is Outcome.FAILED
    assert AwsAccount.objects.filter(present=True).count() == 3
    assert run_part(Part.ORGANIZATION, accept_shrinking=True) is Outcome.DONE
    assert AwsAccount.objects.filter(present=True).count() == 1
    assert AwsAccount.objects.count() == 3, "absent rows stay for those who point at them"


def test_one_group_that_opens_nothing_any_more_is_believed_at_the_second_reading(
    clouds: FakeClouds,
) -> None:
    sync()
    clouds.assignments["store-ec2"] = set()
    sync(Part.GROUPS)
    assert len(opened()) == 3
    sync(Part.GROUPS)
    assert opened() == set()
    assert (the_group().account_count, the_group().scope_hash) == (0, "")


def test_two_different_doubtful_readings_are_no_confirmation(clouds: FakeClouds) -> None:
    sync()
    clouds.assignments["store-ec2"] = set()
    sync(Part.GROUPS)
    clouds.assignments["store-ec2"] = {("111111111111", arn("EC2AdminAccess"))}
    sync(Part.GROUPS)
    assert len(opened()) == 3


def test_eligibilities_come_and_go(clouds: FakeClouds) -> None:
    sync()
    clouds.members[guid(ENGINEERS)] = [guid(BEN)]
    clouds.eligibilities.append(eligible(BILLING, BEN))
    sync(Part.DIRECTORY, Part.ELIGIBILITIES)
    assert eligible_people() == {"Ada Ames": "directly", "Ben Boll": "Engineers"}
    assert eligible_people(BILLING) == {"Ada Ames": "directly", "Ben Boll": "directly"}
    assert not Eligibility.objects.filter(person__object_id=guid(CLEO)).exists()


def test_an_eligible_group_that_is_gone_lets_nobody_ask(clouds: FakeClouds) -> None:
    sync()
    del clouds.groups[guid(ENGINEERS)]
    assert run_part(Part.DIRECTORY, accept_shrinking=True) is Outcome.DONE
    sync(Part.ELIGIBILITIES)
    assert DirectoryGroup.objects.get(object_id=guid(ENGINEERS)).missing
    assert eligible_people() == {"Ada Ames": "directly"}


def test_a_person_who_left_the_directory_is_disabled_not_deleted(clouds: FakeClouds, step: Step) -> None:
    sync()
    del clouds.users[guid(ADA)]
    step(timedelta(hours=2))
    sync(Part.DIRECTORY)
    assert not Person.objects.get(object_id=guid(ADA)).enabled


def test_people_are_read_again_one_by_one_only_when_no_group_brought_them(
    clouds: FakeClouds, step: Step
) -> None:
    sync()
    clouds.users[guid(ADA)] = a_user(ADA, "Ada Lovelace")
    step(timedelta(hours=2))
    clouds.calls.clear()
    sync(Part.DIRECTORY)
    assert clouds.calls["read_user"] == 1
    assert Person.objects.get(object_id=guid(ADA)).display_name == "Ada Lovelace"


def test_a_failure_keeps_the_data_and_says_why(clouds: FakeClouds) -> None:
    sync()
    clouds.failing["permission_set_arns"] = NotPermitted("The portal may not list permission sets.")
    assert run_part(Part.PERMISSION_SETS) is Outcome.FAILED
    (age,) = [age for age in ages() if age.part == Part.PERMISSION_SETS]
    assert age.problem == "The portal may not list permission sets."
    assert PermissionSet.objects.filter(present=True).count() == 3


def test_a_throttled_source_is_waited_for_then_gone_on_with(clouds: FakeClouds, step: Step) -> None:
    sync(Part.ORGANIZATION)
    clouds.failing_for["permission_set", arn("ReadOnly")] = Throttled(
        "Wait.", retry_after=timedelta(seconds=40)
    )
    assert run_part(Part.PERMISSION_SETS) is Outcome.PAUSED
    assert run_part(Part.PERMISSION_SETS) is Outcome.BUSY
    assert Part.PERMISSION_SETS not in due_parts()
    clouds.failing_for.clear()
    step(timedelta(seconds=40))
    assert Part.PERMISSION_SETS in due_parts()
    clouds.calls.clear()
    assert run_part(Part.PERMISSION_SETS) is Outcome.DONE
    assert clouds.calls["permission_set_arns"] == 0, "the run went on from its cursor"


def test_a_source_that_stays_away_fails_the_run(clouds: FakeClouds, step: Step) -> None:
    clouds.failing["units"] = Unreachable("Organizations can't be reached.")
    outcomes = []
    for _ in range(5):
        outcomes.append(run_part(Part.ORGANIZATION))
        step(timedelta(minutes=2))
    assert outcomes == [Outcome.PAUSED] * 4 + [Outcome.FAILED]


def test_long_work_is_done_in_slices(clouds: FakeClouds) -> None:
    for number in range(40):
        details = a_permission_set(f"Set{number}")
        clouds.permission_sets[details.arn] = details
    slices = 0
    while (outcome := run_part(Part.PERMISSION_SETS, seconds=0)) is Outcome.MORE:
        slices += 1
    assert outcome is Outcome.DONE
    assert slices >= 5
    assert SyncRun.objects.count() == 1
    assert PermissionSet.objects.count() == 43


def test_a_worker_that_died_is_replaced_after_its_lease(clouds: FakeClouds, step: Step) -> None:
    class DeadError(BaseException):
        pass

    def die(operation: str) -> None:
        if operation == "permission_set":
            raise DeadError

    clouds.before_call = die
    with pytest.raises(DeadError):
        run_part(Part.PERMISSION_SETS)
    clouds.before_call = lambda operation: None
    assert run_part(Part.PERMISSION_SETS) is Outcome.BUSY
    step(LEASE)
    clouds.calls.clear()
    sync(Part.PERMISSION_SETS)
    assert clouds.calls["permission_set_arns"] == 0
    assert PermissionSet.objects.count() == 3


def test_a_slow_worker_whose_run_was_taken_over_writes_no_cursor(clouds: FakeClouds, step: Step) -> None:
    outcomes = []

    def overtake(operation: str) -> None:
        clouds.before_call = lambda operation: None
        step(LEASE + timedelta(seconds=1))
        outcomes.append(run_part(Part.PERMISSION_SETS))

    clouds.before_call = overtake
    assert run_part(Part.PERMISSION_SETS) is Outcome.BUSY
    assert outcomes == [Outcome.DONE]
    assert SyncRun.objects.get().status == SyncRun.Status.SUCCEEDED


def test_parts_are_due_by_their_interval_and_sooner_after_a_failure(clouds: FakeClouds, step: Step) -> None:
    assert due_parts() == list(INTERVALS)
    sync()
    assert due_parts() == []
    step(timedelta(seconds=60))
    assert due_parts() == [Part.PROVISIONING]
    step(timedelta(minutes=4))
    assert due_parts() == [Part.PROVISIONING, Part.ELIGIBILITIES]
    clouds.failing["group_eligibilities"] = NotPermitted("No.")
    assert run_part(Part.ELIGIBILITIES) is Outcome.FAILED
    assert Part.ELIGIBILITIES not in due_parts()
    step(timedelta(seconds=30))
    assert Part.ELIGIBILITIES in due_parts()


def test_a_group_taken_off_the_allow_list_is_no_longer_managed(
    clouds: FakeClouds, settings: Any, tmp_path: Any
) -> None:
    sync()
    file = tmp_path / "fewer.txt"
    file.write_text(guid(BILLING))
    settings.PORTAL_MANAGED_GROUPS_FILE = str(file)
    sync(Part.GROUPS)
    assert not the_group().managed
    assert events("catalog.management_changed")[-1]["managed"] is False
    file.write_text("everything\n")
    assert run_part(Part.GROUPS) is Outcome.FAILED
    assert the_group(BILLING).present


def test_a_group_that_left_entra_is_marked_and_not_managed(clouds: FakeClouds) -> None:
    sync()
    del clouds.groups[guid(BILLING)]
    sync(Part.GROUPS)
    gone = the_group(BILLING)
    assert (gone.present, gone.managed) == (False, False)
    assert len(events("catalog.group_vanished")) == 1


def test_object_ids_are_compared_without_regard_to_case(clouds: FakeClouds) -> None:
    clouds.application = {guid(EC2).upper(), guid(BILLING)}
    clouds.eligibilities = [replace(clouds.eligibilities[0], principal_id=guid(ADA).upper())]
    clouds.users[guid(ADA).upper()] = clouds.users[guid(ADA)]
    sync()
    assert the_group().assigned_to_application
    assert eligible_people() == {"Ada Ames": "directly"}


def test_a_mistake_of_ours_fails_the_run_and_is_raised(
    clouds: FakeClouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(group: PimGroup, assignments: list[GroupAssignment]) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr("catalog.sync.groups.write_assignments", broken)
    with pytest.raises(ZeroDivisionError):
        run_part(Part.GROUPS)
    assert SyncRun.objects.get().status == SyncRun.Status.FAILED


def test_people_whom_rules_name_are_read_within_a_minute(
    clouds: FakeClouds, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync()
    named = Interest(groups=frozenset({guid(APPROVERS).upper(), guid(998)}), people=frozenset({guid(ADA)}))
    monkeypatch.setattr("catalog.sync.directory._interests", [lambda: named])
    step(timedelta(seconds=60))
    assert Part.DIRECTORY in due_parts()
    sync(Part.DIRECTORY)
    approvers = DirectoryGroup.objects.get(object_id=guid(APPROVERS))
    assert [person.display_name for person in approvers.members.all()] == ["Dora Dean"]
    assert DirectoryGroup.objects.get(object_id=guid(998)).missing
    step(timedelta(seconds=60))
    assert Part.DIRECTORY not in due_parts()
