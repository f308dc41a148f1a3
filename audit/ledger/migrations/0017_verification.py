"""How far the verification is that a worker does every day."""

from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0016_words_of_event")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Verification",
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
                        choices=[("running", "Under way"), ("done", "Done"), ("given_up", "Given up")],
                        default="running",
                        max_length=8,
                    ),
                ),
                ("started_at", models.DateTimeField()),
                ("moved_at", models.DateTimeField()),
                ("retry_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("unverified_since", models.DateTimeField()),
                ("step", models.CharField(blank=True, max_length=128)),
                ("cursor", models.JSONField(null=True)),
                ("events", models.BigIntegerField(default=0)),
                ("batches", models.BigIntegerField(default=0)),
                ("last_batch", models.BigIntegerField(default=0)),
                ("keys", models.TextField(blank=True)),
                ("findings", models.BigIntegerField(default=0)),
                ("named", models.JSONField(default=dict)),
                ("first_bad_batch", models.BigIntegerField(null=True)),
                ("seconds", models.FloatField(default=0)),
                ("tries", models.IntegerField(default=0)),
                ("problem", models.TextField(blank=True)),
                ("event_id", models.BigIntegerField(null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "running")),
                        fields=("status",),
                        name="verification_one_at_a_time",
                    )
                ],
            },
        ),
        GrantRights("ledger_verification", web="SELECT", worker="SELECT, INSERT, UPDATE, DELETE"),
    ]
