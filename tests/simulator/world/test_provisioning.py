"""The provisioning job: cycles, the fast path, on demand, quarantine, and what it never looks at again."""

from datetime import timedelta

import pytest

from simulator.world.errors import WorldError
from simulator.world.provisioning import REASONS, Subject
from simulator.world.state import Execution, User
from tests.simulator.world.factory import START, Small, person, small_world


def on_demand(small: Small, *people: User) -> dict[str, object]:
    members = tuple(user.id for user in people)
    return small.world.provisioning.on_demand([Subject(small.group.id, "Group", members)]).key


def activate(small: Small, user: User) -> None:
    small.world.pim.request_assignment(small.ask("selfActivate", user), person(user))


def last_cycle(small: Small) -> Execution:
    last = small.world.state.job.last
    assert last is not None
    return last


def running_cycle(small: Small) -> Execution | None:
    return small.world.state.job.running


# ---------------------------------------------------------------- cycles


def test_the_initial_cycle_brings_people_and_empty_groups() -> None:
    small = small_world()
    store = small.world.identity_store
    assert {user.user_name for user in store.users()} == {"ada@acme.example", "bob@acme.example"}
    assert {user.external_id for user in store.users()} == {small.ada.id, small.bob.id}
    assert small.builder.store_group(small.group).members == {}
    assert len(small.builder.store_group(small.baseline).members) == 2


def test_an_assignment_by_the_application_waits_for_the_cycle() -> None:
    small = small_world()
    small.assign(small.ada, duration="PT5H")
    small.step(minutes=39)
    assert not small.in_aws(small.ada)
    small.step(minutes=1)
    assert small.in_aws(small.ada)


def test_a_removal_waits_for_a_cycle_that_began_after_it() -> None:
    small = small_world()
    small.assign(small.ada, duration="PT1H")
    small.step(minutes=60)
    assert not small.world.directory.is_member(small.group.id, small.ada.id)
    assert small.in_aws(small.ada)
    small.step(minutes=20)
    assert not small.in_aws(small.ada)
    small.step(seconds=30)
    assert last_cycle(small).began_at == START + timedelta(minutes=80)
    assert last_cycle(small).state == "Succeeded"


def test_a_cycle_is_over_only_after_its_time() -> None:
    small = small_world()
    small.step(minutes=40)
    running = running_cycle(small)
    assert running is not None
    assert last_cycle(small).id != running.id
    small.step(minutes=1)
    assert running_cycle(small) is None
    assert last_cycle(small).began_at == START + timedelta(minutes=40)
    assert last_cycle(small).ended_at > last_cycle(small).began_at
    assert small.world.state.job.next_cycle_at == START + timedelta(minutes=80)


def test_a_cycle_does_not_look_at_the_target_again() -> None:
    small = small_world()
    small.assign(small.ada, duration="PT10H")
    small.step(minutes=41)
    store_group = small.builder.store_group(small.group)
    small.world.identity_store.remove_member(store_group.id, small.user_id_in_store(small.ada), by="console")
    small.step(hours=2)
    assert not small.in_aws(small.ada)
    on_demand(small, small.ada)
    assert small.in_aws(small.ada)


def test_a_stranger_in_the_target_stays() -> None:
    small = small_world()
    store_group = small.builder.store_group(small.group)
    small.world.identity_store.add_member(store_group.id, small.user_id_in_store(small.bob), by="console")
    small.step(hours=5)
    assert small.in_aws(small.bob)


@pytest.mark.parametrize("skipped", [True, False])
def test_removed_and_added_again_before_the_cycle_is_a_switch(skipped: bool) -> None:
    small = small_world()
    small.world.switches.skip_readd_before_cycle = skipped
    small.assign(small.ada, duration="PT10H")
    small.step(minutes=41)
    small.remove(small.ada)
    store_group = small.builder.store_group(small.group)
    small.world.identity_store.remove_member(store_group.id, small.user_id_in_store(small.ada), by="remover")
    small.assign(small.ada, duration="PT10H")
    small.step(hours=2)
    assert small.in_aws(small.ada) != skipped


