"""A release's database with everything in flight, and the simulated clouds beside it, kept in a file.

`python -m tests.upgrades.snapshot FILE` makes one with the code and the migrations of the checkout that it runs in:
make it when a release is cut, and keep the old ones. `load` puts it into an empty database that was migrated to the
same migrations and no further.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from audit.ledger.sql import DERIVED
from base import crash
from base.clock import business_now
from catalog.models import PimGroup
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision, submit_decision
from requests_app.actions.ending import end_early
from requests_app.actions.leaving import close_item
from requests_app.actions.sweeping import lapse_unanswered
from requests_app.actions.withdrawing import withdraw_item
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant, RequestItem, Verdict
from requests_app.waivers.settling import check_waiver
from simulator.world import serial
from stack.postgres import SUPERUSER
from tests.requests_app import factories as make
from tests.support.fleet import Fleet, fleet
from tests.support.servers import DEFAULT_ROLE, PostgresServer, Session, as_role, pointed_at
from tests.support.stage import Died

FOLDER = Path(__file__).parent
# Columns that the database computes, or that belong to the moment of loading.
NOT_KEPT = {"audit_event": {"at", *DERIVED}}
# The ledger writes these itself when its events come in, whatever the session says about triggers.
WRITES_ITSELF = {"audit_version"}
PEOPLE = 22
POST = "graph.POST assignmentScheduleRequests"


def populate(play: Fleet) -> dict[str, str]:
    """Bring a grant into every status, an item, a decision and a waiver too, in one world; gives how each grant ends.

    What takes long comes first, so that what is in the middle of its way is fresh. Only the person at hand is worked
    for; everybody else stays as left.
    """
    others = play.world.happen
    play.ask(0, 0, timedelta(days=1) / 96)
    _drive(play, 0, GrantStatus.ENDED)
    others("foreign_member", group=play.pair(1, 0)[1], person=play.pair(1, 0)[0])
    play.disturbed.add(play.pair(1, 0))
    play.ask(1, 0)
    _drive(play, 1, GrantStatus.NOT_GRANTED)
    play.ask(2, 0)
    _drive(play, 2, GrantStatus.SCHEDULED)
    _give_back(play, 2)
    _never_arrives(play, 3)
    for person, verdict in ((4, Verdict.DENY), (5, "")):
        item = play.ask(person, 0)
        if verdict:
            _check(_decide(play, item, verdict))
        else:
            with play.as_role("portal_web"):
                withdraw_item(item_id=item.pk, person_id=item.requester_id, actor=make.actor(item.requester))
    play.ask(6, 0)
    play.step(timedelta(days=1, minutes=1))
    lapse_unanswered()
    play.ask(7, 0, timedelta(minutes=15))
    _drive(play, 7, GrantStatus.DRAINING)
    play.ask(8, 0, timedelta(minutes=15))
    _drive(play, 8, GrantStatus.DEPROVISIONING)
    play.ask(9, 0)
    _drive(play, 9, GrantStatus.ACTIVE)
    play.world.faults.add("graph.POST provisionOnDemand", "error")
    play.ask(10, 0)
    _drive(play, 10, GrantStatus.PROVISIONING)
    play.ask(11, 0)
    _drive(play, 11, GrantStatus.ACTIVE)
    _give_back(play, 11)
    play.world.faults.add(POST, "lose_answer")
    play.ask(12, 0)
    _drive(play, 12, GrantStatus.ACTIVATING)
    _dies_in_the_middle(play, 13)
    play.ask(14, 0)
    _drive(play, 14, GrantStatus.SCHEDULED)
    _decide(play, play.ask(15, 0))
    play.ask(16, 0)
    _without_approvals(play, 17)
    return {
        play.people[person][1].id: final
        for person, final in (
            (0, "ended"),
            (1, "not_granted"),
            (2, "cancelled"),
            (3, "never_arrived"),
            *((person, "ended") for person in range(7, 16)),
            *((person, "ended") for person in (17, 18)),
        )
    }


def _without_approvals(play: Fleet, first: int) -> None:
    """Emergencies of five people: on its way, not settled, refused, a drill; and a request that somebody closes."""
    going, waiting, refused, drill = range(first, first + 4)
    # More than a day has passed here: the catalogue's sync would have read them again.
    PimGroup.objects.update(policy_read_at=business_now())
    (grant_id,) = check_waiver(waiver_id=play.ask_in_emergency(going, 0).waiver.pk)
    advance_grant(grant_id=grant_id)
    play.ask_in_emergency(waiting, 0)
    item = play.ask_in_emergency(refused, 0)
    if play.responders is not None:
        play.world.directory.remove_member(play.responders.id, play.people[refused][1].id)
    check_waiver(waiver_id=item.waiver.pk)
    person, group = play.pair(refused, 0)
    play.world.happen("eligibility_ended", group=group, person=person)
    _check(_decide(play, item))  # which is refused, too
    check_waiver(waiver_id=play.ask_in_emergency(drill, 0, drill=True).waiver.pk)
    close_item(play.ask(first + 4, 0), "The account of the requester is disabled or gone in Entra.")


def _decide(play: Fleet, item: RequestItem, verdict: str = Verdict.APPROVE) -> UUID:
    boss = play.approvers[0][0]
    with play.as_role("portal_web"):
        return submit_decision(
            item_id=item.pk,
            approver_id=boss.pk,
            verdict=verdict,
            comment="Because",
            shown=make.shown(item),
            actor=make.actor(boss),
        )


def _check(decision_id: UUID) -> None:
    check_decision(decision_id=decision_id)


def _drive(play: Fleet, person: int, status: str) -> Grant:
    """Approve this person's request, and work for it alone until its grant has the status."""
    item = RequestItem.objects.get(requester=play.people[person][0], status="pending")
    _check(_decide(play, item))
    for _ in range(300):
        grant = Grant.objects.get(intervals__item=item)
        if grant.status == status:
            return grant
        advance_grant(grant_id=grant.pk)
        if Grant.objects.get(pk=grant.pk).status != status:
            play.step(timedelta(minutes=2))
    raise AssertionError(play.describe())


