"""The order of the queue for Entra: nobody goes before others without an event, and no place in it moves by itself."""

from __future__ import annotations

from requests_app.path_models import PathKind

# For the check: each with the function that it calls.
GUARDS = {
    "requests_app_pathticket.place_stays": "requests_app_place_stays",
    "requests_app_pathticket.told_front": "requests_app_front_told",
    "requests_app_pathticket.began_in_front": "requests_app_front_told",
}
# What the sealer reads to compare it.
READS = "id, grant_id, kind, since, front_at"
# What a ticket called {0} waits for, as `queue.moved_to_front` says it.
WAITS_FOR_SQL = "CASE {{0}}.kind {} END".format(
    " ".join(f"WHEN '{kind.value}' THEN '{kind.label.lower()}'" for kind in PathKind)
)
INSTALL = f"""
CREATE FUNCTION public.requests_app_place_stays() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION 'queue: by what a place is ordered never changes'
        USING ERRCODE = 'integrity_constraint_violation';
END
$guard$;
CREATE FUNCTION public.requests_app_front_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.audit_event event
        WHERE event.type = 'queue.moved_to_front' AND event.actor_kind = 'person' AND event.grant_id = NEW.grant_id
          AND event.at >= transaction_timestamp() AND event.at < transaction_timestamp() + interval '2 days'
          AND event.data #>> '{{fields,waits_for}}' = {WAITS_FOR_SQL.format("NEW")}
          AND public.audit_instant(event.data #>> '{{fields,front_at}}') = NEW.front_at
    ) THEN
        RAISE EXCEPTION 'queue: no audit event moves grant % to the front', NEW.grant_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
REVOKE ALL ON FUNCTION public.requests_app_place_stays(), public.requests_app_front_told() FROM PUBLIC;
CREATE TRIGGER place_stays BEFORE UPDATE ON public.requests_app_pathticket FOR EACH ROW
    WHEN ((OLD.id, OLD.grant_id, OLD.kind, OLD.application, OLD.rank, OLD.starts_at, OLD.since) IS DISTINCT FROM
          (NEW.id, NEW.grant_id, NEW.kind, NEW.application, NEW.rank, NEW.starts_at, NEW.since))
    EXECUTE FUNCTION public.requests_app_place_stays();
CREATE CONSTRAINT TRIGGER told_front AFTER UPDATE ON public.requests_app_pathticket
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.front_at, OLD.front_by) IS DISTINCT FROM (NEW.front_at, NEW.front_by))
    EXECUTE FUNCTION public.requests_app_front_told();
CREATE CONSTRAINT TRIGGER began_in_front AFTER INSERT ON public.requests_app_pathticket
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.front_at IS NOT NULL)
    EXECUTE FUNCTION public.requests_app_front_told();
ALTER TABLE public.requests_app_pathticket ENABLE ALWAYS TRIGGER place_stays, ENABLE ALWAYS TRIGGER told_front,
    ENABLE ALWAYS TRIGGER began_in_front;
"""  # noqa: S608 - of names that stand here
REMOVE = """
DROP TRIGGER place_stays ON public.requests_app_pathticket;
DROP TRIGGER told_front ON public.requests_app_pathticket;
DROP TRIGGER began_in_front ON public.requests_app_pathticket;
DROP FUNCTION public.requests_app_place_stays(), public.requests_app_front_told();
"""
