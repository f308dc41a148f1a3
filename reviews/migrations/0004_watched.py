"""A review, and what was decided in it, stands as its newest event says."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import Watch


class Migration(migrations.Migration):
    dependencies: ClassVar = [("reviews", "0003_who_decides"), ("ledger", "0012_watched")]
    operations: ClassVar = [
        Watch(
            "reviews_campaign",
            columns=("name", "due_on", "started_at", "started_by_id", "closed_at", "closed_by_id"),
            events=("review.started", "review.closed"),
            key="uuid",
        ),
        Watch(
            "reviews_reviewentry",
            columns=(
                "campaign_id",
                "person_id",
                "group_id",
                "direct",
                "ends_at",
                "verdict",
                "decided_by_id",
                "decided_at",
            ),
            events=("review.decided",),
            unless="{row}.verdict = ''",
        ),
    ]
