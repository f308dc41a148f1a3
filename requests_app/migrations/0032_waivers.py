"""Going without an approval: waivers, the reviews that emergency use owes, and the guards of both."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from audit.ledger.subjects import AttachSubject
from base.migration_operations import GrantRights
from requests_app.guards import InstallGuards
from requests_app.waivers.guards import APPROVED_SQL, REVIEW_SQL, UNDO_SQL, WAIVER_SQL


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0006_absence_subject"),
        ("requests_app", "0031_told"),
        ("ledger", "0004_subjects"),
        ("policy", "0002_terms"),
    ]

    operations = [
        migrations.AlterField(
            model_name="requestitem",
            name="status",
            field=models.CharField(
                choices=[
                    ("pending", "Waiting for a decision"),
                    ("approved", "Approved"),
                    ("denied", "Denied"),
                    ("withdrawn", "Withdrawn"),
                    ("lapsed", "Lapsed without an answer"),
                    ("closed", "Closed without a decision"),
                    ("drilled", "Drilled; nothing was granted"),
                ],
                max_length=12,
            ),
        ),
        migrations.CreateModel(
            name="Waiver",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("emergency", "Emergency"), ("automatic", "Automatic approval")],
                        max_length=10,
                    ),
                ),
                ("drill", models.BooleanField(default=False)),
                ("why", models.TextField(blank=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("submitted", "Being checked"),
                            ("granted", "No approval needed"),
                            ("refused", "Refused"),
                        ],
                        max_length=10,
                    ),
                ),
                ("version", models.IntegerField(default=1)),
                ("reason", models.TextField(blank=True)),
                ("conditions", models.JSONField(default=list)),
                ("submitted_at", models.DateTimeField()),
                ("settled_at", models.DateTimeField(null=True)),
                ("retry_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("failures", models.IntegerField(default=0)),
                (
                    "item",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="waiver",
                        to="requests_app.requestitem",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="OwedReview",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("panel", models.SmallIntegerField()),
                ("drill", models.BooleanField()),
                ("version", models.IntegerField(default=1)),
                ("owed_at", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                ("blocks_at", models.DateTimeField()),
                ("escalated_at", models.DateTimeField(null=True)),
                (
                    "verdict",
                    models.CharField(
                        blank=True,
                        choices=[("in_order", "In order"), ("not_in_order", "Not in order")],
                        max_length=12,
                    ),
                ),
                ("comment", models.TextField(blank=True)),
                ("reviewed_at", models.DateTimeField(null=True)),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lift_reason", models.TextField(blank=True)),
                (
                    "lifted_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="identity.person",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="identity.person"
                    ),
                ),
                (
                    "reviewed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="identity.person",
                    ),
                ),
                (
                    "waiver",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="requests_app.waiver",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="waiver",
            index=models.Index(
                condition=models.Q(("status", "submitted")), fields=["submitted_at"], name="waiver_owed"
            ),
        ),
        migrations.AddIndex(
            model_name="waiver",
            index=models.Index(
                condition=models.Q(("settled_at__isnull", False)),
                fields=["settled_at"],
                name="waiver_by_settled_at",
            ),
        ),
        migrations.AddConstraint(
            model_name="waiver",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "emergency"), models.Q(("why", ""), _negated=True)),
                    models.Q(("drill", False), ("kind", "automatic"), ("why", "")),
                    _connector="OR",
                ),
                name="waiver_says_why",
            ),
        ),
        migrations.AddIndex(
            model_name="owedreview",
            index=models.Index(
                condition=models.Q(("verdict", "")), fields=["due_at"], name="owed_review_open"
            ),
        ),
        migrations.AddIndex(
            model_name="owedreview",
            index=models.Index(
                condition=models.Q(("verdict", "")), fields=["person"], name="owed_review_open_of"
            ),
        ),
        migrations.AddIndex(
            model_name="owedreview",
            index=models.Index(fields=["-owed_at", "id"], name="owed_review_newest"),
        ),
        migrations.AddConstraint(
            model_name="owedreview",
            constraint=models.UniqueConstraint(fields=("waiver", "panel"), name="owed_review_once"),
        ),
        migrations.AddConstraint(
            model_name="owedreview",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("comment", ""), ("reviewed_at", None), ("reviewed_by", None), ("verdict", "")),
                    models.Q(
                        models.Q(("verdict", ""), _negated=True),
                        models.Q(("comment", ""), _negated=True),
                        ("reviewed_at__isnull", False),
                        ("reviewed_by__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="owed_review_as_a_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="owedreview",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("lift_reason", ""), ("lifted_at", None), ("lifted_by", None)),
                    models.Q(
                        ("lifted_at__isnull", False),
                        ("lifted_by__isnull", False),
                        models.Q(("lift_reason", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="owed_review_lifted_as_a_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="owedreview",
            constraint=models.CheckConstraint(
                condition=models.Q(("blocks_at__gte", models.F("due_at"))),
                name="owed_review_due_before_it_blocks",
            ),
        ),
        GrantRights(
            "requests_app_waiver",
            web="SELECT, INSERT",
            worker="SELECT, UPDATE (status, version, reason, conditions, settled_at, retry_at, lease_until, failures)",
        ),
        GrantRights(
            "requests_app_owedreview",
            web="SELECT, UPDATE (version, verdict, comment, reviewed_by_id, reviewed_at, lifted_by_id, lifted_at, "
            "lift_reason)",
            worker="SELECT, INSERT, UPDATE (escalated_at)",
        ),
        InstallGuards("b9b25e5c129f"),
        migrations.RunSQL(WAIVER_SQL, migrations.RunSQL.noop),
        migrations.RunSQL(REVIEW_SQL, migrations.RunSQL.noop),
        migrations.RunSQL(APPROVED_SQL, UNDO_SQL),
        AttachSubject("waiver", "requests_app_waiver", status="status"),
        AttachSubject("owed_review", "requests_app_owedreview"),
    ]
