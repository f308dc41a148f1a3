"""Postgres holds the life cycle too: triggers made from the table in `lifecycle`.

They see `.update()`, bulk writes, raw SQL and the wrong process alike: an edge that the table
lacks, a version that doesn't count up by one, or a database role that may not move the edge is
refused. A second, deferred trigger (from the ledger) refuses a commit in which a version has no
audit event, and a third one in which that event isn't the edge's own.
"""

from __future__ import annotations

import hashlib

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunPython
from django.db.migrations.state import StateApps

from identity.humans import same_human_sql
from requests_app.lifecycle import ENDABLE, MACHINES, REVOKING, WAIVER, Machine, Process

ROLE_OF = {Process.WEB: "portal_web", Process.WORKER: "portal_worker"}


def guard_function_sql(machine: Machine) -> str:
    """The trigger function of one machine, with its edges as a VALUES list."""
    rows = ",\n        ".join(
        "({source}, '{target}', ARRAY[{roles}])".format(
            source=f"'{edge.source}'" if edge.source else "''",
            target=edge.target,
            roles=", ".join(f"'{ROLE_OF[process]}'" for process in sorted(edge.by)),
        )
        for edge in machine.edges
    )
    return f"""
CREATE OR REPLACE FUNCTION {machine.table}_guard() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
    before text := '';
    movers text[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        before := OLD.status;
        IF NEW.id <> OLD.id THEN
            RAISE EXCEPTION '{machine.subject}: the id never changes' USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.status = OLD.status THEN
            IF NEW.version <> OLD.version THEN
                RAISE EXCEPTION '{machine.subject}: a version counts status changes only'
                    USING ERRCODE = 'check_violation';
            END IF;
            IF current_user = 'portal_web' THEN
                RAISE EXCEPTION '{machine.subject}: the web process changes a row only by moving it'
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            RETURN NEW;
        END IF;
        IF NEW.version <> OLD.version + 1 THEN
            RAISE EXCEPTION '{machine.subject}: version % does not follow %', NEW.version, OLD.version
                USING ERRCODE = 'check_violation';
        END IF;
    ELSIF NEW.version <> 1 THEN
        RAISE EXCEPTION '{machine.subject}: versions begin at 1' USING ERRCODE = 'check_violation';
    END IF;
    SELECT edge.movers INTO movers FROM (VALUES
        {rows}
    ) AS edge(source, target, movers) WHERE edge.source = before AND edge.target = NEW.status;
    IF movers IS NULL THEN
        RAISE EXCEPTION '{machine.subject}: no step from "%" to "%"', before, NEW.status
            USING ERRCODE = 'check_violation';
    END IF;
    IF NOT current_user = ANY (movers) THEN
        RAISE EXCEPTION '{machine.subject}: % may not move "%" to "%"', current_user, before, NEW.status
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$guard$;
"""  # noqa: S608 - made from the table above, no input


def told_function_sql(machine: Machine) -> str:
    """The trigger function that holds the event of each version to its edge: an approval is recorded as one.

    The event is looked for among those of this transaction: by no other can a version be told.
    """
    rows = ",\n        ".join(
        f"('{edge.source or ''}', '{edge.target}', '{edge.event}')" for edge in machine.edges
    )
    return f"""
CREATE OR REPLACE FUNCTION {machine.table}_told() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
    before text := '';
    wanted text;
    told text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.version = OLD.version THEN
            RETURN NULL;
        END IF;
        before := OLD.status;
    END IF;
    SELECT edge.event INTO wanted FROM (VALUES
        {rows}
    ) AS edge(source, target, event) WHERE edge.source = before AND edge.target = NEW.status;
    SELECT event.type INTO told
    FROM public.audit_version version JOIN public.audit_event event ON event.id = version.event_id
        AND event.at >= transaction_timestamp() AND event.at < transaction_timestamp() + interval '2 days'
    WHERE version.subject_kind = '{machine.subject}' AND version.subject_id = NEW.id
        AND version.version = NEW.version;
    IF told IS DISTINCT FROM wanted THEN
        RAISE EXCEPTION '{machine.subject}: the step from "%" to "%" is recorded as %, not as %',
            before, NEW.status, coalesce(told, 'nothing of this transaction'), wanted
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
"""  # noqa: S608 - made from the table above, no input


