"""Exports on their way, and how the latest ones ended: what the page of them reads. All times are real time.

The trail has each export's beginning and end as events of its own; these rows are for watching, and go after a while.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class How(models.TextChoices):
    """How an export ended."""

    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"  # on the portal's page
    BROKEN_OFF = "broken_off", "Broken off"  # the browser went away
    FAILED = "failed", "Failed"


class Export(models.Model):
    """One export. The process that streams it writes how far it is, and reads whether it is to go on."""

    id = models.UUIDField(primary_key=True, editable=False)  # `export_id` of its events
    owner_oid = models.CharField(max_length=36)
    form = models.CharField(max_length=8)
    query = models.TextField(blank=True)  # the filter as the address had it
    rows = models.BigIntegerField(default=0)  # written into the file: no fewer than have left
    expected = models.BigIntegerField(null=True)  # rows at the beginning, as far as they were counted
    expected_more = models.BooleanField(default=False)  # whether there were more than that
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()  # when `rows` was written last
    cancelled_at = models.DateTimeField(null=True)  # asked for; the stream ends at its next look
    ended_at = models.DateTimeField(null=True)
    how = models.CharField(max_length=10, choices=How, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(ended_at=None, how="")
                | models.Q(ended_at__isnull=False, how__in=How.values),
                name="export_ended_somehow",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["owner_oid", "-began_at"], name="export_by_owner"),
            models.Index(fields=["began_at"], name="export_by_age"),
        ]
