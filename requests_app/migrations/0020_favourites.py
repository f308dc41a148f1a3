"""Stars on PIM groups: the web process sets them and takes them away."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("catalog", "0002_as_person"),
        ("identity", "0004_shortcuts"),
        ("requests_app", "0019_held_at_a_minute"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Favourite",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("since", models.DateTimeField()),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="catalog.pimgroup"
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="favourites",
                        to="identity.person",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("person", "group"), name="favourite_once"),
                ],
            },
        ),
        GrantRights("requests_app_favourite", web="SELECT, INSERT, DELETE", worker="SELECT"),
    ]
