"""A grant is activated as the person when its group was so at the approval."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("catalog", "0002_as_person"),
        ("identity", "0003_personal"),
        ("requests_app", "0009_freeze"),
    ]

    operations: ClassVar = [
        migrations.AddField(model_name="grant", name="as_person", field=models.BooleanField(default=False)),
    ]
