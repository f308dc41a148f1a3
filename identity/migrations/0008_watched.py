"""How a PIM group is activated stands as its newest event says."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import Watch


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0007_managers"), ("ledger", "0012_watched")]
    operations: ClassVar = [
        Watch(
            "identity_activationmode",
            columns=("group_object_id", "as_person", "changed_at"),
            events=("catalog.activation_mode_changed",),
        ),
    ]
