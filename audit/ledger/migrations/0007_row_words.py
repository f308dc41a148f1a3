"""A worker may erase what people wrote in rows outside the ledger, too, with an event that says so."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import row_words


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0006_long_receipts")]
    operations: ClassVar = [migrations.RunSQL(row_words.CREATE, row_words.DROP)]
