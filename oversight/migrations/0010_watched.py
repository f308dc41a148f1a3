"""When a credential ends stands as an operator said; the worker's certificate is read."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import Watch


class Migration(migrations.Migration):
    dependencies: ClassVar = [("oversight", "0009_row_words"), ("ledger", "0012_watched")]
    operations: ClassVar = [
        Watch(
            "oversight_expiry",
            columns=("name", "ends_at", "recorded_at", "recorded_by_id"),
            events=("operations.end_recorded",),
            unless="{row}.name = 'worker-certificate'",
        ),
    ]
