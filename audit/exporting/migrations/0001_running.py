from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Export",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("owner_oid", models.CharField(max_length=36)),
                ("form", models.CharField(max_length=8)),
                ("query", models.TextField(blank=True)),
                ("rows", models.BigIntegerField(default=0)),
                ("expected", models.BigIntegerField(null=True)),
                ("expected_more", models.BooleanField(default=False)),
                ("began_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
                ("cancelled_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "how",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                            ("broken_off", "Broken off"),
                            ("failed", "Failed"),
                        ],
                        max_length=10,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["owner_oid", "-began_at"], name="export_by_owner"),
                    models.Index(fields=["began_at"], name="export_by_age"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at", None), ("how", "")),
                            models.Q(
                                ("ended_at__isnull", False),
                                ("how__in", ["done", "cancelled", "broken_off", "failed"]),
                            ),
                            _connector="OR",
                        ),
                        name="export_ended_somehow",
                    )
                ],
            },
        ),
        GrantRights(
            "exporting_export",
            web="SELECT, INSERT, UPDATE (rows, seen_at, cancelled_at, ended_at, how)",
            worker="SELECT, DELETE",
        ),
    ]
