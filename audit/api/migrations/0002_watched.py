"""A token stands as its newest event says."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import Watch


class Migration(migrations.Migration):
    dependencies: ClassVar = [("audit_api", "0001_tokens"), ("ledger", "0012_watched")]
    operations: ClassVar = [
        Watch(
            "audit_api_apitoken",
            columns=("name", "digest", "owner_id", "scopes", "created_at", "expires_at", "revoked_at"),
            events=("api.token_created", "api.token_revoked"),
        ),
    ]
