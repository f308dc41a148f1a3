"""The end that stands since an extension of access fell before PIM was asked."""

from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0038_decisions_of_one_human")]
    operations: ClassVar = [
        migrations.AddField("grant", "fell_back_to", models.DateTimeField(null=True)),
        GrantRights("requests_app_grant", worker="UPDATE (fell_back_to)"),
    ]
