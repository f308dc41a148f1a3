"""A month that can't have a partition of its own any more keeps no other from having one."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0017_verification")]
    operations: ClassVar = [migrations.RunSQL(sql.MONTHS_PASSED_BY, sql.MONTHS_NOT_PASSED_BY)]
