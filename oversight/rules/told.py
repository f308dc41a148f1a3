"""A change of rules says what its events say, and no step of it is told as another.

`guards` keeps what was proposed from changing. Here it is compared at commit with the event of the same transaction, whoever
asks: the wording of each rule that differs and a digest of all of them, and who decided what.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection

DIGEST_SQL = "encode(sha256(convert_to({0}.rules::text, 'UTF8')), 'hex')"
_NONE = "jsonb_build_object()"
# Whether an event says the wording that a row has: of each rule that differs from what was in force then.
WORDING_SQL = f"""NOT EXISTS (
    SELECT FROM jsonb_each(coalesce(event.data -> 'fields' -> 'wording', {_NONE})) AS each (name, word)
    WHERE word <> coalesce({{0}}.rules -> name, 'null')
)"""
BASE_SQL = f"{{0}}.base = coalesce(event.data -> 'fields' -> 'base', {_NONE})"
# The event of each step, by the status that it leads to; the very first rules are loaded.
STEPS = {
    "proposed": ("rules.proposed",),
    "accepted": ("rules.accepted",),
    "applied": ("rules.applied", "rules.loaded"),
    "rejected": ("rules.rejected",),
    "withdrawn": ("rules.withdrawn",),
    "stale": ("rules.not_applied",),
}
STEP_SQL = "(VALUES {}) AS step (status, event)".format(
    ", ".join(f"('{status}', '{event}')" for status, events in STEPS.items() for event in events)
)
DECIDED = ("accepted", "rejected", "withdrawn")

# For the check: each with the function that it calls.
GUARDS = {
    "oversight_rulechange.rulechange_guard": "oversight_rulechange_guard",
    "oversight_rulechange.rulechange_told": "oversight_rulechange_told",
}
INSTALL = f"""
CREATE FUNCTION public.oversight_rulechange_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.audit_version told JOIN public.audit_event event ON event.id = told.event_id
            AND event.at >= transaction_timestamp() AND event.at < transaction_timestamp() + interval '2 days'
        JOIN {STEP_SQL} ON step.event = event.type AND step.status = NEW.status
        LEFT JOIN public.identity_person who ON who.object_id = event.actor_oid AND event.actor_oid <> ''
        WHERE told.subject_kind = 'rule_change' AND told.subject_id = NEW.id AND told.version = NEW.version
          AND CASE WHEN TG_OP = 'INSERT' THEN
                  event.data -> 'fields' ->> 'rules_digest' = {DIGEST_SQL.format("NEW")}
                  AND {WORDING_SQL.format("NEW")} AND {BASE_SQL.format("NEW")}
                  AND (event.actor_oid = '' OR who.id = NEW.proposed_by_id)  -- a command proposes in somebody's name
                  AND (SELECT object_id FROM public.identity_person WHERE id = NEW.proposed_by_id)
                      IS NOT DISTINCT FROM event.data -> 'fields' ->> 'proposed_by'
              WHEN NEW.status IN ('accepted', 'rejected', 'withdrawn') THEN who.id = NEW.decided_by_id
              WHEN NEW.status = 'stale' THEN event.data -> 'fields' ->> 'problem' = NEW.problem
              ELSE true END
    ) THEN
        RAISE EXCEPTION 'rule change: no audit event says what % says', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
REVOKE ALL ON FUNCTION public.oversight_rulechange_told() FROM PUBLIC;
-- After `rulechange_event`, which says it when there is none at all.
CREATE CONSTRAINT TRIGGER rulechange_told AFTER INSERT OR UPDATE OF status, version ON public.oversight_rulechange
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.oversight_rulechange_told();
ALTER TABLE public.oversight_rulechange ENABLE ALWAYS TRIGGER rulechange_told;
"""  # noqa: S608 - of names that stand here
REMOVE = """
DROP TRIGGER rulechange_told ON public.oversight_rulechange;
DROP FUNCTION public.oversight_rulechange_told();
"""


def rules_digest(change: UUID) -> str:
    """Of all the rules of a stored change, as Postgres keeps them: for the event that comes with it."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {DIGEST_SQL.format('change')} FROM oversight_rulechange change WHERE id = %s",  # noqa: S608 - a constant
            [change],
        )
        ((digest,),) = cursor.fetchall()
    return str(digest)
