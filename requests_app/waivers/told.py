"""What is said of a waiver, and of a review that is owed for one, is what the event of the same transaction says.

`guards` keeps what was said from changing. Here it is compared at commit, whoever asks: what was asked for and why nobody
had to decide, what is owed, who found what, who lifted a block, and since when others may review, too.
"""

from __future__ import annotations

# Of this transaction: by no other event can anything be told.
_NOW = "event.at >= transaction_timestamp() AND event.at < transaction_timestamp() + interval '2 days'"

# For the check: each with the function that it calls.
GUARDS = {
    "requests_app_waiver.waiver_fixed": "requests_app_waiver_fixed",
    "requests_app_waiver.told_waiver": "requests_app_waiver_said",
    "requests_app_owedreview.review_guard": "requests_app_owedreview_guard",
    "requests_app_owedreview.told_review": "requests_app_review_said",
}
# Of the row of that name, as its events say it: `Waiver.what`, and what held, in one text.
KIND_SQL = (
    "CASE WHEN {0}.drill THEN 'emergency drill' WHEN {0}.kind = 'emergency' THEN {0}.kind "
    "ELSE 'automatic approval' END"
)
CONDITIONS_SQL = (
    "(SELECT coalesce(string_agg(held, ' ' ORDER BY place), '') "
    "FROM jsonb_array_elements_text({0}.conditions) WITH ORDINALITY AS said (held, place))"
)

INSTALL = f"""
CREATE FUNCTION public.requests_app_waiver_said() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF NOT EXISTS (
        SELECT FROM public.audit_version told JOIN public.audit_event event ON event.id = told.event_id AND {_NOW}
        WHERE told.subject_kind = 'waiver' AND told.subject_id = NEW.id AND told.version = NEW.version
          AND event.data #>> '{{fields,item_id}}' = NEW.item_id::text
          AND event.data #>> '{{fields,kind}}' = {KIND_SQL.format("NEW")}
          AND CASE NEW.status
              WHEN 'granted' THEN event.data #>> '{{fields,conditions}}' = {CONDITIONS_SQL.format("NEW")}
              WHEN 'refused' THEN event.data #>> '{{fields,reason}}' = NEW.reason
              ELSE true END
    ) THEN
        RAISE EXCEPTION 'waiver: no audit event says what % says', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
CREATE FUNCTION public.requests_app_review_said() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    untold text;
BEGIN
    SELECT said INTO untold FROM unnest(ARRAY[
        CASE WHEN TG_OP = 'INSERT' THEN 'emergency.review_owed' END,
        CASE WHEN NEW.verdict <> '' AND NEW.verdict IS DISTINCT FROM OLD.verdict THEN 'emergency.reviewed' END,
        CASE WHEN NEW.lifted_at IS DISTINCT FROM OLD.lifted_at THEN 'emergency.block_lifted' END,
        CASE WHEN NEW.escalated_at IS DISTINCT FROM OLD.escalated_at THEN 'emergency.review_overdue' END
    ]) AS said
    WHERE said IS NOT NULL AND NOT EXISTS (
        SELECT FROM public.audit_event event
        LEFT JOIN public.identity_person who ON who.object_id = event.actor_oid AND event.actor_oid <> ''
        WHERE event.type = said AND {_NOW} AND event.data #>> '{{fields,review_id}}' = NEW.id::text
          AND CASE said
              WHEN 'emergency.review_owed' THEN
                  (event.data #> '{{fields,panel}}', event.data #> '{{fields,drill}}',
                   public.audit_instant(event.data #>> '{{fields,due_at}}'),
                   public.audit_instant(event.data #>> '{{fields,blocks_at}}'))
                  = (to_jsonb(NEW.panel + 1), to_jsonb(NEW.drill), NEW.due_at, NEW.blocks_at)
              WHEN 'emergency.reviewed' THEN
                  who.id = NEW.reviewed_by_id AND event.data #>> '{{fields,verdict}}' = replace(NEW.verdict, '_', ' ')
              WHEN 'emergency.block_lifted' THEN who.id = NEW.lifted_by_id
              ELSE event.actor_kind = 'system' END
    ) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'review: no audit event % says what % says', untold, NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
REVOKE ALL ON FUNCTION public.requests_app_waiver_said(), public.requests_app_review_said() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER told_waiver AFTER INSERT OR UPDATE OF status ON public.requests_app_waiver
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.requests_app_waiver_said();
CREATE CONSTRAINT TRIGGER told_review AFTER INSERT OR UPDATE ON public.requests_app_owedreview
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.requests_app_review_said();
ALTER TABLE public.requests_app_waiver ENABLE ALWAYS TRIGGER told_waiver;
ALTER TABLE public.requests_app_owedreview ENABLE ALWAYS TRIGGER told_review;
"""  # noqa: S608 - of names that stand here
REMOVE = """
DROP TRIGGER told_waiver ON public.requests_app_waiver;
DROP TRIGGER told_review ON public.requests_app_owedreview;
DROP FUNCTION public.requests_app_waiver_said(), public.requests_app_review_said();
"""
