"""What permission sets allow, judged, and the AWS managed policies that they name."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights

_SYNC = "SELECT, INSERT, UPDATE, DELETE"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("catalog", "0002_as_person")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ManagedPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("arn", models.CharField(max_length=512, unique=True)),
                ("version", models.CharField(blank=True, max_length=24)),
                ("document", models.TextField(blank=True)),
                ("read_at", models.DateTimeField(null=True)),
                ("problem", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="Judgement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("basis", models.CharField(max_length=64)),
                ("content_hash", models.CharField(max_length=64)),
                ("actions", models.CharField(max_length=16)),
                ("wide", models.BinaryField()),
                ("named", models.BinaryField()),
                ("conditional", models.BinaryField()),
                ("findings", models.JSONField(default=list)),
                ("unknown", models.JSONField(default=list)),
                ("strangers", models.JSONField(default=list)),
                ("bounded", models.BooleanField(default=False)),
                ("judged_at", models.DateTimeField()),
                (
                    "permission_set",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="judgement",
                        to="catalog.permissionset",
                    ),
                ),
            ],
        ),
        # Documents are the worker's alone; pages read what was made of them.
        GrantRights("catalog_managedpolicy", worker=_SYNC),
        GrantRights("catalog_judgement", web="SELECT", worker=_SYNC),
    ]
