"""Rules that can't reach their quorum, and the alert of them."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("oversight", "0005_rule_changes"), ("policy", "0001_initial")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="RuleOutOfReach",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("sentence", models.TextField()),
                ("found_at", models.DateTimeField()),
                (
                    "rule",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="policy.rule"
                    ),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("overdue", "Access past its end"),
                    ("stuck", "Owed work that nobody does"),
                    ("quarantine", "Nothing is carried to AWS"),
                    ("drift", "Dangerous drift"),
                    ("ends_soon", "A credential ends soon"),
                    ("seal_lag", "The audit trail is not sealed"),
                    ("anchor_lag", "Seals are not anchored"),
                    ("breaker", "A cloud does not answer"),
                    ("out_of_reach", "A rule that nobody can decide by"),
                ],
                max_length=12,
            ),
        ),
        GrantRights("oversight_ruleoutofreach", web="SELECT", worker="SELECT, INSERT, UPDATE, DELETE"),
    ]
