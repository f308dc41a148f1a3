"""What somebody did from an address is found by an index."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0007_row_words")]
    operations: ClassVar = [migrations.RunSQL(sql.ADDRESS, sql.DROP_ADDRESS)]
