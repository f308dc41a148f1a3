"""A proposal of other rules begins as rules by name, and says of nothing yet what came of it."""

from typing import ClassVar

from django.db import migrations

from oversight.rules.guards import CHANGE_SQL, UNDO_SQL


class Migration(migrations.Migration):
    dependencies: ClassVar = [("oversight", "0011_told")]
    operations: ClassVar = [migrations.RunSQL(UNDO_SQL + CHANGE_SQL, migrations.RunSQL.noop)]
