import uuid

import django.db.models.deletion
from django.db import migrations, models

from audit.ledger.subjects import AttachSubject
from base.migration_operations import GrantRights
from oversight.rules.guards import CHANGE_SQL, UNDO_SQL


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0003_personal"),
        ("ledger", "0004_subjects"),
        ("oversight", "0004_finding_guards"),
    ]

    operations = [
        migrations.CreateModel(
            name="RuleChange",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("version", models.IntegerField(default=1)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("proposed", "Waits for a second operator"),
                            ("accepted", "Accepted, about to be applied"),
                            ("applied", "Applied"),
                            ("rejected", "Rejected"),
                            ("withdrawn", "Withdrawn"),
                            ("stale", "Not applied"),
                        ],
                        default="proposed",
                        max_length=10,
                    ),
                ),
                ("rules", models.JSONField()),
                ("base", models.JSONField()),
                ("proposed_at", models.DateTimeField()),
                ("reason", models.TextField()),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision_reason", models.TextField(blank=True)),
                ("settled_at", models.DateTimeField(null=True)),
                ("problem", models.TextField(blank=True)),
                ("wrote", models.JSONField(default=list)),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="identity.person",
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="identity.person",
                    ),
                ),
                (
                    "restores",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="oversight.rulechange",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RuleEffect",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Being worked out"),
                            ("done", "Worked out"),
                            ("failed", "Could not be worked out"),
                        ],
                        default="running",
                        max_length=8,
                    ),
                ),
                ("cursor", models.JSONField(default=dict)),
                ("found", models.JSONField(default=dict)),
                ("problem", models.TextField(blank=True)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("failures", models.IntegerField(default=0)),
                (
                    "change",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="effect",
                        to="oversight.rulechange",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="rulechange",
            index=models.Index(fields=["-proposed_at", "id"], name="rule_change_newest"),
        ),
        migrations.AddIndex(
            model_name="rulechange",
            index=models.Index(
                condition=models.Q(("status__in", ["proposed", "accepted"])),
                fields=["proposed_at"],
                name="rule_change_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="rulechange",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="rule_change_has_a_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="rulechange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("settled_at__isnull", False), ("status__in", ["applied", "stale"])),
                    models.Q(
                        models.Q(("status__in", ["applied", "stale"]), _negated=True),
                        ("settled_at__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="rule_change_settled_with_status",
            ),
        ),
        migrations.AddConstraint(
            model_name="rulechange",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status__in", ["accepted", "rejected", "withdrawn"]), _negated=True),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        models.Q(("decision_reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="rule_change_decided_as_a_whole",
            ),
        ),
        GrantRights(
            "oversight_rulechange",
            web="SELECT, INSERT, UPDATE (status, version, decided_by_id, decided_at, decision_reason)",
            worker="SELECT, INSERT, UPDATE (status, version, settled_at, problem, wrote)",
        ),
        GrantRights("oversight_ruleeffect", web="SELECT", worker="SELECT, INSERT, UPDATE"),
        migrations.RunSQL(CHANGE_SQL, UNDO_SQL),
        AttachSubject("rule_change", "oversight_rulechange"),
    ]
