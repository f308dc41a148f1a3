"""No event claims a version that its subject hasn't come to, and none of the web process's is another's."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import subjects


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0003_words")]
    operations: ClassVar = [migrations.RunSQL(subjects.CREATE, subjects.DROP)]
