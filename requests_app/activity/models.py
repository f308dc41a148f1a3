"""Rows of reading what was done. The row is the job: workers find owed readings here, and only here.

What is kept is a summary. It is about a person's work, so it is dropped after `ACTIVITY_KEEP` (`planning.drop_old`).
"""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from identity.models import Person


class ActivityLook(models.Model):
    """The reading of what was done with one grant, and how far it is.

    A reading asks its questions one after the other (`cursor`), each a page at a time; it is repeated until the last
    possible use has passed and CloudTrail has had time to deliver. What a reading finds replaces what was found before.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    grant = models.OneToOneField("requests_app.Grant", on_delete=models.PROTECT, related_name="activity")
    cursor = models.JSONField(default=dict)  # {}: no reading is under way
    # Each id and user name that the person had in IAM Identity Center at a reading, the newest first: [[id, name]]. A
    # session keeps those that it began with.
    known_as = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    read_until = models.DateTimeField(null=True)  # business time; what happened until then was delivered
    read_at = models.DateTimeField(null=True)  # business time of the end of the last reading
    # What the last reading asked, as ACTIVITY_SOURCE names it.
    source = models.CharField(max_length=16, db_default="event_history")
    complete = models.BooleanField(default=False)  # nothing more will be read
    repeats = models.IntegerField(default=0)  # readings after the last possible use that had gaps
    problem = models.TextField(blank=True)  # why nothing can be read at all; a sentence for people

    next_action_at = models.DateTimeField(null=True)  # business time; None: nothing is owed
    retry_at = models.DateTimeField(null=True)  # real time; not before
    lease_until = models.DateTimeField(null=True)  # real time; somebody is at it
    lease_token = models.UUIDField(null=True)
    failures = models.IntegerField(default=0)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["next_action_at"],
                condition=models.Q(next_action_at__isnull=False),
                name="activity_owed",
            ),
        ]


class ActivityPlace(models.Model):
    """What one question of a look got: of one account and Region, about sessions or about an event by name."""

    look = models.ForeignKey(ActivityLook, on_delete=models.CASCADE, related_name="places")
    account_id = models.CharField(max_length=12)
    region = models.CharField(max_length=32)
    event_name = models.CharField(
        max_length=64, blank=True
    )  # of IAM Identity Center's own; "": sessions' events
    read_until = models.DateTimeField(null=True)  # business time; None: never read
    # Why the last try got nothing, a sentence for people; what was read before stays.
    problem = models.TextField(blank=True)
    code = models.CharField(max_length=64, blank=True)
    events = models.IntegerField(default=0)  # that are the person's, with this access
    # Older events than this were not read, because there were too many. None: nothing was cut off.
    cut_off_at = models.DateTimeField(null=True)
    unreadable = models.IntegerField(default=0)  # events whose record can't be read
    # The newest events themselves: [{"id", "at", "permission_set", "service", "action", "error"}]
    newest = models.JSONField(default=list)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["look", "account_id", "region", "event_name"], name="activity_place_once"
            ),
        ]


class ActivityUse(models.Model):
    """How often a permission set was used for one action of a service, in an account. Both "": actions beyond the bound."""

    place = models.ForeignKey(ActivityPlace, on_delete=models.CASCADE, related_name="uses")
    account_id = models.CharField(max_length=12)  # for a sign-in: of the session that it opened
    permission_set_name = models.CharField(max_length=32)
    service = models.CharField(max_length=128, blank=True)  # eventSource, e.g. ec2.amazonaws.com
    action = models.CharField(max_length=128, blank=True)  # eventName
    count = models.IntegerField()
    errors = models.IntegerField(default=0)  # of these, those that failed, the refused ones included
    denied = models.IntegerField(default=0)  # of these, those that were refused
    first_at = models.DateTimeField()  # business time
    last_at = models.DateTimeField()  # business time

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["place", "account_id", "permission_set_name", "service", "action"],
                name="activity_use_once",
            ),
        ]


class ActivityView(models.Model):
    """That somebody looked at what was done with a request's access in this hour: told once in the trail."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    request = models.ForeignKey("requests_app.AccessRequest", on_delete=models.PROTECT, related_name="+")
    hour = models.DateTimeField()  # real time, its beginning

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "request", "hour"], name="activity_view_once_an_hour"),
        ]
