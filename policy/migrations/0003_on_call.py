"""Who is on call, as a source outside the portal says: workers write it, pages read it."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("policy", "0002_terms")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="OnCallShift",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("schedule", models.CharField(max_length=64)),
                ("people", models.JSONField()),
                ("problem", models.TextField(blank=True)),
                ("begun_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["schedule", "begun_at"], name="on_call_by_schedule")],
            },
        ),
        GrantRights("policy_oncallshift", web="SELECT", worker="SELECT, INSERT, UPDATE (seen_at)"),
    ]
