"""A receipt may hold a time stamp with its certificates."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0005_erasure")]
    operations: ClassVar = [migrations.RunSQL(sql.LONG_RECEIPTS, sql.SHORT_RECEIPTS)]
