"""Since when PIM's answers don't show the membership of access that is ready."""

from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0036_activity_source")]
    operations: ClassVar = [
        migrations.AddField("grant", "unseen_since", models.DateTimeField(null=True)),
        GrantRights("requests_app_grant", worker="UPDATE (unseen_since)"),
    ]
