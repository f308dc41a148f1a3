"""Guards of rows that never change let an erasure of words pass, and can tell one."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import row_words


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0008_address")]
    operations: ClassVar = [migrations.RunSQL(row_words.IS_ERASURE, row_words.DROP_IS_ERASURE)]
