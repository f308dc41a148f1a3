"""A change of rules says what its events say."""

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights
from oversight.rules import told
from oversight.rules.unexplained import READS


class Migration(migrations.Migration):
    dependencies: ClassVar = [("oversight", "0010_watched"), ("requests_app", "0040_said_once")]
    operations: ClassVar = [
        migrations.RunSQL(told.INSTALL, told.REMOVE),
        GrantRights("oversight_rulechange", sealer=f"SELECT ({READS})"),
    ]
