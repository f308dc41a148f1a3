"""How somebody is told stands as its newest event says."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import Watch


class Migration(migrations.Migration):
    dependencies: ClassVar = [("notifications", "0004_rules"), ("ledger", "0012_watched")]
    operations: ClassVar = [
        Watch(
            "notifications_preference",
            columns=("person_id", "language", "time_zone", "digest", "off", "changed_at"),
            events=("preferences.changed",),
        ),
    ]