def test_a_lost_removal_never_arrives() -> None:
    small = small_world()
    small.assign(small.ada, duration="PT1H")
    small.step(minutes=41)
    small.world.provisioning.lose_removal(small.group.id, small.ada.id)
    small.step(hours=24)
    assert small.in_aws(small.ada)


@pytest.mark.parametrize("missing", ["surname", "given_name", "display_name"])
def test_a_person_without_a_name_is_not_carried_and_the_log_says_so(missing: str) -> None:
    small = small_world()
    nemo = small.builder.user("nemo@acme.example", "Nemo", given_name="Nemo", surname="Nobody")
    small.world.directory.update_user(nemo.id, **{missing: ""})
    small.builder.member(small.baseline, nemo)
    small.step(minutes=41)
    assert small.world.identity_store.find_user_by_external_id(nemo.id) is None
    failures = [row for row in small.world.provisioning.log() if row.status == "failure"]
    assert {(row.source_name, row.error_code) for row in failures} == {
        (nemo.display_name, "ValidationException"),
        ("AWS - All employees", "ReferenceFailure"),
    }
    assert last_cycle(small).state == "EntryLevelErrors"
    small.world.directory.update_user(nemo.id, **{missing: "Nobody"})
    small.step(minutes=40)
    assert small.world.identity_store.find_user_by_external_id(nemo.id) is not None


def test_a_disabled_person_is_disabled_in_aws_by_the_cycle() -> None:
    small = small_world()

    def active() -> bool:
        return small.world.identity_store.user(small.user_id_in_store(small.ada)).active

    small.world.directory.set_enabled(small.ada.id, enabled=False)
    assert active()
    small.step(minutes=40)
    assert not active()
    small.world.directory.set_enabled(small.ada.id, enabled=True)
    small.step(minutes=40)
    assert active()


def test_a_changed_name_follows() -> None:
    small = small_world()
    small.world.directory.update_user(small.ada.id, display_name="Ada Lovelace", surname="Lovelace")
    small.world.directory.rename_group(small.group.id, "AWS - EC2")
    small.step(minutes=40)
    user = small.world.identity_store.user(small.user_id_in_store(small.ada))
    assert (user.display_name, user.family_name) == ("Ada Lovelace", "Lovelace")
    assert small.builder.store_group(small.group).display_name == "AWS - EC2"


def test_a_group_outside_the_application_is_not_carried() -> None:
    small = small_world()
    other = small.builder.group("Not for AWS")
    small.builder.member(other, small.ada)
    small.step(minutes=41)
    assert small.world.identity_store.find_group_by_external_id(other.id) is None
    small.world.directory.assign_to_application(other.id)
    small.step(minutes=40)
    assert small.in_aws(small.ada, other)


def test_nested_groups_are_never_carried() -> None:
    small = small_world()
    team = small.builder.group("Team")
    small.builder.member(team, small.bob)
    small.builder.member(small.group, team)
    small.step(minutes=41)
    assert small.builder.store_group(small.group).members == {}


def test_a_deleted_group_goes_with_its_account_assignments() -> None:
    small = small_world()
    assert small.world.identity_center.assignments()
    small.world.directory.delete_group(small.group.id)
    small.step(minutes=41)
    assert small.world.identity_store.find_group_by_name("AWS - Amazon EC2 Admin") is None
    assert small.world.identity_center.assignments() == []


def test_a_recreated_group_is_another_group_under_the_same_name() -> None:
    small = small_world()
    old = small.builder.store_group(small.group).id
    new = small.world.directory.recreate_group(small.group.id)
    small.step(minutes=41)
    found = small.world.identity_store.find_group_by_name(new.display_name)
    assert found is not None
    assert (found.external_id, found.id == old) == (new.id, False)


# ---------------------------------------------------------------- fast path


def test_an_activation_arrives_within_two_to_ten_minutes() -> None:
    small = small_world()
    activate(small, small.ada)
    small.step(minutes=1, seconds=59)
    assert not small.in_aws(small.ada)
    small.step(minutes=8, seconds=2)
    assert small.in_aws(small.ada)


