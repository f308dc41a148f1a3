"""People's own tokens, sealed: the web process puts them in and takes them out, and can't read them."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0002_rights")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ActivationMode",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("group_object_id", models.CharField(max_length=36, unique=True)),
                ("as_person", models.BooleanField()),
                ("changed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="PersonalToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sealed", models.BinaryField()),
                ("key_id", models.CharField(max_length=16)),
                ("stored_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="personal_token",
                        to="identity.person",
                    ),
                ),
            ],
        ),
        GrantRights("identity_activationmode", web="SELECT", worker="SELECT, INSERT, UPDATE"),
        GrantRights(
            "identity_personaltoken",
            web="SELECT (id, person_id, key_id, stored_at, expires_at), INSERT, DELETE",
            worker="SELECT, UPDATE (sealed, key_id), DELETE",
        ),
    ]
