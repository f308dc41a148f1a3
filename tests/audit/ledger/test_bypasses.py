"""Every guarded table, and every way around the application: refused, or found as unexplained.

Django's admin and shell have no ways of their own: they save, update and delete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Model, ProtectedError
from psycopg.types.json import Jsonb

from audit.api.tokens import make_token
from audit.history.models import SavedSearch
from audit.history.saving import save_search
from audit.history.unexplained import unexplained_searches
from audit.ledger.unexplained import attached, unexplained
from audit.ledger.watched import unexplained_rows, watching
from base.clock import business_now, real_now
from catalog.models import PimGroup
from catalog.modes import set_mode
from identity.absences.declaring import declare
from identity.models import Person
from notifications.preferring import change_preferences
from oversight.expiries import record_scim_token_end
from oversight.rules.proposing import propose, reject
from oversight.rules.unexplained import unexplained_changes
from policy.document import parse_document
from requests_app.actions import freezing
from requests_app.actions.conversing import remark
from requests_app.freezes.models import Freeze
from reviews.campaigns import start_campaign
from reviews.deciding import decide as judge
from reviews.models import Campaign, ReviewEntry
from tests.oversight.rules.conftest import wording
from tests.requests_app import factories as make
from tests.requests_app.emergencies import in_emergency, let_through
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]
# Of each there is a row below.
KINDS = frozenset(
    {"request", "item", "decision", "grant", "remark", "freeze", "finding", "absence", "rule_change"}
)
# The watched tables, which have no versions: what somebody would change in a row, and what a row of its own would have.
WATCHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "audit_api_apitoken": ({"name": "Other"}, {"digest": "0" * 64}),
    "catalog_pimgroup": ({"as_person": False}, {"object_id": str(uuid4())}),
    "history_savedsearch": ({"shared": True}, {"name": "Another"}),
    "identity_activationmode": ({"as_person": False}, {"group_object_id": str(uuid4())}),
    "identity_user": ({"app_roles": ["Auditor", "Operator"]}, {"person_id": 0, "subject": "another"}),
    "notifications_preference": ({"language": "en"}, {"person_id": 0}),
    "oversight_expiry": ({"ends_at": datetime(2999, 1, 1, tzinfo=UTC)}, {"name": "another"}),
    "reviews_campaign": ({"due_on": date(2999, 1, 1)}, {}),
    "reviews_reviewentry": ({"verdict": "remove"}, {"person_id": 0}),
}
type Way = Callable[[Any], object]


def watched() -> Iterator[type[Model]]:
    """The models of the watched tables, by the declared events."""
    models = {model._meta.db_table: model for model in apps.get_models()}
    tables = [each.of.table for each in watching()]
    assert set(tables) == set(WATCHED)
    return (models[table] for table in tables)


def guarded() -> Iterator[tuple[str, type[Model]]]:
    """The kinds whose tables need an event for each version, with their models, from the database's own triggers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger "
            "WHERE tgfoid = 'public.audit_require_event'::regproc"
        )
        tables = {table for (table,) in cursor.fetchall()}
    models = {model._meta.db_table: model for model in apps.get_models()}
    kinds = {each.table: each.kind for each in attached() if each.counts_from_one}
    assert set(kinds) == tables
    return ((kinds[table], models[table]) for table in sorted(tables))


def populate(as_role: AsRole) -> None:
    """A row of each."""
    person, boss, group = make.person(), make.person(), make.pim_group()
    version = make.rule(boss, groups=(group,))
    with as_role("portal_web"):
        item = make.pending_item(person, group, version)
        remark(item_id=item.pk, person_id=boss.pk, words="Why?", actor=make.actor(boss))
        make.submitted_decision(item, boss)
        make.login(person, "Operator")
        change = propose(
            rules={"New": parse_document(wording(boss))},
            person_id=person.pk,
            reason="Fewer rules",
            actor=make.actor(person),
        )
        make.login(second := make.person(), "Operator")
        reject(change_id=change, person_id=second.pk, reason="We need them", actor=make.actor(second))
        freezing.freeze(
            kind=Freeze.Kind.PERSON,
            subject=boss.object_id,
            person_id=person.pk,
            reason="Stolen",
            actor=make.actor(person),
        )
        ends = business_now() + timedelta(days=1)
        declare(
            person_id=boss.pk,
            delegate_id=None,
            begins_at=None,
            ends_at=ends,
            by_id=boss.pk,
            actor=make.actor(boss),
        )
    make.scheduled_grant(item)
    make.finding(person, group)
    settings_of(person, boss, group, as_role)
    drilled = in_emergency(person, make.pim_group(), boss, as_role, drill=True)
    let_through(drilled)


