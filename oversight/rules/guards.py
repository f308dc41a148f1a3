"""Postgres holds a change of rules too, against the wrong process, a bulk write and raw SQL alike.

What was proposed never changes, each step leads where the table says and is taken by the process that may, and who
accepts or rejects is another human than who proposed.
"""

from __future__ import annotations

from audit.ledger.row_words import ERASURE_PASSES
from identity.humans import same_human_sql

CHANGE_SQL = f"""
CREATE OR REPLACE FUNCTION oversight_rulechange_guard() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
    mover text;
BEGIN{ERASURE_PASSES}
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'rule change: never deleted' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.version <> 1 OR NEW.decided_by_id IS NOT NULL THEN
            RAISE EXCEPTION 'rule change: begins undecided' USING ERRCODE = 'check_violation';
        END IF;
        -- Neither are numbers so long, nor values in so many others, that no process could read the row any more.
        IF jsonb_typeof(NEW.rules) <> 'object' OR jsonb_typeof(NEW.base) <> 'object'
           OR concat(NEW.rules, NEW.base, NEW.wrote) ~ '[0-9]{{255}}'
           OR jsonb_path_exists(jsonb_build_array(NEW.rules, NEW.base, NEW.wrote), '$.**{{30 to last}}') THEN
            RAISE EXCEPTION 'rule change: begins as rules by name, made from versions by name'
                USING ERRCODE = 'check_violation';
        END IF;
        IF NEW.status = 'proposed' AND NEW.proposed_by_id IS NOT NULL THEN
            IF NEW.wrote <> '[]' OR NEW.problem <> '' OR NEW.decided_at IS NOT NULL OR NEW.decision_reason <> '' THEN
                RAISE EXCEPTION 'rule change: begins before anything came of it'
                    USING ERRCODE = 'check_violation';
            END IF;
            RETURN NEW;
        END IF;
        IF NEW.status = 'applied' AND NEW.proposed_by_id IS NULL AND current_user = 'portal_worker'
           AND NOT EXISTS (SELECT 1 FROM oversight_rulechange) THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'rule change: begins as a proposal of somebody; only the very first rules are loaded'
            USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.id, NEW.rules, NEW.base, NEW.proposed_by_id, NEW.proposed_at, NEW.reason, NEW.restores_id)
       IS DISTINCT FROM
       (OLD.id, OLD.rules, OLD.base, OLD.proposed_by_id, OLD.proposed_at, OLD.reason, OLD.restores_id) THEN
        RAISE EXCEPTION 'rule change: what was proposed, by whom and why never changes'
            USING ERRCODE = 'check_violation';
    END IF;
    SELECT edge.mover INTO mover FROM (VALUES
        ('proposed', 'accepted', 'portal_web'),
        ('proposed', 'rejected', 'portal_web'),
        ('proposed', 'withdrawn', 'portal_web'),
        ('proposed', 'stale', 'portal_worker'),
        ('accepted', 'stale', 'portal_worker'),
        ('accepted', 'applied', 'portal_worker')
    ) AS edge(source, target, mover) WHERE edge.source = OLD.status AND edge.target = NEW.status;
    IF mover IS NULL OR NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'rule change: no step from "%" to "%" as version %', OLD.status, NEW.status, NEW.version
            USING ERRCODE = 'check_violation';
    END IF;
    IF current_user <> mover THEN
        RAISE EXCEPTION 'rule change: % may not move "%" to "%"', current_user, OLD.status, NEW.status
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF OLD.status = 'accepted' AND (NEW.decided_by_id, NEW.decided_at, NEW.decision_reason)
       IS DISTINCT FROM (OLD.decided_by_id, OLD.decided_at, OLD.decision_reason) THEN
        RAISE EXCEPTION 'rule change: who decided never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status IN ('accepted', 'rejected') AND EXISTS (
        SELECT 1 FROM identity_person decider JOIN identity_person same
            ON {same_human_sql("decider", "same")}
        WHERE decider.id = NEW.decided_by_id AND same.id = OLD.proposed_by_id
    ) THEN
        RAISE EXCEPTION 'rule change: decided by a second operator, not by who proposed it'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER rulechange_guard BEFORE INSERT OR UPDATE OR DELETE ON oversight_rulechange
    FOR EACH ROW EXECUTE FUNCTION oversight_rulechange_guard();
CREATE CONSTRAINT TRIGGER rulechange_event AFTER INSERT OR UPDATE ON oversight_rulechange
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_require_event('rule_change');
ALTER TABLE oversight_rulechange ENABLE ALWAYS TRIGGER rulechange_guard;
ALTER TABLE oversight_rulechange ENABLE ALWAYS TRIGGER rulechange_event;
"""  # noqa: S608 - made from names that stand here

UNDO_SQL = """
DROP TRIGGER IF EXISTS rulechange_event ON oversight_rulechange;
DROP TRIGGER IF EXISTS rulechange_guard ON oversight_rulechange;
DROP FUNCTION IF EXISTS oversight_rulechange_guard();
"""
