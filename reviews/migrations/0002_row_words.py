"""Why a reviewer decided as they did is erased when its time is over."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.row_words import AttachWords


class Migration(migrations.Migration):
    dependencies: ClassVar = [("reviews", "0001_campaigns"), ("ledger", "0007_row_words")]
    operations: ClassVar = [
        AttachWords("reviews_reviewentry", "reason", at="decided_at", event="review.decided"),
    ]
