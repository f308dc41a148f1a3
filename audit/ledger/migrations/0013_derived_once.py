"""The columns of an event are written by a trigger, and held to its text by a constraint."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0012_watched")]
    # No way back: a column can be made a generated one only by writing the table anew.
    operations: ClassVar = [migrations.RunSQL(sql.DERIVE)]
