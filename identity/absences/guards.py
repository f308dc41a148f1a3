"""Postgres holds an absence too: what was declared is never rewritten, and every version has its event."""

ABSENCE_SQL = """
CREATE OR REPLACE FUNCTION identity_absence_guard() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'absence: never deleted' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'INSERT' THEN
        IF NEW.version <> 1 THEN
            RAISE EXCEPTION 'absence: begins as one that stands' USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS (
            SELECT 1 FROM identity_person away JOIN identity_person other
                ON btrim(other.employee_id) <> '' AND lower(btrim(other.employee_id)) = lower(btrim(away.employee_id))
            WHERE away.id = NEW.person_id AND other.id = NEW.delegate_id
        ) THEN
            RAISE EXCEPTION 'absence: nobody is their own delegate' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.withdrawn_at IS NOT NULL OR NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'absence: it is withdrawn once and never changes' USING ERRCODE = 'check_violation';
    END IF;
    IF (NEW.id, NEW.person_id, NEW.delegate_id, NEW.begins_at, NEW.ends_at, NEW.declared_by_id, NEW.declared_at)
       IS DISTINCT FROM
       (OLD.id, OLD.person_id, OLD.delegate_id, OLD.begins_at, OLD.ends_at, OLD.declared_by_id, OLD.declared_at) THEN
        RAISE EXCEPTION 'absence: what was declared never changes' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER absence_guard BEFORE INSERT OR UPDATE OR DELETE ON identity_absence
    FOR EACH ROW EXECUTE FUNCTION identity_absence_guard();
CREATE CONSTRAINT TRIGGER absence_event AFTER INSERT OR UPDATE OF version ON identity_absence
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_require_event('absence');
ALTER TABLE identity_absence ENABLE ALWAYS TRIGGER absence_guard;
ALTER TABLE identity_absence ENABLE ALWAYS TRIGGER absence_event;
"""

UNDO_SQL = """
DROP TRIGGER absence_event ON identity_absence;
DROP TRIGGER absence_guard ON identity_absence;
DROP FUNCTION identity_absence_guard();
"""
