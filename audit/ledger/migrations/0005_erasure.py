"""A worker may erase what people wrote once its time is over, with an event that says so."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import erasure


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0004_subjects")]
    operations: ClassVar = [migrations.RunSQL(erasure.ERASE, erasure.DROP)]
