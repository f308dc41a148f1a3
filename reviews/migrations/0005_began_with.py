"""What a review began with stays, and no reviewer comes or goes without an event."""

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights
from reviews.guards import NOT_TOLD_SQL, TOLD_SQL
from reviews.unexplained import READS


class Migration(migrations.Migration):
    dependencies: ClassVar = [("reviews", "0004_watched"), ("requests_app", "0040_said_once")]
    operations: ClassVar = [
        migrations.RunSQL(TOLD_SQL, NOT_TOLD_SQL),
        *(GrantRights(table, sealer=f"SELECT ({columns})") for table, columns in READS.items()),
    ]