def _give_back(play: Fleet, person: int) -> None:
    row = play.people[person][0]
    grant = Grant.objects.filter(person=row).latest("created_at")
    with play.as_role("portal_web"):
        end_early(grant_id=grant.pk, person_id=row.pk, actor=make.actor(row))


def _never_arrives(play: Fleet, person: int) -> None:
    fault = play.world.faults.add("graph.POST provisionOnDemand", "error", count=None)
    play.ask(person, 0, timedelta(minutes=20))
    item = RequestItem.objects.get(requester=play.people[person][0], status="pending")
    _check(_decide(play, item))
    play.world.happen("quarantine")
    grant = Grant.objects.get(intervals__item=item)
    while grant.status != GrantStatus.NEVER_ARRIVED:
        advance_grant(grant_id=grant.pk)
        play.step(timedelta(minutes=2))
        grant.refresh_from_db()
        if grant.status == GrantStatus.DEPROVISIONING and play.world.provisioning.job.quarantine:
            play.world.happen("quarantine_lifted")
    play.world.faults.remove(fault.id)


def _dies_in_the_middle(play: Fleet, person: int) -> None:
    """The worker dies after PIM has taken the assignment and before anybody wrote that down."""

    def handler(reached: str) -> None:
        if reached == "write.answered":
            raise Died(reached)

    play.ask(person, 0)
    crash.install(handler)
    try:
        _drive(play, person, GrantStatus.PROVISIONING)
    except Died:
        return
    finally:
        crash.install(None)
    raise AssertionError("nothing died")


# ---------------------------------------------------------------- the file


def dump(play: Fleet, finals: dict[str, str]) -> dict[str, Any]:
    """Everything: rows, the simulated clouds, the instant, and how each person's grant is to end."""
    return {
        "now": play.time.now.isoformat(),
        "finals": finals,
        "managed": [group.id for _, group in play.groups],
        "disturbed": sorted(play.disturbed),
        "migrations": dict(sorted(MigrationLoader(connection).graph.leaf_nodes())),
        "tables": _tables(),
        "world": serial.dump(play.world.state),
    }


