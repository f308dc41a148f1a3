"""Pages may wish that those who decide be read afresh."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("catalog", "0003_judgements")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="DeciderRefresh",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("object_id", models.CharField(max_length=36, unique=True)),
                ("asked_at", models.DateTimeField()),
                ("owed", models.BooleanField()),
                ("lease_until", models.DateTimeField(null=True)),
            ],
        ),
        GrantRights(
            "catalog_deciderrefresh",
            web="SELECT, INSERT, UPDATE (asked_at, owed)",
            worker="SELECT, UPDATE (owed, lease_until)",
        ),
    ]
