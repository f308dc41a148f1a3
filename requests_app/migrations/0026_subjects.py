"""No event claims a version of a request, item, decision, grant, extension, remark or freeze before it is so."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.subjects import AttachSubject


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0025_chasing"), ("ledger", "0004_subjects")]
    operations: ClassVar = [
        AttachSubject("request", "requests_app_accessrequest"),
        AttachSubject("item", "requests_app_requestitem", status="status"),
        AttachSubject("decision", "requests_app_decision", status="status"),
        AttachSubject("grant", "requests_app_grant", status="status"),
        # The first window has no event of its own, and a grant that was rebuilt begins with a later one.
        AttachSubject("extension", "requests_app_grant", version="revision", counts_from_one=False),
        AttachSubject("remark", "requests_app_remark"),
        AttachSubject("freeze", "requests_app_freeze"),
    ]
