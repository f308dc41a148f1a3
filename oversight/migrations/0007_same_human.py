from typing import ClassVar

from django.db import migrations

from oversight.rules.guards import CHANGE_SQL, UNDO_SQL


class Migration(migrations.Migration):
    """The guards know one human's accounts as `identity.humans` does, whatever the case of their mark."""

    dependencies: ClassVar = [("oversight", "0006_rules_out_of_reach"), ("identity", "0006_absence_subject")]

    operations: ClassVar = [migrations.RunSQL(UNDO_SQL + CHANGE_SQL, migrations.RunSQL.noop)]
