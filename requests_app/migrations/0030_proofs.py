"""An ask and a decision may keep what the sign-in of whoever made them proved."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0029_same_human")]

    operations: ClassVar = [
        migrations.AddField("accessrequest", "proof", models.JSONField(null=True)),
        migrations.AddField("decision", "proof", models.JSONField(null=True)),
    ]
