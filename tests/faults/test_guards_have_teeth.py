"""Each guard, taken out of a copy of the project: a test that is named here turns red. So does a proof for each bug.

The copy is changed as an editor would change it, and the tests run in it as they do here; where the change is one of the
database, with one that is migrated from the changed sources.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers import ROOT, SESSION_VARIABLE

pytestmark = pytest.mark.proof

PASSED, FAILED = 0, 1
# What migrations take their SQL from.
OF_THE_DATABASE = ("guards.py", "sql.py")
NOT_COPIED = (".*", "__pycache__", "staticfiles", "test-results", "docs", "benchmarks")


@dataclass(frozen=True)
class Mutation:
    """One guard taken out: `old`, which stands once in `file`, becomes `new`; `test` has to notice."""

    file: str
    old: str
    new: str
    test: str


DECIDING = "tests/requests_app/test_deciding.py"
GUARDS = "tests/requests_app/test_guards.py"
LIFE = "tests/requests_app/test_life_of_a_grant.py"
FAULTS = "tests/faults/test_world_faults.py"

MUTATIONS = {
    "eligibility, when it is asked for": Mutation(
        "requests_app/actions/submitting.py",
        "if group is None or not eligibilities:",
        "if group is None:",
        "tests/requests_app/test_submitting.py::test_a_group_without_eligibility_is_as_absent_as_none",
    ),
    "eligibility, before a decision counts": Mutation(
        "requests_app/actions/granting.py",
        "if not eligibility.held:",
        "if False:",
        f"{DECIDING}::test_a_decision_is_refused",
    ),
    "eligibility, before anything is sent": Mutation(
        "requests_app/actions/steps/rechecking.py",
        "    if not fresh_eligibility(grant.person.object_id, grant.group.object_id).held:\n"
        '        return f"You are no longer eligible for this PIM group, {so}. Ask its owner for a new eligibility."\n'
        "    if grown := grown_beyond(grant):",
        "    if grown := grown_beyond(grant):",
        f"{FAULTS}::test_the_eligibility_ends_between_approval_and_start",
    ),
    "self-approval, on the page": Mutation(
        "requests_app/permissions.py",
        "if same_human(person, item.requester):",
        "if False:",
        f"{DECIDING}::test_nobody_decides_on_their_own_request",
    ),
    "self-approval, in the worker": Mutation(
        "requests_app/actions/objecting.py",
        "if same_human(decision.approver, item.requester):",
        "if False:",
        f"{DECIDING}::test_two_accounts_that_are_linked_after_the_directory_was_asked",
    ),
    "self-approval, as the directory knows it": Mutation(
        "requests_app/actions/deciders.py",
        "if decision.item.requester.mark in own:",
        "if False:",
        f"{DECIDING}::test_accounts_that_the_directory_links_and_no_sync_has_read_are_one_person",
    ),
    "self-approval, in the database": Mutation(
        "requests_app/guards.py",
        "other.id = NEW.approver_id",
        "false",
        f"{GUARDS}::test_nobody_decides_on_their_own_request_even_in_sql",
    ),
    "enough approvals, in the database": Mutation(
        "requests_app/waivers/guards.py",
        "(stage.says ->> 'quorum')::int > (",
        "0 > (",
        f"{GUARDS}::test_no_item_is_approved_without_the_words_that_its_terms_demand",
    ),
    "the right to go without an approval, in the worker": Mutation(
        "requests_app/waivers/settling.py",
        "if all(_names_now(named, who) for named in emergency.allowed):",
        "if True:",
        "tests/requests_app/test_waivers.py::test_the_right_to_it_is_read_afresh",
    ),
    "nobody reviews their own, in the database": Mutation(
        "requests_app/waivers/guards.py",
        "WHERE whose.id = NEW.person_id AND other.id IN (NEW.reviewed_by_id, NEW.lifted_by_id)",
        "WHERE false",
        "tests/requests_app/test_emergency_reviews.py::test_postgres_refuses_what_no_action_does",
    ),
    "transition trigger: edges": Mutation(
        "requests_app/guards.py",
        "IF movers IS NULL THEN",
        "IF false THEN",
        f"{GUARDS}::test_raw_sql_can_not_skip_a_state",
    ),
    "transition trigger: who moves": Mutation(
        "requests_app/guards.py",
        "IF NOT current_user = ANY (movers) THEN",
        "IF false THEN",
        f"{GUARDS}::test_web_can_not_approve",
    ),
    "audit trigger: an event for every version": Mutation(
        "audit/ledger/sql.py",
        "IF NOT EXISTS (SELECT FROM public.audit_version",
        "IF false AND NOT EXISTS (SELECT FROM public.audit_version",
        "tests/audit/ledger/test_guards.py::test_no_change_without_its_event",
    ),
    "read-back of the assignment in Entra": Mutation(
        "requests_app/actions/steps/activating.py",
        "    if view.ours is not None:\n        _found_ours(claim, view)",
        "    if view.ours is None and claim.grant.pim_schedule_id:\n"
        "        with settle(claim) as grant:\n"
        "            move(grant, GrantStatus.PROVISIONING, actor=Actor.worker(), fields={"
        '"group_name": "", "pim_request_id": "", "pim_schedule_id": "", "vendor_request_id": "", '
        '"ends_at": grant.ends_at})\n'
        "            rest(grant, until=business_now())\n"
        "    elif view.ours is not None:\n        _found_ours(claim, view)",
        f"{FAULTS}::test_a_single_stale_read_after_the_assignment",
    ),
    "read-back of the arrival in AWS": Mutation(
        "requests_app/actions/steps/provisioning.py",
        "    elif view.member:",
        "    elif True:",
        f"{LIFE}::test_without_on_demand_provisioning_the_cycle_brings_it",
    ),
    "a second look, before what is missing in Entra is called over": Mutation(
        "requests_app/actions/steps/removing.py",
        "        elif now < grant.ends_at and missing and not replaced and _in_doubt(grant, now):",
        "        elif False:",
        "tests/requests_app/test_awkward_moments.py::test_a_single_answer_that_lacks_it_ends_nothing",
    ),
    "a second look, before what nobody asked PIM to remove is called out of Entra": Mutation(
        "requests_app/actions/steps/removing.py",
        "        elif _comes_unasked(grant, view, now) and _in_doubt(grant, now):",
        "        elif False:",
        "tests/requests_app/test_awkward_moments.py"
        "::test_a_single_answer_that_lacks_it_proves_no_removal_that_nobody_asked_for",
    ),
    "read-back of the removal from Entra": Mutation(
        "requests_app/actions/steps/removing.py",
        "    if view.ours is None:",
        "    if True:",
        f"{LIFE}::test_done_early_waits_for_the_fifth_minute_and_says_so",
    ),
    "read-back of the removal from AWS": Mutation(
        "requests_app/actions/steps/proving.py",
        "    now = business_now()\n    if view.member:",
        "    now = business_now()\n    if False:",
        f"{LIFE}::test_from_the_click_to_the_proof_of_its_end",
    ),
    "pacing, of approvals that are passed on": Mutation(
        "requests_app/actions/steps/passing.py",
        "    place = attempts.place_to_complete(claim.grant, PathKind.ASSIGN)\n    if isinstance(place, Wait):",
        "    place = None\n    if False:",
        "tests/requests_app/test_narrow_path.py::test_approvals_that_are_passed_on_late_keep_to_it_too",
    ),
    "the lease, before anything is sent": Mutation(
        "requests_app/actions/attempts.py",
        "if real_now() >= claim.until:",
        "if False:",
        "tests/races/test_leases.py::test_where_pim_draws_on_no_narrow_path_the_lease_alone_holds_it_back",
    ),
}


SWEEP = "tests/faults/test_crash_sweep.py::test_a_worker_dies_at_every_point"
AS_PERSON = "tests/faults/test_personal_sweep.py::test_a_worker_dies_at_every_point[as the person]"
EMERGENCIES = "tests/faults/test_emergency_sweep.py::test_a_worker_dies_at_every_point"
ANYTHING = "tests/faults/test_anything_in_any_order.py::test_an_example_that_chance_seldom_makes"
LEAVES = "tests/faults/test_anything_in_any_order.py::test_an_approver_who_leaves_before_a_start_that_was_asked_for"


def sweep(fault: str) -> str:
    """One batch of the crash sweep."""
    return f"{SWEEP}[{fault}, broker for even ones]"


# Mistakes that are easily made; the crash sweep or the machine that does anything has to find each.
BUGS = {
    "no sweeper": Mutation(
        "requests_app/actions/sweeping.py",
        "grants=tuple(grants)",
        "grants=()",
        sweep("none"),
    ),
    "the event outside the transaction": Mutation(
        "requests_app/actions/attempts.py",
        '        _record(grant, f"{_EVENTS[kind]}_sent", call_id or str(attempt.pk), sent)\n',
        '    crash_point("write.intent_recorded")\n    with transaction():\n'
        '        _record(grant, f"{_EVENTS[kind]}_sent", call_id or str(attempt.pk), sent)\n',
        sweep("none"),
    ),
    "the end is computed anew at each try": Mutation(
        "requests_app/actions/steps/activating.py",
        "        ends_at=grant.ends_at - (mine.shorter_by",
        "        ends_at=business_now() + (grant.ends_at - grant.starts_at) - (mine.shorter_by",
        sweep("none"),
    ),
    "a foreign assignment is adopted": Mutation(
        "requests_app/actions/steps/seeing.py",
        "return assignment.schedule_id in ours_ids or any(_same_end(assignment, end) for end in ends)",
        "return True",
        sweep("others have assigned it"),
    ),
    "that it exists is taken for success": Mutation(
        "requests_app/actions/steps/activating.py",
        "    match error:\n        case errors.NotPermitted():",
        "    match error:\n        case errors.AlreadyAssigned():\n"
        "            with settle(claim) as grant:\n"
        "                move(grant, GrantStatus.PROVISIONING, actor=Actor.worker(), fields={"
        '"group_name": "", "pim_request_id": "", "pim_schedule_id": "", "vendor_request_id": "", '
        '"ends_at": grant.ends_at})\n'
        "                rest(grant, until=business_now())\n"
        "        case errors.NotPermitted():",
        sweep("others have assigned it"),
    ),
    "the end of the window is believed": Mutation(
        "requests_app/actions/steps/removing.py",
        "    if view.ours is None:",
        "    if True:",
        sweep("PIM ends it late"),
    ),
    "the approver's right is not asked for again": Mutation(
        "requests_app/actions/deciders.py",
        "    if not 0 <= decision.stage < len(stages) or not checking.fresh_right_to_decide(\n"
        "        whose.object_id, stages[decision.stage].approvers\n    ):",
        "    if not 0 <= decision.stage < len(stages):",
        ANYTHING,
    ),
    "an approval stands although its approver has left": Mutation(
        "requests_app/actions/steps/rechecking.py",
        "    if fallen := fallen_approval(items_beyond(grant, done)):",
        '    if fallen := "":',
        LEAVES,
    ),
    "what the start was told is believed for ever": Mutation(
        "requests_app/actions/steps/activating.py",
        "    if problem := recheck(claim):",
        '    if problem := "":',
        sweep("the person is disabled while Entra asks to wait"),
    ),
    "no pacing": Mutation(
        "requests_app/actions/pathing.py",
        "if kind == PathKind.ASSIGN and not settings.NARROW_PATH_SHARED_WITH_PIM:",
        "if True:",
        sweep("none"),
    ),
    "the portal assigns what is the person's to ask for": Mutation(
        "requests_app/actions/steps/activating.py",
        "    if mine is None:\n",
        "    if True:\n",
        AS_PERSON,
    ),
    "an emergency is settled without its review": Mutation(
        "requests_app/waivers/settling.py",
        "        owe_reviews(waiver, item)",
        "        pass",
        EMERGENCIES,
    ),
    "what can't be read lets an emergency through": Mutation(
        "requests_app/waivers/settling.py",
        "    refusal, bounds, passed = _check(waiver)\n",
        "    try:\n        refusal, bounds, passed = _check(waiver)\n"
        '    except Exception:\n        refusal, bounds, passed = "", UNBOUNDED, ()\n',
        EMERGENCIES,
    ),
    "a lost answer is taken for a refusal": Mutation(
        "requests_app/actions/steps/activating.py",
        "        case errors.OutcomeUnknown():\n            _postpone(claim, error)",
        "        case errors.OutcomeUnknown():\n            _settled_write(claim)\n"
        '            _stop(claim, code="lost", problem=error.sentence)',
        sweep("answer lost"),
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files, without what is installed or made."""
    target = tmp_path_factory.mktemp("copy") / "portal"
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*NOT_COPIED))
    # Compiled once; a file that was changed within the same second isn't taken for the one that was compiled.
    compiled = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash", str(target)]
    subprocess.run([sys.executable, *compiled], check=True)
    return target


