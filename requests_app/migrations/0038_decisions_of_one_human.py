from typing import ClassVar

from django.db import migrations

from requests_app.guards import ABSENT_RIGHT_FUNCTION_SQL, InstallGuards


class Migration(migrations.Migration):
    """Postgres lets no second account of whoever asked decide, nor anybody in the right of one."""

    dependencies: ClassVar = [("requests_app", "0037_unseen"), ("identity", "0009_marks")]

    operations: ClassVar = [
        InstallGuards("1afff6df2a9f"),
        migrations.RunSQL(ABSENT_RIGHT_FUNCTION_SQL, migrations.RunSQL.noop),
    ]
