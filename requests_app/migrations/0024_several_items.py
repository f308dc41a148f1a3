"""How many items a request has, so that no page has to count them."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0023_activity")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="accessrequest",
            name="item_count",
            field=models.SmallIntegerField(db_default=1, default=1),
        ),
    ]
