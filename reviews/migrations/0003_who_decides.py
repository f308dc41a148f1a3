"""Who decides on an entry is held by Postgres, too."""

from typing import ClassVar

from django.db import migrations

from reviews.guards import ENTRY_SQL, UNDO_SQL


class Migration(migrations.Migration):
    dependencies: ClassVar = [("reviews", "0002_row_words"), ("identity", "0007_managers")]
    operations: ClassVar = [migrations.RunSQL(ENTRY_SQL, UNDO_SQL)]
