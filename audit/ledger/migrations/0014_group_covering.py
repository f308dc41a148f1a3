"""The index by PIM group says what the timeline's facets count."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0013_derived_once")]
    operations: ClassVar = [migrations.RunSQL(sql.GROUP_COVERING, sql.GROUP_NOT_COVERING)]
