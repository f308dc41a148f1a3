"""The span in which a grant may have given access, as Postgres computes and indexes it."""

from __future__ import annotations

from django.contrib.postgres.fields import DateTimeRangeField
from django.db.models import Func
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Greatest

_BEGIN = Coalesce("assigned_at", "starts_at")
# From the assignment to the last possible use (or the proof that it never arrived); without an end while neither is
# known. Never a backward span: Postgres would refuse the row with it, because it is indexed.
HELD = Func(
    _BEGIN,
    Greatest(_BEGIN, Coalesce("last_possible_use_at", "ended_at", RawSQL("'infinity'::timestamptz", ()))),
    function="tstzrange",
    output_field=DateTimeRangeField(),
)
