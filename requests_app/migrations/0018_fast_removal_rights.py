"""The web process may want a fast removal, and no more; an end moves by one interval, whatever the revision's number."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights
from requests_app.guards import InstallGuards

TABLE = "requests_app_fastremoval"
ASKED = """
CREATE OR REPLACE FUNCTION requests_app_fast_removal_asked() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF current_user = 'portal_web' AND (
        NEW.entra_read_at IS NOT NULL OR NEW.next_action_at IS NOT NULL OR NEW.closed_at IS NOT NULL
        OR NEW.outcome <> '' OR NEW.reason <> 'operator'
    ) THEN
        RAISE EXCEPTION 'fast removal: only a worker that has read Entra clears it'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$guard$;
DROP TRIGGER IF EXISTS asked_guard ON requests_app_fastremoval;
CREATE TRIGGER asked_guard BEFORE INSERT OR UPDATE ON requests_app_fastremoval
    FOR EACH ROW EXECUTE FUNCTION requests_app_fast_removal_asked()
"""
UNASKED = (
    "DROP TRIGGER asked_guard ON requests_app_fastremoval; DROP FUNCTION requests_app_fast_removal_asked()"
)
COLUMNS = "reason, wanted_at, entra_read_at, closed_at, outcome, problem, next_action_at"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0017_severer_indexes")]

    operations: ClassVar = [
        InstallGuards("71575c6ebe81"),
        migrations.RunSQL(
            f'REVOKE UPDATE ON "{TABLE}" FROM portal_web', f'GRANT UPDATE ON "{TABLE}" TO portal_web'
        ),
        GrantRights(TABLE, web=f"UPDATE ({COLUMNS})"),
        migrations.RunSQL(ASKED, UNASKED),
    ]
