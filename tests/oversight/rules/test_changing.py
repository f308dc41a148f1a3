"""A change of the rules: proposed by one operator, accepted by another human, applied as a whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django_subatomic import db as subatomic

from audit.ledger.models import Event
from audit.ledger.recorder import Subject, record
from base import crash
from base.clock import business_now
from base.errors import Conflict, Denied, DomainError, Invalid, Missing
from identity.models import Person
from oversight.rules import applying, pages, reading, unexplained
from oversight.rules.applying import carry_changes, load_first
from oversight.rules.interests import named_by_proposals
from oversight.rules.models import RuleChange, RuleEffect
from oversight.rules.proposing import accept, reject, withdraw
from oversight.rules.state import in_force
from oversight.rules.told import rules_digest
from oversight.rules.unexplained import unexplained_changes
from oversight.rules.working_out import work_out_slice
from policy.document import parse_document
from policy.models import Rule, RuleVersion
from tests.oversight.rules.conftest import Desk, load, wording
from tests.requests_app import factories as make
from tests.support.stage import Died

pytestmark = pytest.mark.django_db
WHY = "The auditors asked for it"


def say(action: Any, desk: Desk, change: RuleChange, who: Person, reason: str = WHY) -> None:
    with desk.as_role("portal_web"):
        action(change_id=change.pk, person_id=who.pk, reason=reason, actor=make.actor(who))


def status_of(change: RuleChange) -> str:
    return RuleChange.objects.values_list("status", flat=True).get(pk=change.pk)


def events() -> list[str]:
    found = Event.objects.filter(type__startswith="rule").order_by("id")
    return list(found.values_list("type", flat=True))


def test_a_change_is_applied_once_another_operator_accepts_it(desk: Desk) -> None:
    old = desk.world.rule.rule.name
    before = in_force()
    change = desk.propose({old: None, "New": wording(desk.world.ben, longest_duration="PT2H")})
    assert in_force() == before
    assert carry_changes() == 0, "what nobody has accepted is not applied"
    say(accept, desk, change, desk.otto)
    assert in_force() == before, "the web process writes no rule"
    assert carry_changes() == 1
    change.refresh_from_db()
    assert change.status == "applied"
    assert sorted(change.wrote) == [["New", "created", 1], [old, "retired", 1]]
    assert list(in_force()[1].items()) == [("New", 1)]
    assert RuleVersion.objects.get(rule__name="New").created_by == f"change {change.pk}"
    assert events() == [
        "rules.proposed",
        "rules.accepted",
        "rule.versioned",
        "rule.retired",
        "rules.applied",
    ]
    proposed = Event.objects.get(type="rules.proposed").data["fields"]
    assert proposed["rules"] == f"added New; retired {old}"
    assert proposed["wording"][old] is None
    assert carry_changes() == 0
    assert list(unexplained_changes(None)) == []
    assert list(unexplained_changes(business_now())) == []


# A rule that stays as it is, one that goes and one that comes were written.
OTHER_LISTS = (
    "wrote - 0",
    "wrote || jsonb_build_array(wrote -> 0)",
    "jsonb_set(wrote, '{0,0}', '\"New\"')",
    """jsonb_set(wrote, '{0,1}', '"new version"')""",
    "jsonb_set(wrote, '{0,2}', '9')",
    "jsonb_set(wrote, '{1,2}', '9')",
    "jsonb_set(wrote, '{2,2}', '9')",
    """jsonb_set(wrote, '{1,1}', '"new version"')""",
    """jsonb_set(wrote, '{1,1}', '"kept"')""",
    """jsonb_set(wrote, '{1,3}', '"more"', true)""",
    """wrote || '[["New", "unchanged", null]]'""",
    """wrote || '[["Z", "unchanged", 9]]'""",
    """wrote || '[["X"]]'""",
    "wrote || jsonb_build_array(wrote -> 1)",
    "wrote - 1",
    "wrote - 2",
    "'{}'",
)


def test_what_it_wrote_is_what_the_rules_own_events_say(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (old,) = in_force()[0]
    say(accept, desk, desk.propose({"Kept": wording(desk.world.ben)}), desk.otto)
    carry_changes()
    change = desk.propose({"New": wording(desk.world.ben), old: None})
    say(accept, desk, change, desk.otto)
    carry_changes()
    change.refresh_from_db()
    assert change.wrote == [["Kept", "unchanged", 1], ["New", "created", 1], [old, "retired", 1]]
    assert list(unexplained_changes(None)) == []
    passed: list[str] = []
    statement, table = unexplained._WROTE, "public.oversight_rulechange"
    for other in OTHER_LISTS:
        # No role of the portal's may write it: the row is read as if somebody had.
        row = f"CASE id WHEN '{change.pk}' THEN {other} ELSE wrote END AS wrote"
        as_if = f"(SELECT id, version, rules, base, {row} FROM {table})"  # noqa: S608 - of the list above
        monkeypatch.setattr(unexplained, "_WROTE", statement.replace(table, as_if))
        if [each.sentence.split()[3] for each in unexplained_changes(None)] != [str(change.pk)]:
            passed.append(other)
    assert passed == []


def test_what_only_a_proposal_names_is_read_from_the_directory(desk: Desk) -> None:
    leads = make.oid()
    desk.propose({"New": {"stages": [{"groups": [leads]}], "applies_to": {"requester_groups": [make.oid()]}}})
    named = named_by_proposals()
    assert leads in named.groups
    assert len(named.groups) == 2
    assert desk.world.ben.object_id in named.people


@pytest.mark.parametrize("twin", [False, True])
def test_nobody_accepts_or_rejects_their_own_by_whatever_account(desk: Desk, twin: bool) -> None:
    change = desk.propose({"New": wording(desk.world.ben)})
    who = desk.operator("Pia Admin", employee_id=f"{desk.pia.employee_id.lower()} ") if twin else desk.pia
    for action in (accept, reject):
        with pytest.raises(Denied, match="second operator"):
            say(action, desk, change, who)
        status = "accepted" if action is accept else "rejected"
        with (
            desk.as_role("portal_web"),
            pytest.raises(IntegrityError, match="by a second operator"),
            transaction.atomic(),
        ):
            RuleChange.objects.filter(pk=change.pk).update(
                status=status, version=2, decided_by=who, decided_at=change.proposed_at, decision_reason="x"
            )
    with pytest.raises(Denied, match="Only who proposed"):
        say(withdraw, desk, change, desk.otto)
    say(withdraw, desk, change, who)
    assert status_of(change) == "withdrawn"
    with pytest.raises(Conflict, match="no longer open: withdrawn"):
        say(accept, desk, change, desk.otto)
    assert carry_changes() == 0


def test_only_enabled_operators_with_a_reason_have_a_word(desk: Desk) -> None:
    change = desk.propose({"New": wording(desk.world.ben)})
    with pytest.raises(Denied, match="Only operators"):
        say(accept, desk, change, desk.world.cy)
    with pytest.raises(Invalid, match="Say why"):
        say(accept, desk, change, desk.otto, reason=" ")
    Person.objects.filter(pk=desk.otto.pk).update(enabled=False)
    with pytest.raises(Denied, match="Only operators"):
        say(accept, desk, change, desk.otto)
    assert status_of(change) == "proposed"


@pytest.mark.parametrize("accepted", [False, True])
def test_what_was_made_from_other_rules_is_stale_and_says_what_to_do(desk: Desk, accepted: bool) -> None:
    first, second = (desk.propose({name: wording(desk.world.ben)}) for name in ("One", "Two"))
    say(accept, desk, first, desk.otto)
    if accepted:
        say(accept, desk, second, desk.otto)
    carry_changes()
    carry_changes()
    assert [status_of(each) for each in (first, second)] == ["applied", "stale"]
    assert "Two" not in in_force()[1]
    second.refresh_from_db()
    assert "Open it as a new proposal" in second.problem
    with pytest.raises(Conflict):
        say(accept, desk, second, desk.otto)


def test_a_stale_change_is_not_accepted_before_a_worker_has_seen_it(desk: Desk) -> None:
    change = desk.propose({"New": wording(desk.world.ben)})
    make.rule(desk.world.ben)
    with pytest.raises(Conflict, match="changed since this was proposed"):
        say(accept, desk, change, desk.otto)
    say(reject, desk, change, desk.otto)
    assert status_of(change) == "rejected"


def test_the_worker_judges_the_second_operator_again(desk: Desk) -> None:
    change = desk.propose({"New": wording(desk.world.ben)})
    say(accept, desk, change, desk.otto)
    Person.objects.filter(pk=desk.otto.pk).update(employee_id=desk.pia.employee_id)
    carry_changes()
    change.refresh_from_db()
    assert change.status == "stale"
    assert "yourself" in change.problem or "second operator" in change.problem
    assert "New" not in in_force()[1]


@pytest.mark.parametrize(
    ("error", "words"),
    [(Invalid("test", "A rule has no field moon."), "no field moon"), (TypeError(), "no rule can have")],
)
def test_what_this_release_can_not_read_is_closed_with_that_reason(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    change = desk.propose({"New": wording(desk.world.ben)})
    say(accept, desk, change, desk.otto)

    def unreadable(_: object) -> None:
        raise error

    monkeypatch.setattr(reading, "parse_document", unreadable)
    assert named_by_proposals().groups == frozenset()
    assert "can't read" in pages.change_page(pages.change_or_missing(change.pk)).doubts[0].sentence
    carry_changes()
    change.refresh_from_db()
    assert (change.status, words in change.problem) == ("stale", True)


def forge(desk: Desk, rules: Any) -> RuleChange:
    """What a web process writes past its own checks."""
    base = in_force()[1]
    with desk.as_role("portal_web"), subatomic.transaction():
        change = RuleChange.objects.create(
            rules=rules, base=base, proposed_by=desk.pia, proposed_at=business_now(), reason=WHY
        )
        record(
            "rules.proposed",
            actor=make.actor(desk.pia),
            subject=Subject("rule_change", change.pk, 1),
            fields={
                "change_id": change.pk,
                "rules": "anything",
                "rules_digest": rules_digest(change.pk),
                "wording": {},
                "base": base,
                "proposed_by": desk.pia.object_id,
                "restores": None,
            },
            words={"reason": WHY},
        )
    return change


def test_what_are_no_rules_is_closed_with_a_sentence_and_keeps_no_other_from_being_carried(
    desk: Desk,
) -> None:
    rule = wording(desk.world.ben)
    no_rules: dict[str, Any] = {
        "isn't rules by name": {"X": ["stages"]},
        "by name, each a mapping": {"X": rule, "Y": 5},
        "It isn't rules": {},
        "not a duration": {"X": {**rule, "lapses_after": "P99999999999D"}},
        "at most 128 characters": {"X" * 300_000: rule},
        "A worker couldn't apply": {"X": {**rule, "stages": [{"people": ["x" * 1_000_000]}]}},
    }
    forged = {words: forge(desk, rules) for words, rules in no_rules.items()}
    rejected, honest = forge(desk, {"X": 5}), desk.propose({"New": rule})
    assert desk.world.ben.object_id in named_by_proposals().people
    for _ in range(3 * len(forged) + 9):
        RuleEffect.objects.update(lease_until=None)
        work_out_slice()
    assert RuleEffect.objects.get(change=honest).status == "done"
    say(reject, desk, rejected, desk.otto)
    for change in [*forged.values(), honest]:
        assert pages.change_page(pages.change_or_missing(change.pk)).change == change
        say(accept, desk, change, desk.otto)
    assert carry_changes() == len(forged) + 1
    for words, change in forged.items():
        change.refresh_from_db()
        assert (change.status, words in change.problem) == ("stale", True), change.problem
    assert [status_of(each) for each in (rejected, honest)] == ["rejected", "applied"]
    told = Event.objects.filter(type="rules.not_applied").order_by("id").values_list("data", flat=True)
    assert [each["fields"]["rules"] for each in told][:2] == [reading.UNREADABLE] * 2
    connection.check_constraints()


def test_all_of_a_change_is_applied_or_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    change = desk.propose({"New": wording(desk.world.ben), desk.world.rule.rule.name: None})
    say(accept, desk, change, desk.otto)
    before = in_force()

    def refuse(*_: object, **__: object) -> None:
        raise DomainError("test", "The last step fails.")

    with monkeypatch.context() as patch:
        patch.setattr(applying, "_settle", refuse)
        assert carry_changes() == 0
    assert in_force() == before
    assert not Rule.objects.filter(name="New").exists()
    assert carry_changes() == 1
    assert "New" in in_force()[1]


@pytest.mark.parametrize(("point", "applied"), [("rules.before_applied", False), ("rules.applied", True)])
def test_a_worker_that_dies_leaves_all_of_a_change_or_nothing(desk: Desk, point: str, applied: bool) -> None:
    change = desk.propose({"New": wording(desk.world.ben), desk.world.rule.rule.name: None})
    say(accept, desk, change, desk.otto)
    before = in_force()

    def die(reached: str) -> None:
        if reached == point:
            raise Died(reached)

    crash.install(die)
    with pytest.raises(Died):
        carry_changes()
    crash.install(None)
    assert (in_force() == before) is not applied
    assert carry_changes() == int(not applied)
    assert (status_of(change), list(in_force()[1])) == ("applied", ["New"])
    assert Event.objects.filter(type="rules.applied").count() == 1


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({}, Invalid, "nothing would change"),
        ({"base": {"Other": 1}}, Conflict, "changed since you opened"),
        ({"reason": ""}, Invalid, "Say why"),
        ({"restores": "00000000-0000-4000-8000-000000000000"}, Missing, "no such change"),
    ],
)
def test_what_can_not_be_proposed_is_refused(
    desk: Desk, changed: dict[str, Any], error: type[DomainError], words: str
) -> None:
    with pytest.raises(error, match=words):
        desk.propose({} if not changed else {"New": wording(desk.world.ben)}, **changed)
    assert not RuleChange.objects.exists()


def test_what_no_event_can_hold_is_refused_in_words(desk: Desk) -> None:
    many = {f"Rule {number} {'x' * 100}": wording(desk.world.ben) for number in range(800)}
    with pytest.raises(Invalid, match="Propose it in parts"):
        desk.propose(many)
    some = dict(list(many.items())[:50])
    desk.propose(some)
    told = Event.objects.get(type="rules.proposed").data["fields"]["rules"]
    assert told.endswith(" and 30 more")


def test_going_back_is_a_proposal_of_the_rules_of_then(desk: Desk) -> None:
    states = []
    for number in range(2):
        change = desk.propose({"New": wording(desk.world.ben, shortest_justification=20 + number)})
        say(accept, desk, change, desk.otto)
        carry_changes()
        states.append((change, in_force()[0]))
    (first, then), _ = states
    back = desk.propose(first.rules, restores=first.pk)
    say(accept, desk, back, desk.otto)
    carry_changes()
    assert in_force()[0] == then
    assert in_force()[1]["New"] == 3, "an old wording comes back as a version of its own"
    assert Event.objects.filter(type="rules.proposed").latest("id").data["fields"]["restores"] == str(
        first.pk
    )


def test_the_very_first_rules_are_loaded_by_a_command_once(db: None) -> None:
    ben = make.person("Ben Boss")
    load({"First": wording(ben)})
    (change,) = RuleChange.objects.all()
    assert (change.status, change.proposed_by, change.wrote) == ("applied", None, [["First", "created", 1]])
    assert events() == ["rule.versioned", "rules.loaded"]
    assert load_first({"Second": parse_document(wording(ben))}, reason=WHY) is None
    assert list(in_force()[1]) == ["First"]


# ------------------------------------------------------------ what Postgres holds by itself


@pytest.mark.parametrize(
    ("role", "values", "words"),
    [
        ("portal_web", {"status": "applied", "version": 2}, "no step|permission denied|may not|violates"),
        ("portal_worker", {"status": "accepted", "version": 2}, "may not move"),
        ("portal_worker", {"status": "applied", "version": 2}, "no step"),
        ("portal_web", {"status": "rejected", "version": 3}, "no step"),
        ("portal_web", {"rules": {}}, "permission denied"),
        ("portal_worker", {"base": {}}, "permission denied"),
    ],
)
def test_no_process_takes_a_step_that_is_not_its_own(
    desk: Desk, role: str, values: dict[str, Any], words: str
) -> None:
    change = desk.propose({"New": wording(desk.world.ben)})
    with desk.as_role(role), pytest.raises(DatabaseError, match=words), transaction.atomic():
        RuleChange.objects.filter(pk=change.pk).update(**values)


def test_no_process_inserts_what_is_decided_already(desk: Desk) -> None:
    first = desk.propose({"New": wording(desk.world.ben)})
    values = {"rules": {}, "base": {}, "proposed_at": first.proposed_at, "reason": WHY}
    for role, more in (
        ("portal_worker", {"status": "applied", "settled_at": first.proposed_at}),  # not the very first
        ("portal_web", {"status": "accepted", "proposed_by": desk.pia, "decided_by": desk.otto}),
        ("portal_web", {"status": "proposed"}),  # of nobody
    ):
        with desk.as_role(role), pytest.raises(DatabaseError, match=r"begins|violates"), transaction.atomic():
            RuleChange.objects.create(**values, **more)


DEEP = "replace('{\"N\": 0}', '0', repeat('[', 40) || repeat(']', 40))"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("wrote", '\'[["New", "created", 1]]\''),
        ("wrote", "'{}'"),
        ("problem", "'None'"),
        ("decided_at", "proposed_at"),
        ("decision_reason", "'Yes'"),
        ("rules", "'[\"New\"]'"),
        ("rules", "'null'"),
        ("base", "'1'"),
        ("rules", "concat('{\"N\": ', repeat('9', 5000), '}')"),
        ("rules", DEEP),
    ],
)
def test_a_proposal_begins_as_rules_and_with_nothing_come_of_it(desk: Desk, column: str, value: str) -> None:
    desk.propose({"New": wording(desk.world.ben)})
    names = [str(each.column) for each in RuleChange._meta.concrete_fields]
    cast = RuleChange._meta.get_field(column).db_type(connection)
    other = {"id": "gen_random_uuid()", column: f"({value})::{cast}"}
    columns, values = ", ".join(names), ", ".join(other.get(each, each) for each in names)
    statement = f"INSERT INTO oversight_rulechange ({columns}) SELECT {values} FROM oversight_rulechange"  # noqa: S608 - of the list above
    with (
        desk.as_role("portal_web"),
        pytest.raises(IntegrityError, match="rule change: begins"),
        transaction.atomic(),
    ):
        connection.cursor().execute(statement)


def test_a_step_without_its_event_is_refused(desk: Desk) -> None:
    change = desk.propose({"New": wording(desk.world.ben)})
    with desk.as_role("portal_web"):
        RuleChange.objects.filter(pk=change.pk).update(
            status="rejected",
            version=2,
            decided_by=desk.otto,
            decided_at=change.proposed_at,
            decision_reason="x",
        )
    with pytest.raises(IntegrityError, match="No audit event"):
        connection.check_constraints()
    transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("name", "other"),
    [("rules_digest", "0" * 64), ("changed_wording", {"New": {}}), ("", None)],
)
def test_what_is_proposed_and_decided_is_what_its_event_says(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, other: object
) -> None:
    rules = {"New": wording(desk.world.ben)}
    if name:
        monkeypatch.setattr(f"oversight.rules.proposing.{name}", lambda *_: other)
        desk.propose(rules)
    else:
        change = desk.propose(rules)
        connection.check_constraints()
        with desk.as_role("portal_web"):
            reject(change_id=change.pk, person_id=desk.otto.pk, reason=WHY, actor=make.actor(desk.pia))
    with pytest.raises(IntegrityError, match="says what"):
        connection.check_constraints()
    transaction.set_rollback(True)
