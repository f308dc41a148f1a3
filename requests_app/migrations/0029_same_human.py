from typing import ClassVar

from django.db import migrations

from requests_app.freezes.guards import FREEZE_SQL, UNDO_SQL


class Migration(migrations.Migration):
    """The guards know one human's accounts as `identity.humans` does, whatever the case of their mark."""

    dependencies: ClassVar = [("requests_app", "0028_absent_right"), ("identity", "0006_absence_subject")]

    operations: ClassVar = [migrations.RunSQL(UNDO_SQL + FREEZE_SQL, migrations.RunSQL.noop)]
