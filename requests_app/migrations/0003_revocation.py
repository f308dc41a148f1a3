"""Who ends somebody else's access, and why."""

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights
from requests_app.guards import InstallGuards


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0002_rights"),
        ("requests_app", "0002_rights_and_guards"),
    ]

    operations = [
        migrations.AlterField(
            model_name="grant",
            name="end_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("window_over", "the window ended"),
                    ("ended_early", "ended early by its holder"),
                    ("revoked", "revoked by an approver or an operator"),
                    ("leaver", "its holder may not have it any more"),
                    ("incident", "ended by an operator in an incident"),
                    ("removed_elsewhere", "the membership was removed in Entra by someone else"),
                    ("outcome_unknown", "the activation's outcome could not be established in time"),
                    ("seen_again", "the membership was seen again after its removal"),
                ],
                max_length=20,
            ),
        ),
        migrations.CreateModel(
            name="Revocation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("incident", "ended by an operator in an incident"),
                            ("leaver", "its holder may not have it any more"),
                            ("revoked", "revoked by an approver or an operator"),
                        ],
                        max_length=20,
                    ),
                ),
                ("reason", models.TextField()),
                ("revoked_at", models.DateTimeField()),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="identity.person",
                    ),
                ),
                (
                    "grant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="revocation",
                        to="requests_app.grant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="revocation_has_a_reason"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("by__isnull", True), ("kind", "leaver")),
                            models.Q(models.Q(("kind", "leaver"), _negated=True), ("by__isnull", False)),
                            _connector="OR",
                        ),
                        name="revocation_by_somebody",
                    ),
                ],
            },
        ),
        GrantRights("requests_app_revocation", web="SELECT, INSERT", worker="SELECT, INSERT"),
        InstallGuards("fea2d2b367f7"),
    ]