def guard_trigger_sql(machine: Machine) -> str:
    """The triggers of one machine's table: the edges, an event for every version, and the edge's own."""
    return f"""
DROP TRIGGER IF EXISTS lifecycle_guard ON {machine.table};
CREATE TRIGGER lifecycle_guard BEFORE INSERT OR UPDATE ON {machine.table}
    FOR EACH ROW EXECUTE FUNCTION {machine.table}_guard();
DROP TRIGGER IF EXISTS lifecycle_event ON {machine.table};
CREATE CONSTRAINT TRIGGER lifecycle_event AFTER INSERT OR UPDATE OF status, version ON {machine.table}
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_require_event('{machine.subject}');
-- After the one above, which says it when there is none at all: triggers fire in the order of their names.
DROP TRIGGER IF EXISTS lifecycle_event_told ON {machine.table};
CREATE CONSTRAINT TRIGGER lifecycle_event_told AFTER INSERT OR UPDATE OF status, version ON {machine.table}
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION {machine.table}_told();
ALTER TABLE {machine.table} ENABLE ALWAYS TRIGGER lifecycle_guard;
ALTER TABLE {machine.table} ENABLE ALWAYS TRIGGER lifecycle_event;
ALTER TABLE {machine.table} ENABLE ALWAYS TRIGGER lifecycle_event_told;
"""


REQUEST_SQL = """
DROP TRIGGER IF EXISTS lifecycle_event ON requests_app_accessrequest;
CREATE CONSTRAINT TRIGGER lifecycle_event AFTER INSERT ON requests_app_accessrequest
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_require_event('request');
ALTER TABLE requests_app_accessrequest ENABLE ALWAYS TRIGGER lifecycle_event;
"""

# Never one's own request, by any route nor account: the last of the routes is SQL.
SELF_DECISION_SQL = f"""
CREATE OR REPLACE FUNCTION requests_app_decision_not_own() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF EXISTS (SELECT 1 FROM requests_app_requestitem item
               JOIN identity_person asker ON asker.id = item.requester_id
               JOIN identity_person other ON {same_human_sql("asker", "other")}
               WHERE item.id = NEW.item_id AND other.id = NEW.approver_id) THEN
        RAISE EXCEPTION 'decision: nobody decides on their own request' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
DROP TRIGGER IF EXISTS not_own ON requests_app_decision;
CREATE TRIGGER not_own BEFORE INSERT OR UPDATE OF approver_id, item_id ON requests_app_decision
    FOR EACH ROW EXECUTE FUNCTION requests_app_decision_not_own();
ALTER TABLE requests_app_decision ENABLE ALWAYS TRIGGER not_own;
"""  # noqa: S608 - made from names that stand here


# In somebody else's right only their delegate decides, and never on a request of theirs, whatever account it came from. Not
# among `statements`: it came with its column, which older migrations don't have.
ABSENT_RIGHT_FUNCTION_SQL = f"""
CREATE OR REPLACE FUNCTION requests_app_decision_right() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF NEW.absence_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM identity_absence away JOIN requests_app_requestitem item ON item.id = NEW.item_id
        WHERE away.id = NEW.absence_id AND away.delegate_id = NEW.approver_id AND away.withdrawn_at IS NULL
          AND NOT EXISTS (SELECT 1 FROM identity_person asker
                          JOIN identity_person other ON {same_human_sql("asker", "other")}
                          WHERE asker.id = item.requester_id AND other.id = away.person_id)
    ) THEN
        RAISE EXCEPTION 'decision: not the delegate of somebody who may' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
"""  # noqa: S608 - made from names that stand here
ABSENT_RIGHT_SQL = f"""
{ABSENT_RIGHT_FUNCTION_SQL}
CREATE TRIGGER absent_right BEFORE INSERT OR UPDATE OF absence_id, approver_id ON requests_app_decision
    FOR EACH ROW EXECUTE FUNCTION requests_app_decision_right();
ALTER TABLE requests_app_decision ENABLE ALWAYS TRIGGER absent_right;
"""
UNDO_ABSENT_RIGHT_SQL = """
DROP TRIGGER absent_right ON requests_app_decision;
DROP FUNCTION requests_app_decision_right();
"""


