"""What an incident freezes, and the triggers that keep it honest."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights
from requests_app.freezes.guards import FREEZE_SQL, UNDO_SQL


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0002_rights"),
        ("requests_app", "0008_leavers_and_late"),
    ]

    operations = [
        migrations.CreateModel(
            name="Freeze",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("version", models.IntegerField(default=1)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("person", "Person"),
                            ("account", "AWS account"),
                            ("permission_set", "Permission set"),
                        ],
                        max_length=16,
                    ),
                ),
                ("subject", models.CharField(max_length=128)),
                ("subject_name", models.CharField(max_length=256)),
                ("frozen_at", models.DateTimeField()),
                ("reason", models.TextField()),
                ("carried_at", models.DateTimeField(null=True)),
                ("grants_ended", models.IntegerField(default=0)),
                ("items_closed", models.IntegerField(default=0)),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lift_reason", models.TextField(blank=True)),
                (
                    "frozen_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="identity.person"
                    ),
                ),
                (
                    "lifted_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="identity.person",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["-frozen_at", "id"], name="freeze_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("lifted_at__isnull", True)),
                        fields=("kind", "subject"),
                        name="freeze_one_per_subject",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reason", ""), _negated=True), models.Q(("subject", ""), _negated=True)
                        ),
                        name="freeze_has_a_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("lift_reason", ""),
                                ("lifted_at__isnull", True),
                                ("lifted_by__isnull", True),
                                ("version", 1),
                            ),
                            models.Q(
                                ("lifted_at__isnull", False),
                                ("lifted_by__isnull", False),
                                ("version", 2),
                                models.Q(("lift_reason", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="freeze_lifted_as_a_whole",
                    ),
                ],
            },
        ),
        GrantRights(
            "requests_app_freeze",
            web="SELECT, INSERT, UPDATE (version, lifted_by_id, lifted_at, lift_reason)",
            worker="SELECT, UPDATE (carried_at, grants_ended, items_closed)",
        ),
        migrations.RunSQL(FREEZE_SQL, UNDO_SQL),
    ]
