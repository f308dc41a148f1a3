"""What people wrote about emergencies and freezes is erased when its time is over; the guards of those rows let it pass."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.row_words import AttachWords
from requests_app.freezes import guards as freezes
from requests_app.waivers import guards as waivers

AGAIN = f"""
DROP TRIGGER waiver_fixed ON requests_app_waiver;
DROP TRIGGER review_guard ON requests_app_owedreview;
DROP TRIGGER review_event ON requests_app_owedreview;
{waivers.WAIVER_SQL}{waivers.REVIEW_SQL}{freezes.UNDO_SQL}{freezes.FREEZE_SQL}
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0033_row_words"), ("ledger", "0009_is_erasure")]
    operations: ClassVar = [
        migrations.RunSQL(AGAIN, migrations.RunSQL.noop),
        AttachWords("requests_app_waiver", "why", at="submitted_at", event="waiver.submitted"),
        AttachWords("requests_app_owedreview", "comment", at="reviewed_at", event="emergency.reviewed"),
        AttachWords("requests_app_owedreview", "lift_reason", at="lifted_at", event="emergency.block_lifted"),
        # While it holds, a freeze says why.
        AttachWords("requests_app_freeze", "reason", at="lifted_at", event="incident.frozen"),
        AttachWords("requests_app_freeze", "lift_reason", at="lifted_at", event="incident.lifted"),
    ]
