"""Whether single keys act on pages: each person's own choice, made by the web process."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0003_personal")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="user",
            name="shortcuts",
            field=models.BooleanField(db_default=True, default=True),
        ),
        GrantRights("identity_user", web="UPDATE (shortcuts)"),
    ]
