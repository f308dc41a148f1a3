"""Whose access is looked at, what is late, and why a request was closed."""

from django.db import migrations, models

from base.migration_operations import GrantRights
from requests_app.guards import InstallGuards


class Migration(migrations.Migration):
    dependencies = [
        ("requests_app", "0007_extension"),
    ]

    operations = [
        migrations.AddField(
            model_name="grant",
            name="holder_checked_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="grant",
            name="holder_doubt",
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.AddField(
            model_name="grant",
            name="overdue_aws_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="grant",
            name="overdue_entra_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="requestitem",
            name="close_reason",
            field=models.TextField(blank=True),
        ),
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
                ],
                max_length=12,
            ),
        ),
        GrantRights("requests_app_requestitem", worker="UPDATE (close_reason)"),
        GrantRights(
            "requests_app_grant",
            worker="UPDATE (holder_checked_at, holder_doubt, overdue_entra_at, overdue_aws_at)",
        ),
        InstallGuards("57ba14780573"),
    ]
