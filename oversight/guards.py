"""What Postgres itself refuses about findings: a status without its version, a version without its event."""

from __future__ import annotations

FINDING_SQL = """
CREATE FUNCTION public.oversight_finding_guard() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.version <> 1 OR NEW.status <> 'open' THEN
            RAISE EXCEPTION 'finding: begins open, at version 1' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.version <> OLD.version + (NEW.status <> OLD.status)::integer THEN
        RAISE EXCEPTION 'finding: a version counts status changes, each by one' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$guard$;
CREATE TRIGGER finding_guard BEFORE INSERT OR UPDATE ON public.oversight_finding
    FOR EACH ROW EXECUTE FUNCTION public.oversight_finding_guard();
CREATE CONSTRAINT TRIGGER finding_event AFTER INSERT OR UPDATE OF status, version ON public.oversight_finding
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.audit_require_event('finding');
ALTER TABLE public.oversight_finding ENABLE ALWAYS TRIGGER finding_guard;
ALTER TABLE public.oversight_finding ENABLE ALWAYS TRIGGER finding_event;
"""

UNDO_SQL = """
DROP TRIGGER finding_event ON public.oversight_finding;
DROP TRIGGER finding_guard ON public.oversight_finding;
DROP FUNCTION public.oversight_finding_guard();
"""
