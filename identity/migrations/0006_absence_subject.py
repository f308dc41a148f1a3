"""No event claims a version of an absence before it is so."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.subjects import AttachSubject


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0005_absences"), ("ledger", "0004_subjects")]
    operations: ClassVar = [AttachSubject("absence", "identity_absence")]
