"""Postgres holds a freeze too, against the wrong process, a bulk write and raw SQL alike.

Who lifts is another human than who froze, and never the one who is frozen; what was written is never rewritten; a
lifted row never changes, but for words that are erased; and no grant starts to be assigned while a freeze holds for it.
"""

from __future__ import annotations

from audit.ledger.row_words import ERASURE_PASSES
from identity.humans import same_human_sql

FREEZE_SQL = f"""
CREATE OR REPLACE FUNCTION requests_app_freeze_guard() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN{ERASURE_PASSES}
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'freeze: never deleted' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.version <> 1 OR NEW.lifted_at IS NOT NULL OR NEW.carried_at IS NOT NULL
           OR NEW.grants_ended <> 0 OR NEW.items_closed <> 0 THEN
            RAISE EXCEPTION 'freeze: begins as one that holds' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.lifted_at IS NOT NULL THEN
        RAISE EXCEPTION 'freeze: what is lifted never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.id, NEW.kind, NEW.subject, NEW.subject_name, NEW.frozen_by_id, NEW.frozen_at, NEW.reason)
       IS DISTINCT FROM
       (OLD.id, OLD.kind, OLD.subject, OLD.subject_name, OLD.frozen_by_id, OLD.frozen_at, OLD.reason) THEN
        RAISE EXCEPTION 'freeze: what was frozen, by whom and why never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.carried_at IS NOT NULL AND NEW.carried_at IS DISTINCT FROM OLD.carried_at
       OR NEW.grants_ended < OLD.grants_ended OR NEW.items_closed < OLD.items_closed THEN
        RAISE EXCEPTION 'freeze: what was done about it is not taken back' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.lifted_at IS NULL THEN
        IF NEW.version <> OLD.version THEN
            RAISE EXCEPTION 'freeze: a version counts status changes only' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'freeze: version % does not follow %', NEW.version, OLD.version
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.carried_at IS NULL THEN
        RAISE EXCEPTION 'freeze: what was open is still being ended' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (
        SELECT 1 FROM identity_person lifter JOIN identity_person other
            ON {same_human_sql("lifter", "other")}
        WHERE lifter.id = NEW.lifted_by_id
          AND (other.id = OLD.frozen_by_id OR (OLD.kind = 'person' AND other.object_id = OLD.subject))
    ) THEN
        RAISE EXCEPTION 'freeze: lifted by a second operator, not by who froze or is frozen'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER freeze_guard BEFORE INSERT OR UPDATE OR DELETE ON requests_app_freeze
    FOR EACH ROW EXECUTE FUNCTION requests_app_freeze_guard();
CREATE CONSTRAINT TRIGGER freeze_event AFTER INSERT OR UPDATE OF version ON requests_app_freeze
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_require_event('freeze');
ALTER TABLE requests_app_freeze ENABLE ALWAYS TRIGGER freeze_guard;
ALTER TABLE requests_app_freeze ENABLE ALWAYS TRIGGER freeze_event;

CREATE OR REPLACE FUNCTION requests_app_grant_frozen() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    -- With PIM's schedule on it, the assignment was found there: it is recorded, to be taken away.
    IF NEW.status = 'activating' AND OLD.status <> 'activating' AND NEW.pim_schedule_id = '' AND EXISTS (
        SELECT 1 FROM requests_app_freeze held
        WHERE held.lifted_at IS NULL AND (
            (held.kind = 'person' AND EXISTS (
                SELECT 1 FROM identity_person holder JOIN identity_person same
                    ON {same_human_sql("holder", "same")}
                WHERE holder.id = NEW.person_id AND same.object_id = held.subject))
            OR (held.kind = 'account' AND EXISTS (
                SELECT 1 FROM catalog_accountassignment opened JOIN catalog_awsaccount account
                    ON account.id = opened.account_id
                WHERE opened.group_id = NEW.group_id AND account.account_id = held.subject))
            OR (held.kind = 'permission_set' AND EXISTS (
                SELECT 1 FROM catalog_accountassignment opened JOIN catalog_permissionset made
                    ON made.id = opened.permission_set_id
                WHERE opened.group_id = NEW.group_id AND made.arn = held.subject))
        )
    ) THEN
        RAISE EXCEPTION 'grant: frozen in an incident, so it is not started' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER frozen BEFORE UPDATE OF status ON requests_app_grant
    FOR EACH ROW EXECUTE FUNCTION requests_app_grant_frozen();
ALTER TABLE requests_app_grant ENABLE ALWAYS TRIGGER frozen;
"""  # noqa: S608 - made from names that stand here

UNDO_SQL = """
DROP TRIGGER IF EXISTS frozen ON requests_app_grant;
DROP FUNCTION IF EXISTS requests_app_grant_frozen();
DROP TRIGGER IF EXISTS freeze_event ON requests_app_freeze;
DROP TRIGGER IF EXISTS freeze_guard ON requests_app_freeze;
DROP FUNCTION IF EXISTS requests_app_freeze_guard();
"""
