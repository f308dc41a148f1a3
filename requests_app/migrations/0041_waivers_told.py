"""What is said of a waiver and of a review of its use is what its event says."""

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights
from requests_app.unexplained import READS_OF_WAIVERS
from requests_app.waivers import told


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0040_said_once")]
    operations: ClassVar = [
        migrations.RunSQL(told.INSTALL, told.REMOVE),
        *(GrantRights(table, sealer=f"SELECT ({columns})") for table, columns in READS_OF_WAIVERS.items()),
    ]
