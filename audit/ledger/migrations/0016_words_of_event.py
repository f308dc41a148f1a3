"""Words stand beside the event that was just written, and no other."""

from typing import ClassVar

from django.db import migrations

from audit.ledger import sql


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0015_sealer_settings")]
    operations: ClassVar = [migrations.RunSQL(sql.WORDS_OF_EVENT, sql.DROP_WORDS_OF_EVENT)]
