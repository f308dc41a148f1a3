"""A window's end moves later, once per approved extension, and in no other way."""

from django.db import migrations, models

from base.migration_operations import GrantRights
from requests_app.guards import InstallGuards


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0001_initial"),
        ("identity", "0002_rights"),
        ("requests_app", "0006_cutting"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="grant",
            name="grant_one_open_per_person_and_group",
        ),
        migrations.AddField(
            model_name="grant",
            name="entra_ends_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="grant",
            name="extension_problem",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="grant",
            name="extension_accepted",
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name="grant",
            name="extension_refused",
            field=models.IntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="attempt",
            name="kind",
            field=models.CharField(
                choices=[
                    ("read_entra", "Read PIM"),
                    ("assign", "Assign in PIM"),
                    ("extend", "Move the end in PIM"),
                    ("remove", "Remove in PIM"),
                    ("on_demand", "Provision on demand"),
                    ("read_aws", "Read IAM Identity Center"),
                    ("read_job", "Read the provisioning job"),
                    ("take_out", "Remove in IAM Identity Center"),
                ],
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("status__in", ["activating", "active", "deprovisioning", "provisioning", "removing"])
                ),
                fields=("person", "group"),
                name="grant_one_holding_per_person_and_group",
            ),
        ),
        migrations.AddConstraint(
            model_name="grant",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "scheduled")),
                fields=("person", "group", "starts_at"),
                name="grant_one_scheduled_per_start",
            ),
        ),
        GrantRights(
            "requests_app_grant",
            worker="UPDATE (ends_at, longest_session, entra_ends_at, extension_problem, "
            "extension_accepted, extension_refused)",
        ),
        InstallGuards("f47bcc98935e"),
    ]
