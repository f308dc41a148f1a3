"""What the severer plans over, in order: the grants that end, and the denials that live."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0016_deliberation")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="grant",
            index=models.Index(
                fields=["removal_started_at", "id"],
                condition=models.Q(("status__in", ["removing", "deprovisioning", "draining"])),
                name="grant_ending",
            ),
        ),
        migrations.AddIndex(
            model_name="severance",
            index=models.Index(
                fields=["created_at", "id"],
                condition=models.Q(("lifted_at__isnull", True)),
                name="severance_live_by_age",
            ),
        ),
    ]
