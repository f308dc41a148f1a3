"""Who owns a PIM group in Entra, as last read."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("catalog", "0006_watched")]

    operations: ClassVar = [
        migrations.AddField("pimgroup", "owners_read_at", models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="GroupOwner",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="owners",
                        to="catalog.pimgroup",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="identity.person"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("group", "person"), name="group_owner_once"),
                ],
            },
        ),
        GrantRights("catalog_groupowner", web="SELECT", worker="SELECT, INSERT, UPDATE, DELETE"),
    ]
