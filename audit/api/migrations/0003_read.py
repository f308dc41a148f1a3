"""How many events a token has read on a day."""

from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit_api", "0002_watched")]
    operations: ClassVar = [
        migrations.AddField("apitoken", "read_on", models.DateField(null=True)),
        migrations.AddField("apitoken", "events_read", models.IntegerField(db_default=0, default=0)),
        GrantRights("audit_api_apitoken", web="UPDATE (read_on, events_read)"),
    ]
