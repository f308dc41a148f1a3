"""What people wrote with a request, a decision, a remark or a revocation is erased when its time is over."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.row_words import AttachWords


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0032_waivers"), ("ledger", "0007_row_words")]
    operations: ClassVar = [
        AttachWords(
            "requests_app_accessrequest", "justification", at="created_real_at", event="request.submitted"
        ),
        AttachWords("requests_app_decision", "comment", at="submitted_at", event="decision.submitted"),
        AttachWords("requests_app_remark", "words", at="written_at", event="question.asked"),
        AttachWords("requests_app_revocation", "reason", at="revoked_at", event="grant.revoked"),
    ]
