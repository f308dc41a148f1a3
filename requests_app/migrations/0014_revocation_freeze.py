"""Under which freeze a grant was ended, so that the freeze's page can list what it ended."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0013_passing_on")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="revocation",
            name="freeze",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="revocations",
                to="requests_app.freeze",
            ),
        ),
        migrations.AddConstraint(
            model_name="revocation",
            constraint=models.CheckConstraint(
                condition=models.Q(("freeze__isnull", True), ("kind", "incident"), _connector="OR"),
                name="revocation_of_a_freeze_in_an_incident",
            ),
        ),
    ]
