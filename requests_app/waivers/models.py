"""An ask to go without an approval, and the reviews that are owed when one was used in an emergency."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from identity.models import Person
from requests_app.lifecycle import WaiverStatus
from requests_app.models import RequestItem


class Waiver(models.Model):
    """An ask that nobody has to decide on an item. A worker settles it; refused, the item waits as any other.

    A drill goes the whole way of an emergency up to the grant, which it never gets.
    """

    class Kind(models.TextChoices):
        EMERGENCY = "emergency", "Emergency"
        AUTOMATIC = "automatic", "Automatic approval"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.OneToOneField(RequestItem, on_delete=models.PROTECT, related_name="waiver")
    kind = models.CharField(max_length=10, choices=Kind)
    drill = models.BooleanField(default=False)
    why = models.TextField(blank=True)  # why it can't wait for an approval, in the requester's words
    status = models.CharField(max_length=10, choices=WaiverStatus)
    version = models.IntegerField(default=1)
    reason = models.TextField(blank=True)  # why it was refused, or what it waits for; a sentence for people
    conditions: models.JSONField[list[str], list[str]] = models.JSONField(default=list)  # that held, in words
    submitted_at = models.DateTimeField()  # business time
    settled_at = models.DateTimeField(null=True)  # business time
    retry_at = models.DateTimeField(null=True)  # real time
    lease_until = models.DateTimeField(null=True)  # real time
    failures = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=(Q(kind="emergency") & ~Q(why="")) | Q(kind="automatic", why="", drill=False),
                name="waiver_says_why",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["submitted_at"], condition=Q(status="submitted"), name="waiver_owed"),
            # What was settled in a period.
            models.Index(
                fields=["settled_at"], condition=Q(settled_at__isnull=False), name="waiver_by_settled_at"
            ),
        ]

    @property
    def what(self) -> str:
        """What it is, for people and the trail."""
        return "emergency drill" if self.drill else self.get_kind_display().lower()

    @property
    def emergency(self) -> bool:
        return self.kind == self.Kind.EMERGENCY

    @property
    def being_checked(self) -> bool:
        return self.status == WaiverStatus.SUBMITTED

    @property
    def granted(self) -> bool:
        return self.status == WaiverStatus.GRANTED


class OwedReview(models.Model):
    """A review of one emergency use, owed by one of its rule's panels of reviewers; never by whoever used it."""

    class Verdict(models.TextChoices):
        IN_ORDER = "in_order", "In order"
        NOT_IN_ORDER = "not_in_order", "Not in order"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    waiver = models.ForeignKey(Waiver, on_delete=models.PROTECT, related_name="reviews")
    panel = models.SmallIntegerField()  # index into the terms' panels
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")  # whose use it was
    drill = models.BooleanField()
    version = models.IntegerField(default=1)
    owed_at = models.DateTimeField()  # business time, as all here
    due_at = models.DateTimeField()
    blocks_at = models.DateTimeField()
    escalated_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=12, choices=Verdict, blank=True)
    comment = models.TextField(blank=True)
    reviewed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    # An operator let the person use emergencies again although it isn't reviewed; it stays owed.
    lifted_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lift_reason = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["waiver", "panel"], name="owed_review_once"),
            models.CheckConstraint(
                condition=Q(verdict="", comment="", reviewed_by=None, reviewed_at=None)
                | (~Q(verdict="") & ~Q(comment="") & Q(reviewed_by__isnull=False, reviewed_at__isnull=False)),
                name="owed_review_as_a_whole",
            ),
            models.CheckConstraint(
                condition=Q(lifted_by=None, lifted_at=None, lift_reason="")
                | (Q(lifted_by__isnull=False, lifted_at__isnull=False) & ~Q(lift_reason="")),
                name="owed_review_lifted_as_a_whole",
            ),
            models.CheckConstraint(
                condition=Q(blocks_at__gte=models.F("due_at")), name="owed_review_due_before_it_blocks"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(verdict=""), name="owed_review_open"),
            models.Index(fields=["person"], condition=Q(verdict=""), name="owed_review_open_of"),
            models.Index(fields=["-owed_at", "id"], name="owed_review_newest"),
        ]

    @property
    def open(self) -> bool:
        return not self.verdict

    def overdue(self, now: datetime) -> bool:
        """Whether it is open past its time."""
        return self.open and self.due_at <= now

    def blocks(self, now: datetime) -> bool:
        """Whether it keeps its person from another emergency use. A drill's never does."""
        return self.open and not self.drill and self.lifted_at is None and self.blocks_at <= now
