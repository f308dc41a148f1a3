"""The sealer says what it goes by, where nobody can change it."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql
from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0014_group_covering")]
    operations: ClassVar = [
        migrations.RunSQL(sql.SETTINGS_OF_SEALER, sql.DROP_SETTINGS_OF_SEALER),
        GrantRights(sql.SEALER_SETTINGS, web="SELECT", worker="SELECT", sealer="SELECT, INSERT (told)"),
    ]
