"""A login, and whether it is an auditor's or an operator's, stands as its newest event says."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import Watch


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0009_marks"), ("ledger", "0012_watched")]
    operations: ClassVar = [
        Watch(
            "identity_user",
            columns=("person_id", "app_roles", "is_active"),
            events=("signin.roles_changed",),
        ),
    ]
