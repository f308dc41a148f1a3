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
