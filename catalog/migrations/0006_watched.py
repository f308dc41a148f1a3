"""How a PIM group is activated stands as its newest event says; in application mode unless one does."""

from typing import ClassVar

from django.db import migrations

from audit.ledger.watched import Watch


class Migration(migrations.Migration):
    dependencies: ClassVar = [("catalog", "0005_pim_approvers"), ("ledger", "0012_watched")]
    operations: ClassVar = [
        Watch(
            "catalog_pimgroup",
            columns=("as_person",),
            events=("catalog.activation_mode_changed",),
            unless="NOT {row}.as_person",
        ),
    ]
