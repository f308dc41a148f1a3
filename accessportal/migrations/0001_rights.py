"""Rights on the tables of Django and allauth: what sign-in and sessions need, and nothing else."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("sessions", "0001_initial"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]

    operations: ClassVar = [
        GrantRights("django_session", web="SELECT, INSERT, UPDATE, DELETE", worker="SELECT, DELETE"),
        # Rows here only say that somebody has signed in before; what a person is stands in identity.
        GrantRights("socialaccount_socialaccount", web="SELECT, INSERT, UPDATE"),
    ]
