"""Postgres holds who decides in an access review: a reviewer of the PIM group, while it is open, and never on their own."""

from __future__ import annotations

from identity.humans import same_human_sql

ENTRY_SQL = f"""
CREATE OR REPLACE FUNCTION reviews_reviewentry_decider() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF NEW.decided_by_id IS NULL THEN
        IF TG_OP = 'UPDATE' AND OLD.decided_by_id IS NOT NULL THEN
            RAISE EXCEPTION 'review entry: a word is replaced, never taken back' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF EXISTS (
        SELECT 1 FROM identity_person whose JOIN identity_person decider ON {same_human_sql("whose", "decider")}
        WHERE whose.id = NEW.person_id AND decider.id = NEW.decided_by_id
    ) THEN
        RAISE EXCEPTION 'review entry: nobody reviews their own access' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM reviews_reviewer reviewer JOIN reviews_campaign campaign ON campaign.id = reviewer.campaign_id
        WHERE reviewer.campaign_id = NEW.campaign_id AND reviewer.group_id = NEW.group_id
          AND reviewer.person_id = NEW.decided_by_id AND campaign.closed_at IS NULL
    ) THEN
        RAISE EXCEPTION 'review entry: decided by a reviewer of the group, while the review is open'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER decider BEFORE INSERT OR UPDATE OF campaign_id, person_id, group_id, verdict, decided_by_id, decided_at
    ON reviews_reviewentry FOR EACH ROW EXECUTE FUNCTION reviews_reviewentry_decider();
ALTER TABLE reviews_reviewentry ENABLE ALWAYS TRIGGER decider;
"""  # noqa: S608 - made from names that stand here

UNDO_SQL = """
DROP TRIGGER decider ON reviews_reviewentry;
DROP FUNCTION reviews_reviewentry_decider();
"""

# What a review is of comes when it starts and never changes; its first reviewers come with it, others with an event of their
# own. Looked for among the starts of earlier transactions, so that a start of thousands of entries is one look-up. They are
# a definer's functions: whoever reviews need not read the trail.
_STARTED = """SELECT FROM public.audit_event event WHERE event.type = 'review.started'
        AND event.at < transaction_timestamp() AND event.data #>> '{fields,campaign_id}' = """
