"""How far each receiver of the trail has it. All times are real time."""

from __future__ import annotations

from django.db import models


class Stream(models.Model):
    """The place in the sealed trail up to which one receiver has acknowledged everything.

    Events go out in the order in which they were sealed (batch, place in it), which never changes and has no gaps;
    neither ids nor times of events are in the order of their commits.
    """

    name = models.CharField(max_length=16, primary_key=True)  # of audit.forwarding.receivers.KINDS
    batch = models.BigIntegerField(default=0)
    idx = models.IntegerField(default=-1)
    sent = models.BigIntegerField(default=0)  # events, each counted once
    # Sealed events that weren't in the trail when their turn came, though their month wasn't removed.
    missing = models.BigIntegerField(db_default=0)
    acknowledged_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField()  # one worker at a time
    failures = models.IntegerField(default=0)  # in a row
    retry_at = models.DateTimeField()  # not before
    problem = models.TextField(blank=True)  # why the newest attempt failed; a sentence for people
