"""Postgres holds what goes without an approval: no item is approved without enough decisions or a settled waiver.

Whatever process or statement tries it: nobody but a worker settles one, a drill is never approved nor decided on, and
nobody reviews, or lifts, what any account of theirs used.
"""

from __future__ import annotations

from audit.ledger.row_words import ERASURE_PASSES
from identity.humans import same_human_sql
from requests_app.guards import WRITTEN
from requests_app.lifecycle import WAIVER

# Every stage of the terms has as many counted approvals as its quorum says; or a worker found that none is needed.
APPROVED_SQL = """
CREATE OR REPLACE FUNCTION requests_app_item_approved() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
    waived record;
BEGIN
    IF NEW.status = OLD.status OR NEW.status NOT IN ('approved', 'drilled') THEN
        RETURN NEW;
    END IF;
    SELECT waiver.drill INTO waived FROM requests_app_waiver waiver
        WHERE waiver.item_id = NEW.id AND waiver.status = 'granted';
    IF FOUND AND waived.drill = (NEW.status = 'drilled') THEN
        RETURN NEW;
    END IF;
    IF NEW.status = 'drilled' THEN
        RAISE EXCEPTION 'item: only a drill that a worker has checked ends as one' USING ERRCODE = 'check_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM requests_app_waiver waiver WHERE waiver.item_id = NEW.id AND waiver.drill) THEN
        RAISE EXCEPTION 'item: a drill grants nothing' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM policy_terms terms
        WHERE terms.id = NEW.terms_id AND jsonb_array_length(terms.demands -> 'stages') > 0
    ) OR EXISTS (
        SELECT 1 FROM policy_terms terms,
            jsonb_array_elements(terms.demands -> 'stages') WITH ORDINALITY AS stage(says, place)
        WHERE terms.id = NEW.terms_id AND (stage.says ->> 'quorum')::int > (
            SELECT count(*) FROM requests_app_decision word
            WHERE word.item_id = NEW.id AND word.stage = stage.place - 1
              AND word.status = 'counted' AND word.verdict = 'approve'
        )
    ) THEN
        RAISE EXCEPTION 'item: not approved by as many as its terms demand, and not waived'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER needs_approvals BEFORE UPDATE OF status ON requests_app_requestitem
    FOR EACH ROW EXECUTE FUNCTION requests_app_item_approved();
ALTER TABLE requests_app_requestitem ENABLE ALWAYS TRIGGER needs_approvals;

CREATE OR REPLACE FUNCTION requests_app_decision_no_drill() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF EXISTS (SELECT 1 FROM requests_app_waiver waiver WHERE waiver.item_id = NEW.item_id AND waiver.drill) THEN
        RAISE EXCEPTION 'decision: nobody decides on a drill' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER no_drill BEFORE INSERT OR UPDATE OF item_id ON requests_app_decision
    FOR EACH ROW EXECUTE FUNCTION requests_app_decision_no_drill();
ALTER TABLE requests_app_decision ENABLE ALWAYS TRIGGER no_drill;
"""

WAIVER_SQL = f"""
{"".join(write(WAIVER) for write in WRITTEN)}
CREATE OR REPLACE FUNCTION requests_app_waiver_fixed() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN{ERASURE_PASSES}
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'waiver: never deleted' USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.item_id, NEW.kind, NEW.drill, NEW.why, NEW.submitted_at)
       IS DISTINCT FROM (OLD.item_id, OLD.kind, OLD.drill, OLD.why, OLD.submitted_at) THEN
        RAISE EXCEPTION 'waiver: what was asked for never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.status <> 'submitted' THEN
        RAISE EXCEPTION 'waiver: what is settled never changes' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER waiver_fixed BEFORE UPDATE OR DELETE ON requests_app_waiver
    FOR EACH ROW EXECUTE FUNCTION requests_app_waiver_fixed();
ALTER TABLE requests_app_waiver ENABLE ALWAYS TRIGGER waiver_fixed;
"""

