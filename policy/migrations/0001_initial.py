from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights
from policy import guards


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = []

    operations: ClassVar = [
        migrations.CreateModel(
            name="Rule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=128, unique=True)),
                ("retired", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="RuleVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("document", models.JSONField()),
                ("document_hash", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=128)),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="policy.rule"
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="rule",
            name="current",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="policy.ruleversion",
            ),
        ),
        migrations.AddConstraint(
            model_name="ruleversion",
            constraint=models.UniqueConstraint(fields=("rule", "number"), name="rule_version_number_once"),
        ),
        # Versions are written once. The worker's rights are those of the command that loads rules.
        GrantRights("policy_rule", web="SELECT", worker="SELECT, INSERT, UPDATE"),
        GrantRights("policy_ruleversion", web="SELECT", worker="SELECT, INSERT"),
        migrations.RunSQL(guards.INSTALL, guards.REMOVE),
    ]
