"""Versions are held to the things that they are of: no event claims one that its subject hasn't come to.

`audit_require_event` refuses a change without its event. Here is the other half: an event that names a subject is
refused at commit unless the subject's row has reached that version. Without it, whoever may write an event could take
the next version of a grant away from the worker that needs it. Each app attaches the kinds whose tables it owns, in a
migration with `AttachSubject`; a kind that nobody attaches has no row, and nothing waits for its versions.

Nor does an event say that a worker, or the portal itself, did what the web process wrote.
"""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations import RunSQL

from base.migration_operations import SEALER

# A definer's function: whoever writes an event need not be allowed to read the subject's table. `>=`, since a row may
# move twice in a transaction; what it has passed already has its event, by the key of audit_version.
REQUIRE_SUBJECT = """
CREATE FUNCTION public.audit_require_subject() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reached boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I WHERE id = $1 AND %I >= $2)', TG_ARGV[0], TG_ARGV[1])
        INTO reached USING NEW.subject_id, NEW.version;
    IF NOT reached THEN
        RAISE EXCEPTION 'Event % claims version % of % %, which it has not come to; the event is refused.',
            NEW.event_id, NEW.version, NEW.subject_kind, NEW.subject_id
            USING ERRCODE = 'integrity_constraint_violation',
                  HINT = 'Change the row in the transaction that records its event.';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION public.audit_require_subject() FROM PUBLIC;
"""

# After the insert: only then has Postgres derived the actor from the text.
OWN_ACTOR = """
CREATE FUNCTION public.audit_refuse_actor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'portal_web' THEN
        RAISE EXCEPTION 'The web process writes no event in the name of the %.', NEW.actor_kind
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER audit_event_actor AFTER INSERT ON public.audit_event
    FOR EACH ROW WHEN (NEW.actor_kind IN ('worker', 'system'))
    EXECUTE FUNCTION public.audit_refuse_actor();
ALTER TABLE public.audit_event ENABLE ALWAYS TRIGGER audit_event_actor;
"""

CREATE = REQUIRE_SUBJECT + OWN_ACTOR
DROP = """
DROP TRIGGER audit_event_actor ON public.audit_event;
DROP FUNCTION public.audit_refuse_actor(), public.audit_require_subject();
"""


class AttachSubject(RunSQL):
    """Migration operation: hold the versions of `kind` to `table`, in both directions of `audit_verify` too.

    `version` names the column that counts changes. `status`, where given, names the one that an event's field
    `target` says. `counts_from_one` is false where a row may begin at a later version.
    """

    def __init__(
        self,
        kind: str,
        table: str,
        *,
        version: str = "version",
        status: str = "",
        counts_from_one: bool = True,
    ) -> None:
        self._args = (kind, table)
        self._named: dict[str, Any] = {
            "version": version,
            "status": status,
            "counts_from_one": counts_from_one,
        }
        columns = ", ".join(("id", version, *((status,) if status else ())))
        forward = f"""
CREATE CONSTRAINT TRIGGER subject_{kind} AFTER INSERT ON public.audit_version
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.subject_kind = '{kind}')
    EXECUTE FUNCTION public.audit_require_subject('{table}', '{version}', '{status}', '{int(counts_from_one)}');
ALTER TABLE public.audit_version ENABLE ALWAYS TRIGGER subject_{kind};
GRANT SELECT ({columns}) ON public.{table} TO {SEALER};
"""
        backward = f"""
DROP TRIGGER subject_{kind} ON public.audit_version;
REVOKE SELECT ({columns}) ON public.{table} FROM {SEALER};
"""  # noqa: S608 - made from what a migration names
        super().__init__(forward, backward)

    def deconstruct(self) -> tuple[str, list[str], dict[str, Any]]:
        return self.__class__.__qualname__, list(self._args), self._named
