"""The end that stands where an extension fell is read from the index of what left AWS, as the other ends are."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0045_known_as")]
    operations: ClassVar = [
        migrations.RemoveIndex("grant", "grant_out_of_aws"),
        migrations.AddIndex(
            "grant",
            models.Index(
                fields=["-out_of_aws_at"],
                name="grant_out_of_aws",
                condition=Q(out_of_aws_at__isnull=False),
                include=["end_reason", "ends_at", "fell_back_to", "removal_started_at"],
            ),
        ),
    ]
