"""An event is written in one call, whose statements a session prepares once."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0009_is_erasure")]
    operations: ClassVar = [
        migrations.RunSQL(sql.RECORD, sql.DROP_RECORD),
        migrations.RunSQL(sql.QUICK_REFERENCE, sql.SLOW_REFERENCE),
    ]