def _tables() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.table_name, array_agg(c.column_name::text ORDER BY ordinal_position) "
            "FROM information_schema.columns c JOIN pg_class r ON r.relname = c.table_name "
            "AND r.relnamespace = 'public'::regnamespace "
            "WHERE c.table_schema = 'public' AND c.is_generated = 'NEVER' AND r.relkind IN ('r', 'p') "
            "AND NOT r.relispartition GROUP BY c.table_name"
        )
        tables = cursor.fetchall()
        for table, columns in tables:
            if table.startswith(("django_", "auth_", "account_", "socialaccount_")):
                continue
            columns = [each for each in columns if each not in NOT_KEPT.get(table, ())]
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            query = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(names, sql.Identifier(table))
            with cursor.copy(query) as copy:
                text = b"".join(bytes(block) for block in copy).decode()
            if text:
                found[table] = {"columns": columns, "text": text}
    return found


def load(server: PostgresServer, database: str, snapshot: dict[str, Any]) -> None:
    """Put the rows into a database that was migrated to the snapshot's migrations; as they are, past every guard."""
    with psycopg.connect(server.conninfo(SUPERUSER, database)) as owner:
        owner.execute("SET session_replication_role = replica")
        guards = owner.execute(
            "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger "
            "WHERE NOT tgisinternal AND tgenabled = 'A' AND tgrelid::regclass::text = ANY(%s)",
            [[table for table in snapshot["tables"] if not table.startswith("audit_")]],
        ).fetchall()
        _set_triggers(owner, guards, "DISABLE TRIGGER")
        for table, rows in snapshot["tables"].items():
            if table in WRITES_ITSELF:
                continue
            names = sql.SQL(", ").join(map(sql.Identifier, rows["columns"]))
            query = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
            with owner.cursor().copy(query) as copy:
                copy.write(rows["text"])
        _set_triggers(owner, guards, "ENABLE ALWAYS TRIGGER")
        _set_sequences(owner)


def _set_triggers(owner: psycopg.Connection, guards: Sequence[tuple[Any, ...]], how: str) -> None:
    for table, name, _ in guards:
        owner.execute(
            sql.SQL("ALTER TABLE {} {} {}").format(sql.Identifier(table), sql.SQL(how), sql.Identifier(name))
        )


def _set_sequences(owner: psycopg.Connection) -> None:
    """New rows are numbered after those that were loaded."""
    owned = owner.execute(
        "SELECT table_name::text, column_name::text, "
        "pg_get_serial_sequence(quote_ident(table_name), column_name) FROM information_schema.columns "
        "WHERE table_schema = 'public' "
        "AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL"
    ).fetchall()
    for table, column, sequence in owned:
        owner.execute(
            sql.SQL("SELECT setval({}, (SELECT coalesce(max({}), 0) + 1 FROM {}), false)").format(
                sql.Literal(sequence), sql.Identifier(column), sql.Identifier(table)
            )
        )


def read(path: Path) -> dict[str, Any]:
    """A snapshot's file."""
    with gzip.open(path, "rt") as file:
        kept: dict[str, Any] = json.load(file)
    return kept


def main(path: Path) -> None:
    """Make a snapshot of what this checkout makes."""
    session = Session.open()
    try:
        server = session.postgres(as_installed=True)
        server.clone("snapshot")
        with (
            pointed_at(server, "snapshot", step_into=DEFAULT_ROLE),
            fleet(as_role, people=PEOPLE, groups=1) as play,
        ):
            finals = populate(play)
            with as_superuser(server):
                kept = dump(play, finals)
        with gzip.GzipFile(path, "wb", mtime=0) as file:
            file.write(json.dumps(kept, sort_keys=True).encode())
        print(f"{path}: {path.stat().st_size:,} bytes, at {kept['now']}")
    finally:
        session.close()


def as_superuser(server: PostgresServer) -> AbstractContextManager[None]:
    """Reading everything needs more than an application's role."""
    return pointed_at(server, "snapshot", role=SUPERUSER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
