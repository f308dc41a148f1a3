"""Whose manager is whom, for rules that have the requester's manager decide."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0006_absence_subject")]

    operations: ClassVar = [
        migrations.AddField(
            "person",
            "manager_object_id",
            models.CharField(blank=True, db_default="", default="", max_length=36),
        ),
        migrations.AddField("person", "manager_read_at", models.DateTimeField(null=True)),
    ]
