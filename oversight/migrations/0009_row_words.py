"""What people wrote about drift and about rules is erased when its time is over; the guard of rule changes lets it pass."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.row_words import AttachWords
from oversight.rules.guards import CHANGE_SQL, UNDO_SQL


class Migration(migrations.Migration):
    dependencies: ClassVar = [("oversight", "0008_rules_that_lack_people"), ("ledger", "0009_is_erasure")]
    operations: ClassVar = [
        migrations.RunSQL(UNDO_SQL + CHANGE_SQL, migrations.RunSQL.noop),
        # While the difference is seen, the finding says why it is accepted.
        AttachWords("oversight_finding", "reason", at="last_seen_at", event="drift.handled"),
        AttachWords("oversight_rulechange", "reason", at="proposed_at", event="rules.proposed"),
        AttachWords("oversight_rulechange", "decision_reason", at="decided_at", event="rules.accepted"),
    ]