def settings_of(person: Person, boss: Person, group: PimGroup, as_role: AsRole) -> None:
    """A row of each that is watched."""
    actor = make.actor(person)
    set_mode(group.object_id, as_person=True, reason="PIM's own policy shall hold")
    make.eligibility(person, group)
    with as_role("portal_web"):
        change_preferences(person=person, language="de", time_zone="UTC", digest="never", off=[], actor=actor)
        make_token(owner=person, name="SIEM", scopes=["events"], lasts=timedelta(days=1), actor=actor)
        save_search(owner=boss, name="Mine", kept={"outcome": "failed"}, shared=False, actor=make.actor(boss))
        day = real_now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=9)
        record_scim_token_end(day=day, by=person, actor=actor)
        review = start_campaign(
            name="Autumn", due_on=business_now().date(), begins="", by=person, actor=actor
        )
        entries = ReviewEntry.objects.filter(campaign=review).values_list("pk", flat=True)
        words = {"verdict": "keep", "reason": "Still on call"}
        judge(campaign_id=review, entry_ids=[*entries], by=boss, actor=make.actor(boss), **words)


def raw(statement: str, row: Model) -> None:
    table = connection.ops.quote_name(row._meta.db_table)
    columns = ", ".join(
        connection.ops.quote_name(field.column or "") for field in row._meta.concrete_fields[1:]
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.format(table=table, columns=columns), [row.pk])


def saved(row: Any) -> None:
    row.version += 1
    row.save()


def bulk_updated(row: Any) -> None:
    row.version += 1
    type(row).objects.bulk_update([row], ["version"])


def copied(row: Any) -> None:
    row.pk, row.version = uuid4(), 1
    type(row).objects.bulk_create([row])


WAYS: dict[str, Way] = {
    "update()": lambda row: type(row).objects.filter(pk=row.pk).update(version=F("version") + 1),
    "save()": saved,
    "bulk_update()": bulk_updated,
    "bulk_create()": copied,
    "delete()": lambda row: row.delete(),
    "raw update": lambda row: raw("UPDATE {table} SET version = version + 1 WHERE id = %s", row),
    "raw insert": lambda row: raw(
        "INSERT INTO {table} (id, {columns}) SELECT gen_random_uuid(), {columns} FROM {table} WHERE id = %s",
        row,
    ),
    "raw delete": lambda row: raw("DELETE FROM {table} WHERE id = %s", row),
}


def altered(row: Any, values: dict[str, Any]) -> Any:
    for name, value in values.items():
        setattr(row, name, value)
    return row


def raw_of(row: Any, statement: str, values: dict[str, Any]) -> None:
    """As the driver sends it, `values` included."""
    changes = ", ".join(f"{name} = %s" for name in values)
    with connection.cursor() as cursor:
        cursor.execute(statement.format(row._meta.db_table, changes), [*map(sent, values.values()), row.pk])


def sent(value: Any) -> Any:
    """A value as the driver takes it."""
    return Jsonb(value) if isinstance(value, list) else value


type WatchedWay = Callable[[Any, dict[str, Any], dict[str, Any]], object]
WATCHED_WAYS: dict[str, WatchedWay] = {
    "update()": lambda row, other, _: type(row).objects.filter(pk=row.pk).update(**other),
    "save()": lambda row, other, _: altered(row, other).save(),
    "bulk_update()": lambda row, other, _: type(row).objects.bulk_update([altered(row, other)], [*other]),
    "bulk_create()": lambda row, _, own: type(row).objects.bulk_create([altered(row, {"pk": None, **own})]),
    "delete()": lambda row, *_: row.delete(),
    "raw update": lambda row, other, _: raw_of(row, "UPDATE {} SET {} WHERE id = %s", other),
    "raw delete": lambda row, *_: raw_of(row, "DELETE FROM {0} WHERE id = %s", {}),
}