@pytest.mark.parametrize("fast", [True, False])
def test_the_fast_path_for_applications_is_a_switch(fast: bool) -> None:
    small = small_world()
    small.world.switches.admin_assign_fast_path = fast
    small.assign(small.ada)
    small.step(minutes=11)
    assert small.in_aws(small.ada) == fast


def test_the_sixth_activation_within_ten_seconds_waits_for_the_cycle() -> None:
    small = small_world()
    people = []
    for number in range(6):
        user = small.builder.user(
            f"p{number}@acme.example", f"Person {number}", given_name="P", surname=str(number)
        )
        small.builder.member(small.baseline, user)
        small.builder.eligible(small.group, user)
        people.append(user)
    small.step(minutes=40)
    for user in people:
        activate(small, user)
    small.step(minutes=11)
    assert [small.in_aws(user) for user in people] == [True] * 5 + [False]
    small.step(minutes=40)
    assert small.in_aws(people[-1])


def test_a_fast_activation_that_ended_meanwhile_does_not_arrive() -> None:
    small = small_world()
    activate(small, small.ada)
    small.world.directory.remove_member(small.group.id, small.ada.id)
    small.step(minutes=11)
    assert not small.in_aws(small.ada)


@pytest.mark.parametrize("fast", [True, False])
def test_fast_removal_is_a_switch(fast: bool) -> None:
    small = small_world()
    small.world.switches.removal_fast_path = fast
    small.assign(small.ada, duration="PT10H")
    small.step(minutes=41)
    small.remove(small.ada)
    small.step(minutes=11)
    assert small.in_aws(small.ada) != fast


# ---------------------------------------------------------------- on demand


def test_on_demand_carries_at_once_and_says_what_it_did() -> None:
    small = small_world()
    small.assign(small.ada)
    answer = small.world.provisioning.on_demand([Subject(small.group.id, "Group", (small.ada.id,))])
    assert answer.key == {"result": "Success", "details": {}}
    assert answer.value["action"] == "Update"
    assert answer.value["modifiedProperties"][0]["newValue"] == small.ada.id
    assert [step["type"] for step in answer.value["provisioningSteps"]] == [
        "Import",
        "Matching",
        "Scoping",
        "Export",
    ]
    assert small.in_aws(small.ada)
    row = small.world.provisioning.log()[0]
    assert (row.source_id, row.status, row.on_demand) == (small.group.id, "success", True)


def test_on_demand_twice_is_redundant() -> None:
    small = small_world()
    small.assign(small.ada)
    on_demand(small, small.ada)
    answer = small.world.provisioning.on_demand([Subject(small.group.id, "Group", (small.ada.id,))])
    assert answer.key["result"] == "Skipped"
    assert answer.key["details"]["errorCode"] == "RedundantExport"
    assert answer.value == {}


@pytest.mark.parametrize("removes", [True, False])
def test_on_demand_and_ex_members_is_a_switch(removes: bool) -> None:
    small = small_world()
    small.world.switches.on_demand_removes = removes
    small.assign(small.ada, duration="PT10H")
    on_demand(small, small.ada)
    small.step(minutes=6)
    small.remove(small.ada)
    on_demand(small, small.ada)
    assert small.in_aws(small.ada) != removes


def test_on_demand_takes_one_group_and_five_members() -> None:
    small = small_world()
    with pytest.raises(WorldError) as caught:
        small.world.provisioning.on_demand([Subject(small.group.id), Subject(small.baseline.id)])
    assert caught.value.status == 400
    with pytest.raises(WorldError) as caught:
        on_demand(small, *[small.ada] * 6)
    assert caught.value.status == 400


def test_the_sixth_call_within_ten_seconds_is_throttled_until_the_first_is_ten_seconds_old() -> None:
    small = small_world()
    for _ in range(5):
        on_demand(small, small.ada)
        small.step(seconds=1)
    with pytest.raises(WorldError) as caught:
        on_demand(small, small.ada)
    assert (caught.value.status, caught.value.retry_after) == (429, 5)
    small.step(seconds=5)
    on_demand(small, small.ada)


