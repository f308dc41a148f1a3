"""An event has an event's form, whoever writes it."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0018_months_passed_by")]
    operations: ClassVar = [migrations.RunSQL(sql.FORM, sql.NO_FORM)]
