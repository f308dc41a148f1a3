"""A PIM group may be activated as the person."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("catalog", "0001_initial")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="pimgroup", name="as_person", field=models.BooleanField(default=False)
        ),
    ]