@pytest.mark.parametrize("shared", [True, False])
def test_sharing_the_bucket_with_activations_is_a_switch(shared: bool) -> None:
    small = small_world()
    small.world.switches.on_demand_shares_bucket = shared
    for _ in range(5):
        on_demand(small, small.ada)
    activate(small, small.ada)
    small.step(minutes=11)
    assert small.in_aws(small.ada) != shared


def test_on_demand_out_of_scope_is_skipped() -> None:
    small = small_world()
    small.world.directory.unassign_from_application(small.group.id)
    assert on_demand(small, small.ada)["result"] == "Skipped"


def test_on_demand_with_a_rejected_token_fails() -> None:
    small = small_world()
    small.assign(small.ada)
    small.world.happen("scim_token_expired")
    assert on_demand(small, small.ada)["result"] == "Failure"
    assert not small.in_aws(small.ada)


def test_on_demand_for_a_person() -> None:
    small = small_world()
    small.world.directory.update_user(small.ada.id, display_name="Ada L.")
    subject = Subject(small.ada.id, "User")
    assert small.world.provisioning.on_demand([subject]).key["result"] == "Success"
    assert small.world.provisioning.on_demand([subject]).key["result"] == "Skipped"
    assert small.world.identity_store.user(small.user_id_in_store(small.ada)).display_name == "Ada L."


def test_on_demand_leaves_people_who_are_disabled_to_the_cycle() -> None:
    small = small_world()
    small.assign(small.ada)
    small.world.directory.set_enabled(small.ada.id, enabled=False)
    user = small.world.identity_store.user(small.user_id_in_store(small.ada))
    answer = small.world.provisioning.on_demand([Subject(small.ada.id, "User")]).key
    assert answer["result"] == "Skipped"
    assert "disabled" in answer["details"]["errorMessage"]
    on_demand(small, small.ada)
    assert user.active
    small.step(minutes=40)
    assert not user.active


def test_on_demand_disables_people_who_were_unassigned() -> None:
    small = small_world()
    small.world.directory.remove_member(small.baseline.id, small.ada.id)
    user = small.world.identity_store.user(small.user_id_in_store(small.ada))
    assert user.active
    assert small.world.provisioning.on_demand([Subject(small.ada.id, "User")]).key["result"] == "Success"
    assert not user.active


# ---------------------------------------------------------------- states of the job


def test_a_paused_job_carries_nothing_and_catches_up_when_started() -> None:
    small = small_world()
    small.world.provisioning.pause()
    small.assign(small.ada, duration="PT10H")
    small.step(hours=3)
    assert not small.in_aws(small.ada)
    assert small.world.state.job.code == "Paused"
    small.world.provisioning.start()
    assert small.in_aws(small.ada)
    small.step(minutes=40)
    assert last_cycle(small).began_at == START + timedelta(hours=3)


@pytest.mark.parametrize("triggers", [True, False])
def test_starting_a_running_job_is_a_switch(triggers: bool) -> None:
    small = small_world()
    small.world.switches.start_triggers_cycle = triggers
    small.assign(small.ada)
    small.world.provisioning.start()
    assert small.in_aws(small.ada) == triggers


def test_a_rejected_token_puts_the_job_into_quarantine_with_thinning_attempts() -> None:
    small = small_world()
    small.world.happen("scim_token_expired")
    small.assign(small.ada, duration="P2D")
    small.step(minutes=40)
    job = small.world.state.job
    assert job.code == "Quarantine"
    assert job.quarantine is not None
    assert job.quarantine.reason == "EncounteredQuarantineException"
    assert job.quarantine.next_attempt_at == START + timedelta(minutes=40, hours=6)
    assert job.last is not None
    assert job.last.state == "Failed"
    small.step(hours=6)
    assert job.quarantine.next_attempt_at == START + timedelta(minutes=40, hours=18)
    small.world.happen("scim_token_renewed")
    small.step(hours=12)
    assert job.code == "Active"
    assert small.in_aws(small.ada)


