"""Rows without versions are held to what their newest event says of them; each app has its own watched."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import REQUIRE_NO_ROWS, REQUIRE_ROWS


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0011_covering")]
    operations: ClassVar = [migrations.RunSQL(REQUIRE_ROWS, REQUIRE_NO_ROWS)]
