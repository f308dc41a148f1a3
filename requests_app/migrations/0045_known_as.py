"""A look keeps by which ids and names its readings knew the person: what they did as somebody else is asked for, too."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0044_item_request")]
    operations: ClassVar = [
        migrations.AddField(
            "activitylook",
            "known_as",
            models.JSONField(default=list, db_default=models.Value([], models.JSONField())),
        )
    ]