def test_four_weeks_of_quarantine_disable_the_job_until_it_is_restarted() -> None:
    small = small_world()
    small.world.happen("scim_token_expired")
    small.step(minutes=40)
    job = small.world.state.job
    waits = []
    while not job.disabled:
        assert job.quarantine is not None
        waits.append(job.quarantine.next_attempt_at - small.world.now())
        small.world.step(waits[-1])
    assert waits[:3] == [timedelta(hours=each) for each in (6, 12, 24)]
    assert set(waits[3:]) == {timedelta(days=1)}
    assert timedelta(days=28) <= small.world.now() - START < timedelta(days=30)
    assert job.next_cycle_at is None
    small.world.happen("scim_token_renewed")
    small.assign(small.ada, duration="P2D")
    small.step(days=1)
    assert not small.in_aws(small.ada)
    small.world.provisioning.restart("Watermark, Escrows, QuarantineState")
    small.step(minutes=1)
    assert small.in_aws(small.ada)
    assert not job.disabled


def test_reasons_of_a_quarantine_are_the_apis() -> None:
    small = small_world()
    for reason in REASONS:
        small.world.happen("quarantine", reason=reason)
        assert small.world.state.job.quarantine is not None
        assert small.world.state.job.quarantine.reason == reason
    with pytest.raises(ValueError, match="unknown reason 'Boredom'"):
        small.world.happen("quarantine", reason="Boredom")


def test_a_quarantine_asked_for_stays_until_it_is_lifted() -> None:
    small = small_world()
    small.world.happen("quarantine", reason="TooManyDeletes")
    small.assign(small.ada, duration="P2D")
    small.step(hours=30)
    assert small.world.state.job.code == "Quarantine"
    assert not small.in_aws(small.ada)
    small.world.happen("quarantine_lifted")
    assert small.world.state.job.code == "Active"
    assert small.in_aws(small.ada)


def test_a_restart_with_a_watermark_runs_an_initial_cycle() -> None:
    small = small_world()
    small.world.happen("quarantine")
    small.assign(small.ada, duration="P2D")
    small.world.provisioning.restart("Watermark, Escrows, QuarantineState")
    assert small.world.state.job.code == "Active"
    assert small.in_aws(small.ada)


@pytest.mark.parametrize("seconds", [0.0, 600.0])
def test_how_far_the_log_lags_behind_is_a_switch(seconds: float) -> None:
    small = small_world()
    small.world.switches.provisioning_log_seconds = seconds
    small.assign(small.ada)
    on_demand(small, small.ada)
    assert any(row.on_demand for row in small.world.provisioning.log()) is not bool(seconds)
    small.step(minutes=10)
    assert any(row.on_demand for row in small.world.provisioning.log())


@pytest.mark.parametrize("days", [7, 30])
def test_how_long_the_log_is_kept_is_a_switch(days: int) -> None:
    small = small_world()
    small.world.switches.provisioning_log_days = days
    assert small.world.provisioning.log()
    small.step(days=days)
    assert small.world.provisioning.log()
    small.step(hours=1)
    assert small.world.provisioning.log() == []


def test_a_year_passes_quickly_and_keeps_its_cycles() -> None:
    small = small_world()
    small.step(days=365)
    job = small.world.state.job
    assert job.next_cycle_at is not None
    assert timedelta() < job.next_cycle_at - small.world.now() <= timedelta(minutes=40)


def test_the_source_of_a_users_external_id_is_a_switch() -> None:
    small = small_world(provisioned=False)
    small.world.switches.user_external_id = "mailNickname"
    small.builder.provision()
    assert {user.external_id for user in small.world.identity_store.users()} == {"ada", "bob"}
    small.assign(small.ada)
    on_demand(small, small.ada)
    ada = small.world.identity_store.find_user_by_name("ada@acme.example")
    assert ada is not None
    assert small.world.identity_store.is_member(ada.id, small.builder.store_group(small.group).id)


def test_cycles_follow_the_interval_of_the_job() -> None:
    small = small_world()
    small.world.switches.job_interval = "PT10M"
    small.step(minutes=40)
    small.assign(small.ada)
    small.step(minutes=10)
    assert small.in_aws(small.ada)
