"""A decision may be made in the right of somebody who is away."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from requests_app.guards import ABSENT_RIGHT_SQL, UNDO_ABSENT_RIGHT_SQL


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0005_absences"), ("requests_app", "0027_periods")]

    operations: ClassVar = [
        migrations.AddField(
            model_name="decision",
            name="absence",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="decisions",
                to="identity.absence",
            ),
        ),
        migrations.RunSQL(ABSENT_RIGHT_SQL, UNDO_ABSENT_RIGHT_SQL),
    ]
