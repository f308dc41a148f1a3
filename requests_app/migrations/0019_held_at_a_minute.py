"""Who had access at a given minute is found by an index over the span in which each grant may have given it."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import DateTimeRangeField
from django.contrib.postgres.indexes import GistIndex
from django.db import migrations
from django.db.models import Func
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Greatest


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0018_fast_removal_rights")]

    operations: ClassVar = [
        migrations.AddIndex(
            model_name="grant",
            index=GistIndex(
                Func(
                    Coalesce("assigned_at", "starts_at"),
                    Greatest(
                        Coalesce("assigned_at", "starts_at"),
                        Coalesce("last_possible_use_at", "ended_at", RawSQL("'infinity'::timestamptz", ())),
                    ),
                    function="tstzrange",
                    output_field=DateTimeRangeField(),
                ),
                name="grant_held",
            ),
        ),
    ]
