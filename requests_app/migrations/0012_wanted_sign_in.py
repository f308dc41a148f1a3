"""What a grant that waits for its person was told by Entra, and which token it was told that of."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0011_shown_facts")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="grant", name="wanted_claims", field=models.TextField(blank=True, default="")
        ),
        migrations.AddField(model_name="grant", name="found_token", field=models.BigIntegerField(default=0)),
        migrations.AddField(model_name="grant", name="found_at", field=models.DateTimeField(null=True)),
        GrantRights("requests_app_grant", worker="UPDATE (wanted_claims, found_token, found_at)"),
    ]
