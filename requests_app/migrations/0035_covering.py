"""What the controls page counts over a year is read from indexes alone."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q

_INDEXES = (
    (
        "requestitem",
        ["decided_at"],
        "item_by_decided_at",
        Q(decided_at__isnull=False),
        ["id", "status", "created_at"],
    ),
    ("decision", ["settled_at"], "decision_by_settled_at", Q(status="counted"), ["verdict", "approver"]),
    ("grant", ["-arrived_at"], "grant_arrived", Q(arrived_at__isnull=False), ["person", "group"]),
    (
        "grant",
        ["-out_of_aws_at"],
        "grant_out_of_aws",
        Q(out_of_aws_at__isnull=False),
        ["end_reason", "ends_at", "removal_started_at"],
    ),
)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0034_more_row_words")]
    operations: ClassVar = [
        operation
        for model, fields, name, condition, include in _INDEXES
        for operation in (
            migrations.RemoveIndex(model, name),
            migrations.AddIndex(
                model, models.Index(fields=fields, name=name, condition=condition, include=include)
            ),
        )
    ]
