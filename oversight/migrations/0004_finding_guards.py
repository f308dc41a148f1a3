"""A finding changes with its event, and no event claims a version of one before it is so."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.subjects import AttachSubject
from oversight.guards import FINDING_SQL, UNDO_SQL


class Migration(migrations.Migration):
    dependencies: ClassVar = [("oversight", "0003_one_outbox"), ("ledger", "0004_subjects")]
    operations: ClassVar = [
        migrations.RunSQL(FINDING_SQL, UNDO_SQL),
        AttachSubject("finding", "oversight_finding"),
    ]
