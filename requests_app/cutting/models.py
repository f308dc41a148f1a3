"""Rows of fast removal and of severing. The rows are the job: remover and severer find owed work here, and only here."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from identity.models import Person


class FastRemoval(models.Model):
    """That a grant's membership is to be taken out of IAM Identity Center at once, and how far that is.

    Made by a worker once Entra was read (`entra_read_at`): it holds nothing for this pair any more, or the grant was
    revoked and holds nothing but our own assignment. An operator's row waits for that reading.
    """

    class Reason(models.TextChoices):
        ENDED = "ended", "the membership has left Entra"
        REVOKED = "revoked", "the access was revoked"
        OPERATOR = "operator", "an operator asked for it"

    class Outcome(models.TextChoices):
        OPEN = "", "Owed"
        GONE = "gone", "The membership is gone"
        YIELDED = "yielded", "Left alone, because newer access is approved"
        REFUSED = "refused", "Refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    grant = models.OneToOneField("requests_app.Grant", on_delete=models.PROTECT, related_name="fast_removal")
    reason = models.CharField(max_length=10, choices=Reason)
    wanted_at = models.DateTimeField()  # business time
    entra_read_at = models.DateTimeField(null=True)  # business time; None: nothing is sent yet
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    closed_at = models.DateTimeField(null=True)  # business time
    asks = models.IntegerField(default=0)
    last_asked_at = models.DateTimeField(null=True)  # business time
    last_request_id = models.CharField(max_length=128, blank=True)  # the vendor's
    problem = models.TextField(blank=True)

    next_action_at = models.DateTimeField(null=True)  # business time; None: nothing is owed
    retry_at = models.DateTimeField(null=True)  # real time; not before
    lease_until = models.DateTimeField(null=True)  # real time; somebody is at it
    lease_token = models.UUIDField(null=True)
    sending_until = models.DateTimeField(null=True)  # real time; a deletion may be on its way until then
    failures = models.IntegerField(default=0)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["next_action_at"], condition=models.Q(next_action_at__isnull=False), name="fast_owed"
            ),
        ]


class SeveringPlace(models.Model):
    """One policy document of AWS in which denials stand, and the work on it. `key` is as in `places.place_for`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=160, unique=True)
    written_hash = models.CharField(max_length=64, blank=True)  # of our statements as last put
    confirmed_hash = models.CharField(max_length=64, blank=True)  # as last read back and in force
    confirmed_at = models.DateTimeField(null=True)  # business time
    targets = models.JSONField(default=list)  # of a service control policy: what it is attached to
    provisioning_id = models.CharField(
        max_length=64, blank=True
    )  # of an inline policy on its way to the accounts
    problem = models.TextField(blank=True)

    next_action_at = models.DateTimeField(null=True)  # business time; None: nothing is owed
    retry_at = models.DateTimeField(null=True)  # real time
    lease_until = models.DateTimeField(null=True)  # real time
    lease_token = models.UUIDField(null=True)
    failures = models.IntegerField(default=0)


class Severance(models.Model):
    """That the sessions of one grant, in one permission set on one AWS account, are denied. Live until lifted.

    `cut_before` None: all of them, whenever they were opened; else those whose credentials were issued before.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    grant = models.ForeignKey("requests_app.Grant", on_delete=models.PROTECT, related_name="severances")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    account_id = models.CharField(max_length=12)
    permission_set_arn = models.CharField(max_length=128)
    permission_set_name = models.CharField(max_length=32)
    store_user_id = models.CharField(max_length=47)
    place = models.ForeignKey(SeveringPlace, on_delete=models.PROTECT, related_name="severances")
    longest_session = models.DurationField()
    created_at = models.DateTimeField()  # business time
    cut_before = models.DateTimeField(null=True)  # business time
    confirmed_at = models.DateTimeField(null=True)  # business time of the first read-back
    lifted_at = models.DateTimeField(null=True)  # business time
    refused_at = models.DateTimeField(null=True)  # business time; the place has no room for it

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["grant", "account_id", "permission_set_arn"],
                name="severance_once_per_grant_and_scope",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["place", "created_at"],
                condition=models.Q(lifted_at__isnull=True),
                name="severance_live",
            ),
            models.Index(
                fields=["created_at", "id"],
                condition=models.Q(lifted_at__isnull=True),
                name="severance_live_by_age",
            ),
        ]
