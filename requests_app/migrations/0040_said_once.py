"""What stands beside a request or a grant comes with its event, and what was said once stays as it was said."""

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights
from requests_app import told, unexplained


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("requests_app", "0039_fell_back_to"),
        ("ledger", "0012_watched"),
        ("identity", "0009_marks"),
    ]
    operations: ClassVar = [
        migrations.RunSQL(told.INSTALL, told.REMOVE),
        *(GrantRights(table, sealer=f"SELECT ({columns})") for table, columns in unexplained.READS.items()),
    ]