# The event may have gone with its month by then.
_CLOSED = (
    "SELECT FROM public.reviews_campaign campaign WHERE campaign.closed_at IS NOT NULL AND campaign.id = "
)
TOLD_SQL = f"""
CREATE FUNCTION public.reviews_entries_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT campaign_id FROM added) AS each
               WHERE EXISTS ({_STARTED} each.campaign_id::text) OR EXISTS ({_CLOSED} each.campaign_id)) THEN
        RAISE EXCEPTION 'review entry: what a review is of comes when it starts'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
CREATE FUNCTION public.reviews_said_once() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION '%: what a review began with stays; the % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$guard$;
CREATE FUNCTION public.reviews_reviewer_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    whose public.reviews_reviewer := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
BEGIN
    IF TG_OP = 'INSERT' AND NOT EXISTS ({_STARTED} whose.campaign_id::text) THEN
        RETURN NULL;
    END IF;
    IF NOT EXISTS (
        SELECT FROM public.audit_event event
        JOIN public.identity_person person ON person.object_id = event.about_oid
        JOIN public.catalog_pimgroup pim ON pim.object_id = event.group_oid
        WHERE event.at >= transaction_timestamp() AND event.at < transaction_timestamp() + interval '2 days'
          AND event.type = CASE TG_OP WHEN 'DELETE' THEN 'review.reviewer_removed' ELSE 'review.reviewer_added' END
          AND person.id = whose.person_id AND pim.id = whose.group_id
          AND event.data #>> '{{fields,campaign_id}}' = whose.campaign_id::text
    ) THEN
        RAISE EXCEPTION 'reviewer: no audit event says how they came or went; the % is refused', TG_OP
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
REVOKE ALL ON FUNCTION public.reviews_entries_told(), public.reviews_said_once(), public.reviews_reviewer_told()
    FROM PUBLIC;
CREATE TRIGGER told AFTER INSERT ON public.reviews_reviewentry
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.reviews_entries_told();
CREATE TRIGGER said_once BEFORE UPDATE ON public.reviews_reviewentry FOR EACH ROW
    WHEN ((OLD.id, OLD.campaign_id, OLD.person_id, OLD.group_id, OLD.through, OLD.direct, OLD.ends_at)
          IS DISTINCT FROM (NEW.id, NEW.campaign_id, NEW.person_id, NEW.group_id, NEW.through, NEW.direct, NEW.ends_at))
    EXECUTE FUNCTION public.reviews_said_once();
CREATE TRIGGER stays BEFORE DELETE ON public.reviews_reviewentry
    FOR EACH ROW EXECUTE FUNCTION public.reviews_said_once();
CREATE CONSTRAINT TRIGGER told AFTER INSERT OR DELETE ON public.reviews_reviewer
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.reviews_reviewer_told();
CREATE TRIGGER said_once BEFORE UPDATE ON public.reviews_reviewer
    FOR EACH ROW EXECUTE FUNCTION public.reviews_said_once();
ALTER TABLE public.reviews_reviewentry ENABLE ALWAYS TRIGGER told, ENABLE ALWAYS TRIGGER said_once,
    ENABLE ALWAYS TRIGGER stays;
ALTER TABLE public.reviews_reviewer ENABLE ALWAYS TRIGGER told, ENABLE ALWAYS TRIGGER said_once;
"""  # noqa: S608 - made from names that stand here
# Who reviews as an owner, and which groups have none and why, is said by the start as well, and never changes.
CHOICE_SQL = f"""
CREATE FUNCTION public.reviews_owners_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF EXISTS (SELECT FROM (SELECT DISTINCT campaign_id FROM added WHERE as_owner) AS each
               WHERE EXISTS ({_STARTED} each.campaign_id::text) OR EXISTS ({_CLOSED} each.campaign_id)) THEN
        RAISE EXCEPTION 'reviewer: who reviews as an owner comes when it starts'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$guard$;
REVOKE ALL ON FUNCTION public.reviews_owners_told() FROM PUBLIC;
CREATE TRIGGER owners_told AFTER INSERT ON public.reviews_reviewer
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.reviews_owners_told();
CREATE TRIGGER told AFTER INSERT ON public.reviews_unowned
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.reviews_entries_told();
CREATE TRIGGER said_once BEFORE UPDATE OR DELETE ON public.reviews_unowned
    FOR EACH ROW EXECUTE FUNCTION public.reviews_said_once();
CREATE TRIGGER said_once BEFORE UPDATE ON public.reviews_campaign FOR EACH ROW
    WHEN (OLD.reviewed_by IS DISTINCT FROM NEW.reviewed_by) EXECUTE FUNCTION public.reviews_said_once();
ALTER TABLE public.reviews_reviewer ENABLE ALWAYS TRIGGER owners_told;
ALTER TABLE public.reviews_unowned ENABLE ALWAYS TRIGGER told, ENABLE ALWAYS TRIGGER said_once;
ALTER TABLE public.reviews_campaign ENABLE ALWAYS TRIGGER said_once;
"""  # noqa: S608 - likewise
NO_CHOICE_SQL = """
DROP TRIGGER owners_told ON public.reviews_reviewer;
DROP TRIGGER told ON public.reviews_unowned;
DROP TRIGGER said_once ON public.reviews_unowned;
DROP TRIGGER said_once ON public.reviews_campaign;
DROP FUNCTION public.reviews_owners_told();
"""
# For the check: each with the function that it calls.
GUARDS = {
    "reviews_reviewentry.decider": "reviews_reviewentry_decider",
    "reviews_reviewentry.told": "reviews_entries_told",
    "reviews_reviewentry.said_once": "reviews_said_once",
    "reviews_reviewentry.stays": "reviews_said_once",
    "reviews_reviewer.told": "reviews_reviewer_told",
    "reviews_reviewer.said_once": "reviews_said_once",
    "reviews_reviewer.owners_told": "reviews_owners_told",
    "reviews_unowned.told": "reviews_entries_told",
    "reviews_unowned.said_once": "reviews_said_once",
    "reviews_campaign.said_once": "reviews_said_once",
}
NOT_TOLD_SQL = """
DROP TRIGGER told ON public.reviews_reviewentry;
DROP TRIGGER said_once ON public.reviews_reviewentry;
DROP TRIGGER stays ON public.reviews_reviewentry;
DROP TRIGGER told ON public.reviews_reviewer;
DROP TRIGGER said_once ON public.reviews_reviewer;
DROP FUNCTION public.reviews_entries_told(), public.reviews_said_once(), public.reviews_reviewer_told();
"""