def the_watched(model: type[Model]) -> Any:
    """The row of `settings_of`; of the PIM groups, that which isn't as groups are by themselves."""
    rows = model._default_manager.all()
    return (rows.filter(as_person=True) if model is PimGroup else rows)[0]


def ways_around(role: str, as_role: AsRole) -> Iterator[str]:
    """Ways on which this role changed a watched row."""
    newcomer = make.person()
    for model in watched():
        other, own = WATCHED[model._meta.db_table]
        own = {name: newcomer.pk if name == "person_id" else value for name, value in own.items()}
        for way, act in WATCHED_WAYS.items():
            if way == "bulk_create()" and model in (SavedSearch, Campaign):
                own = {**own, "pk": uuid4()}
            with as_role(role):
                try:
                    with transaction.atomic():
                        act(the_watched(model), other, own)
                except (DatabaseError, ProtectedError):
                    continue
                yield f"{way} on {model._meta.db_table} as {role}"


@pytest.mark.usefixtures("committed_db")
def test_no_way_around_the_application_changes_a_guarded_table(as_role: AsRole) -> None:
    populate(as_role)
    tables = [(kind, model) for kind, model in guarded() if model._default_manager.exists()]
    assert {kind for kind, _ in tables} >= KINDS
    assert [*unexplained(), *unexplained_rows()] == []
    went = [way for role in ("portal_web", "portal_worker") for way in ways_around(role, as_role)]
    for kind, model in tables:
        for way, act in WAYS.items():
            for role in ("portal_web", "portal_worker"):
                with as_role(role):
                    try:
                        with transaction.atomic():
                            act(model._default_manager.all()[0])
                    except (DatabaseError, ProtectedError):
                        continue
                    went.append(f"{way} on {kind} as {role}")
    assert went == []
    assert [*unexplained(), *unexplained_rows()] == []


# What a superuser does who has switched every trigger of a table off.
UNEXPLAINED = {
    "change_unexplained": "UPDATE {} SET version = version + 1",
    "subject_set_back": "UPDATE {} SET version = version - 1",
    "subject_missing": "DELETE FROM {}",
}
BACK = {
    "change_unexplained": UNEXPLAINED["subject_set_back"],
    "subject_set_back": UNEXPLAINED["change_unexplained"],
}


def nothing_in_the_way(superuser: psycopg.Connection, table: str) -> None:
    superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    checks = superuser.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = %s::regclass", [table]
    ).fetchall()
    for (name,) in checks:
        superuser.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")


def test_what_was_done_past_the_guards_is_unexplained(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole
) -> None:
    populate(as_role)
    tables = [(kind, model) for kind, model in guarded() if kind in KINDS]
    with psycopg.connect(postgres_server.conninfo("postgres", committed_db), autocommit=True) as superuser:
        for _, model in tables:
            nothing_in_the_way(superuser, model._meta.db_table)
        what_the_owner_does_to_a_change_of_rules(superuser, as_role)
        superuser.execute("UPDATE requests_app_grant SET status = 'activating'")
        assert [each.code for each in unexplained()] == ["status_unexplained"]
        superuser.execute("UPDATE requests_app_grant SET status = 'scheduled'")
        for code, statement in UNEXPLAINED.items():
            for kind, model in tables:
                superuser.execute(statement.format(model._meta.db_table))
                with as_role("portal_sealer"):
                    found = [each for each in unexplained() if f"{kind} " in each.sentence]
                assert code in {each.code for each in found}, (kind, found)
                if code in BACK:
                    superuser.execute(BACK[code].format(model._meta.db_table))
                    assert list(unexplained()) == []
        what_the_owner_does_to_words(superuser, as_role)
        for model in watched():
            what_the_owner_does(superuser, model, as_role)


