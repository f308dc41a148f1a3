"""Rights: the web process learns of people at sign-in and keeps sessions; the worker keeps the directory."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0001_initial")]

    operations: ClassVar = [
        GrantRights(
            "identity_person",
            # Only what an ID token says: whether somebody is enabled is for the directory to say.
            web="SELECT, INSERT, UPDATE (display_name, user_principal_name)",
            worker="SELECT, INSERT, UPDATE",
        ),
        GrantRights("identity_directorygroup", web="SELECT", worker="SELECT, INSERT, UPDATE"),
        GrantRights("identity_directorymembership", web="SELECT", worker="SELECT, INSERT, DELETE"),
        GrantRights(
            "identity_user",
            web="SELECT, INSERT, UPDATE (app_roles, last_login)",
            worker="SELECT, UPDATE (is_active)",
        ),
        GrantRights(
            "identity_signin", web="SELECT, INSERT, UPDATE (seen_at), DELETE", worker="SELECT, DELETE"
        ),
    ]
