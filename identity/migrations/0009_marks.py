"""Every value that links an account, beside the one that all accounts of its human have in common."""

from typing import ClassVar

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

# What is known of an account so far links it until the directory is read again.
KNOWN_SQL = """
UPDATE identity_person SET marks = ARRAY[lower(btrim(employee_id))]::varchar(64)[] WHERE btrim(employee_id) <> '';
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0008_watched")]

    operations: ClassVar = [
        migrations.AddField(
            "person",
            "marks",
            django.contrib.postgres.fields.ArrayField(
                models.CharField(max_length=64), db_default=[], default=list, size=None
            ),
        ),
        migrations.AddIndex(
            "person", django.contrib.postgres.indexes.GinIndex(fields=["marks"], name="person_by_any_mark")
        ),
        migrations.RunSQL(KNOWN_SQL, migrations.RunSQL.noop),
    ]
