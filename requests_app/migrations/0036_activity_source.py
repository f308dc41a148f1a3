"""A look keeps which source of CloudTrail's events its last reading asked."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0035_covering")]
    operations: ClassVar = [
        migrations.AddField(
            "activitylook", "source", models.CharField(max_length=16, db_default="event_history")
        )
    ]
