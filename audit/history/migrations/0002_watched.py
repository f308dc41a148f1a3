"""A saved search stands as its newest event says."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import Watch


class Migration(migrations.Migration):
    dependencies: ClassVar = [("history", "0001_saved_searches"), ("ledger", "0012_watched")]
    operations: ClassVar = [
        Watch(
            "history_savedsearch",
            columns=("owner_id", "shared", "saved_at"),
            events=("search.saved", "search.removed"),
            key="uuid",
        ),
    ]
