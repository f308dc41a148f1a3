"""Whom PIM names as approvers of a group is kept with the rest of its settings."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("catalog", "0004_decider_refresh")]

    operations: ClassVar = [
        migrations.AddField("pimgroup", "approver_people", models.JSONField(db_default=[], default=list)),
        migrations.AddField("pimgroup", "approver_groups", models.JSONField(db_default=[], default=list)),
    ]
