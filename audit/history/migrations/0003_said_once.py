"""A saved search keeps its words."""

from typing import ClassVar

from django.db import migrations

from audit.history.unexplained import GUARD, NO_GUARD


class Migration(migrations.Migration):
    dependencies: ClassVar = [("history", "0002_watched")]
    operations: ClassVar = [
        migrations.RunSQL(GUARD, NO_GUARD),
    ]