CHANGES_OF_RULES = (
    "rules = jsonb_set(rules, '{New,shortest_justification}', '1')",
    """rules = rules || '{"Another": {}}'""",
    """base = '{"Another": 1}'""",
    "proposed_by_id = decided_by_id",
    "reason = 'Because'",
    "status = 'withdrawn'",
    "status = 'proposed'",
    "decided_by_id = proposed_by_id",
    "decision_reason = 'Because'",
    "problem = 'Because'",
    """wrote = '[["New", "new version", 2]]'""",
    """wrote = wrote || '[["Z", "unchanged", 9]]'""",
    """wrote = wrote || '[["New", "unchanged", 1]]'""",
    """wrote = wrote || '[["X"]]'""",
    """wrote = wrote || '["anything"]'""",
    """wrote = wrote || '[{}, null]'""",
    "wrote = '{}'",
    "wrote = 'null'",
)


def what_the_owner_does_to_a_change_of_rules(superuser: psycopg.Connection, as_role: AsRole) -> None:
    """It says something else than what was proposed, or than who decided what."""
    with as_role("portal_web"):
        assert list(unexplained_changes(None)) == []
    for change in CHANGES_OF_RULES:
        superuser.execute("CREATE TEMP TABLE before AS SELECT * FROM oversight_rulechange")
        superuser.execute(f"UPDATE oversight_rulechange SET {change}".encode())  # noqa: S608 - of the list above
        with as_role("portal_web"):
            assert [each.code for each in unexplained_changes(None)] == ["change_unexplained"], change
        superuser.execute("DELETE FROM oversight_rulechange")
        superuser.execute("INSERT INTO oversight_rulechange SELECT * FROM before")
        superuser.execute("DROP TABLE before")


# By the watch, or by a guard of the table's own that comes first.
REFUSED_ROWS = (
    r"No audit event says how row|violates foreign key"
    r"|review entry: decided by a reviewer|a review began with stays"
)


def what_the_owner_does_to_words(superuser: psycopg.Connection, as_role: AsRole) -> None:
    """A search looks for something else. Whoever may read people's words finds it."""
    table = "history_savedsearch"
    with as_role("portal_web"):
        _the_owner_changes_words(superuser, table)


def _the_owner_changes_words(superuser: psycopg.Connection, table: str) -> None:
    with pytest.raises(psycopg.Error, match="A saved search never changes"):
        superuser.execute(f"UPDATE {table} SET query = 'outcome=done'".encode())  # noqa: S608 - see above
    superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER said_once".encode())
    for column in ("name", "query"):
        superuser.execute(f"UPDATE {table} SET {column} = {column} || '.'".encode())  # noqa: S608 - likewise
        assert [each.code for each in unexplained_searches(None)] == ["change_unexplained"], column
        superuser.execute(f"UPDATE {table} SET {column} = rtrim({column}, '.')".encode())  # noqa: S608 - likewise
    assert list(unexplained_searches(None)) == []


def what_the_owner_does(superuser: psycopg.Connection, model: type[Model], as_role: AsRole) -> None:
    """Each change of a watched row is refused, whoever asks; and found, once nothing is in its way."""
    with as_role("portal_web"):
        row, table = the_watched(model), model._meta.db_table
    ((name, value),) = WATCHED[table][0].items()
    was, value = sent(getattr(row, name)), sent(value)
    update = f"UPDATE {table} SET {name} = %s WHERE id = %s"  # noqa: S608 - of the list above
    delete = f"DELETE FROM {table} WHERE id = %s"  # noqa: S608 - likewise
    for statement, arguments in ((update, (value, row.pk)), (delete, (row.pk,))):
        with pytest.raises(psycopg.Error, match=REFUSED_ROWS):
            superuser.execute(statement.encode(), arguments)
    superuser.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    superuser.execute(update.encode(), (value, row.pk))
    with as_role("portal_sealer"):
        (found,) = (each for each in unexplained_rows() if f"Row {row.pk} of {table} " in each.sentence)
    assert (found.code, f"{name} is " in found.sentence) == ("row_unexplained", True), found
    superuser.execute(update.encode(), (was, row.pk))
    with as_role("portal_sealer"):
        assert not any(f" of {table} " in each.sentence for each in unexplained_rows())
    superuser.execute(delete.encode(), (row.pk,))
    with as_role("portal_sealer"):
        (found,) = (each for each in unexplained_rows() if f" of {table} " in each.sentence)
    assert (found.code, f"Row {row.pk} " in found.sentence) == ("row_missing", True), found