_ENDABLE = ", ".join(f"'{each}'" for each in sorted(ENDABLE))
# A window moves in one way only: its end, later, once per approved item, as the next revision, with an event that
# says so. A retry, a bulk write or the wrong process can't.
WINDOW_SQL = f"""
CREATE OR REPLACE FUNCTION requests_app_grant_window() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF NEW.starts_at IS DISTINCT FROM OLD.starts_at THEN
        RAISE EXCEPTION 'grant: the start never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.longest_session < OLD.longest_session THEN
        RAISE EXCEPTION 'grant: the longest session only grows' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.ends_at = OLD.ends_at AND NEW.revision = OLD.revision THEN
        RETURN NEW;
    END IF;
    IF NEW.status <> OLD.status OR OLD.status NOT IN ({_ENDABLE}) THEN
        RAISE EXCEPTION 'grant: only what has not begun to end is extended' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.ends_at <= OLD.ends_at OR NEW.revision <> OLD.revision + 1 THEN
        RAISE EXCEPTION 'grant: the end only moves later, as the next revision' USING ERRCODE = 'check_violation';
    END IF;
    -- One interval for one move. They aren't counted against revisions: a grant that was rebuilt has its later
    -- revision, and one interval.
    IF 1 <> (
        SELECT count(*) FROM requests_app_grantinterval span
        WHERE span.grant_id = NEW.id AND span.starts_at >= OLD.ends_at
    ) OR NOT EXISTS (
        SELECT 1 FROM requests_app_grantinterval span JOIN requests_app_requestitem item ON item.id = span.item_id
        WHERE span.grant_id = NEW.id AND span.ends_at = NEW.ends_at AND span.starts_at >= OLD.ends_at
          AND item.status = 'approved' AND item.requester_id = NEW.person_id AND item.group_id = NEW.group_id
    ) THEN
        RAISE EXCEPTION 'grant: no approved item reaches the end %', NEW.ends_at USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
DROP TRIGGER IF EXISTS window_guard ON requests_app_grant;
CREATE TRIGGER window_guard BEFORE UPDATE ON requests_app_grant
    FOR EACH ROW EXECUTE FUNCTION requests_app_grant_window();
CREATE OR REPLACE FUNCTION requests_app_extension_event() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF NEW.revision <> OLD.revision AND NOT EXISTS (
        SELECT 1 FROM public.audit_version told
        WHERE told.subject_kind = 'extension' AND told.subject_id = NEW.id AND told.version = NEW.revision
    ) THEN
        RAISE EXCEPTION 'No audit event says how grant % came to revision %', NEW.id, NEW.revision
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
DROP TRIGGER IF EXISTS extension_event ON requests_app_grant;
CREATE CONSTRAINT TRIGGER extension_event AFTER UPDATE OF revision ON requests_app_grant
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION requests_app_extension_event();
ALTER TABLE requests_app_grant ENABLE ALWAYS TRIGGER window_guard;
ALTER TABLE requests_app_grant ENABLE ALWAYS TRIGGER extension_event;
"""  # noqa: S608 - made from the table above, no input

_REVOKING = ", ".join(f"'{each}'" for each in sorted(REVOKING))
# Nobody's access is called revoked without a word on who did it and why.
REVOCATION_SQL = f"""
CREATE OR REPLACE FUNCTION requests_app_grant_revoked() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF NEW.end_reason IN ({_REVOKING}) AND NEW.end_reason IS DISTINCT FROM OLD.end_reason AND NOT EXISTS (
        SELECT 1 FROM requests_app_revocation told WHERE told.grant_id = NEW.id AND told.kind = NEW.end_reason
    ) THEN
        RAISE EXCEPTION 'grant: "%" needs a revocation that says who and why', NEW.end_reason
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
DROP TRIGGER IF EXISTS revoked ON requests_app_grant;
CREATE TRIGGER revoked BEFORE UPDATE OF end_reason ON requests_app_grant
    FOR EACH ROW EXECUTE FUNCTION requests_app_grant_revoked();
ALTER TABLE requests_app_grant ENABLE ALWAYS TRIGGER revoked;
"""  # noqa: S608 - made from the table above, no input


WRITTEN = (guard_function_sql, told_function_sql, guard_trigger_sql)


def statements() -> list[str]:
    """Everything that the guards consist of, as today's table has it."""
    # The waiver's table came later, with its guards.
    machines = [machine for machine in MACHINES if machine is not WAIVER]
    made = [write(machine) for machine in machines for write in WRITTEN]
    return [*made, REQUEST_SQL, SELF_DECISION_SQL, REVOCATION_SQL, WINDOW_SQL]


def fingerprint() -> str:
    """A short mark of `statements`, by which a migration says of which table its guards are."""
    return hashlib.sha256("".join(statements()).encode()).hexdigest()[:12]


def install(_apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Write all guards; safe to run again after the table has changed."""
    for statement in statements():
        schema_editor.execute(statement, params=None)


class InstallGuards(RunPython):
    """Migration operation: bring the triggers up to the table. Add one after every change of `lifecycle`.

    `of` is the fingerprint of the guards at that time. Whatever it says, today's are written: it makes a change
    without a migration noticeable, which a fresh database, migrated with today's code, would not show.
    """

    def __init__(self, of: str) -> None:
        super().__init__(install, RunPython.noop)
        self.of = of

    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        return self.__class__.__qualname__, [self.of], {}