REVIEW_SQL = f"""
CREATE OR REPLACE FUNCTION requests_app_owedreview_guard() RETURNS trigger LANGUAGE plpgsql AS $guard$
DECLARE
    steps integer := 0;
BEGIN{ERASURE_PASSES}
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'review: never deleted' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.version <> 1 OR NEW.verdict <> '' OR NEW.lifted_at IS NOT NULL OR NEW.escalated_at IS NOT NULL
           OR NOT EXISTS (
            SELECT 1 FROM requests_app_waiver waiver JOIN requests_app_requestitem item ON item.id = waiver.item_id
            WHERE waiver.id = NEW.waiver_id AND waiver.status = 'granted' AND waiver.kind = 'emergency'
              AND waiver.drill = NEW.drill AND item.requester_id = NEW.person_id
        ) THEN
            RAISE EXCEPTION 'review: owed by nobody for this' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.waiver_id, NEW.panel, NEW.person_id, NEW.drill, NEW.owed_at, NEW.due_at, NEW.blocks_at)
       IS DISTINCT FROM
       (OLD.id, OLD.waiver_id, OLD.panel, OLD.person_id, OLD.drill, OLD.owed_at, OLD.due_at, OLD.blocks_at)
       OR (OLD.escalated_at IS NOT NULL AND NEW.escalated_at IS DISTINCT FROM OLD.escalated_at) THEN
        RAISE EXCEPTION 'review: what is owed, and until when, never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.verdict, NEW.comment, NEW.reviewed_by_id, NEW.reviewed_at)
       IS DISTINCT FROM (OLD.verdict, OLD.comment, OLD.reviewed_by_id, OLD.reviewed_at) THEN
        IF OLD.verdict <> '' THEN
            RAISE EXCEPTION 'review: a verdict never changes' USING ERRCODE = 'check_violation';
        END IF;
        steps := steps + 1;
    END IF;
    IF (NEW.lifted_by_id, NEW.lifted_at, NEW.lift_reason)
       IS DISTINCT FROM (OLD.lifted_by_id, OLD.lifted_at, OLD.lift_reason) THEN
        IF OLD.lifted_at IS NOT NULL OR OLD.verdict <> '' THEN
            RAISE EXCEPTION 'review: what is lifted or reviewed is not lifted again' USING ERRCODE = 'check_violation';
        END IF;
        steps := steps + 1;
    END IF;
    IF NEW.version <> OLD.version + steps OR steps > 1 THEN
        RAISE EXCEPTION 'review: version % does not follow %', NEW.version, OLD.version
            USING ERRCODE = 'check_violation';
    END IF;
    IF steps = 1 AND EXISTS (
        SELECT 1 FROM identity_person whose JOIN identity_person other ON {same_human_sql("whose", "other")}
        WHERE whose.id = NEW.person_id AND other.id IN (NEW.reviewed_by_id, NEW.lifted_by_id)
    ) THEN
        RAISE EXCEPTION 'review: nobody reviews or lifts their own' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER review_guard BEFORE INSERT OR UPDATE OR DELETE ON requests_app_owedreview
    FOR EACH ROW EXECUTE FUNCTION requests_app_owedreview_guard();
CREATE CONSTRAINT TRIGGER review_event AFTER INSERT OR UPDATE OF version ON requests_app_owedreview
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_require_event('owed_review');
ALTER TABLE requests_app_owedreview ENABLE ALWAYS TRIGGER review_guard;
ALTER TABLE requests_app_owedreview ENABLE ALWAYS TRIGGER review_event;
"""  # noqa: S608 - made from names that stand here

UNDO_SQL = """
DROP TRIGGER no_drill ON requests_app_decision;
DROP FUNCTION requests_app_decision_no_drill();
DROP TRIGGER needs_approvals ON requests_app_requestitem;
DROP FUNCTION requests_app_item_approved();
"""
