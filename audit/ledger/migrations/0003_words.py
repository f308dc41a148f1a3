"""Words in justifications, comments and references are found by an index."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0002_anchors")]
    operations: ClassVar = [migrations.RunSQL(sql.WORDS, sql.DROP_WORDS)]