def run_tests(folder: Path, *tests: str, migrated: bool = False) -> subprocess.CompletedProcess[str]:
    """The named tests in `folder`: with this session's servers, or where it has to be `migrated` with others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    if migrated:
        kept.pop(SESSION_VARIABLE)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *tests],
        cwd=folder,
        env=kept | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.proof(about=200)
def test_as_it_is_they_are_green(copy: Path) -> None:
    result = run_tests(copy, *sorted({each.test for each in (*MUTATIONS.values(), *BUGS.values())}))
    assert result.returncode == PASSED, result.stdout[-3000:] + result.stderr[-1000:]


@pytest.mark.parametrize("guard", MUTATIONS)
def test_without_a_guard_a_test_is_red(copy: Path, guard: str) -> None:
    _is_noticed(copy, MUTATIONS[guard])


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(copy: Path, bug: str) -> None:
    _is_noticed(copy, BUGS[bug])


def _is_noticed(copy: Path, mutation: Mutation) -> None:
    path = copy / mutation.file
    before = path.read_text()
    assert before.count(mutation.old) == 1, f"{mutation.file} has changed: {mutation.old!r}"
    path.write_text(before.replace(mutation.old, mutation.new))
    try:
        result = run_tests(copy, "--exitfirst", mutation.test, migrated=path.name in OF_THE_DATABASE)
    finally:
        path.write_text(before)
    assert result.returncode == FAILED, result.stdout[-3000:] + result.stderr[-1000:]
    name = mutation.test.rpartition("::")[2].partition("[")[0]
    assert re.search(rf"^FAILED \S*::{name}\b", result.stdout, re.MULTILINE), result.stdout[-3000:]
