"""The indexes by time and by type say which request an event belongs to, and when it was by business time."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0010_one_call")]
    operations: ClassVar = [migrations.RunSQL(sql.COVERING, sql.NOT_COVERING)]
