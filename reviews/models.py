"""Campaigns, who reviews which PIM group in them and why they do, and one entry for each eligibility that is reviewed."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from catalog.models import PimGroup
from identity.models import Person


class Verdict(models.TextChoices):
    KEEP = "keep", "Keep"
    REMOVE = "remove", "Remove"


class ReviewedBy(models.TextChoices):
    """Who reviews a PIM group when a campaign begins."""

    OWNERS = "owners", "Owners in Entra, or else whoever decides on requests"
    DECIDERS = "deciders", "Whoever decides on requests"


class WithoutOwners(models.TextChoices):
    """Why a PIM group isn't reviewed by its owners."""

    UNREAD = "unread", "who owns it was not read from Entra in the last 24 hours"
    NOBODY = "nobody", "Entra names no owner"
    UNABLE = "unable", "its owners in Entra are disabled or guests"


class Campaign(models.Model):
    """One review of the eligibilities that PIM had when it began. Times are business time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=128)
    due_on = models.DateField()  # in UTC; nothing happens then but that the page says so
    started_at = models.DateTimeField()
    started_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    reviewed_by = models.CharField(
        max_length=8, choices=ReviewedBy, default=ReviewedBy.DECIDERS, db_default=ReviewedBy.DECIDERS
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, closed_by__isnull=True)
                | Q(closed_at__isnull=False, closed_by__isnull=False),
                name="campaign_closed_by_somebody",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-started_at"], name="campaign_latest")]

    def __str__(self) -> str:
        return self.name

    @property
    def open(self) -> bool:
        return self.closed_at is None


class Reviewer(models.Model):
    """Somebody who reviews one PIM group in a campaign."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="reviewers")
    group = models.ForeignKey(PimGroup, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="reviewing")
    as_owner = models.BooleanField(default=False, db_default=False)  # in Entra, when the campaign began

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "group", "person"], name="reviewer_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["person", "campaign"], name="reviewer_by_person")]


class Unowned(models.Model):
    """A PIM group of a campaign by owner for which whoever decides on requests reviews, and why."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="unowned")
    group = models.ForeignKey(PimGroup, on_delete=models.PROTECT, related_name="+")
    why = models.CharField(max_length=8, choices=WithoutOwners)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "group"], name="unowned_once"),
        ]


class ReviewEntry(models.Model):
    """One person's eligibility for one PIM group, as PIM had it when the campaign began, and what was decided.

    Several eligibilities of one person for one group (direct, through groups) are one entry: they open the same.
    """

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="entries")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    group = models.ForeignKey(PimGroup, on_delete=models.PROTECT, related_name="+")
    through = models.TextField(blank=True)  # names of directory groups; "" when only direct
    direct = models.BooleanField()
    ends_at = models.DateTimeField(null=True)  # the last of their ends; None: permanent
    verdict = models.CharField(max_length=8, choices=Verdict, blank=True)  # "" until somebody decides
    reason = models.TextField(blank=True)
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "group", "person"], name="review_entry_once"),
            models.CheckConstraint(
                condition=Q(verdict="", decided_by__isnull=True, decided_at__isnull=True, reason="")
                | (~Q(verdict="") & ~Q(reason="") & Q(decided_by__isnull=False, decided_at__isnull=False)),
                name="review_entry_decided_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("person")),
                name="review_entry_not_ones_own",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["campaign", "group"], condition=Q(verdict=""), name="review_entry_undecided"
            ),
            models.Index(
                fields=["campaign", "group"], condition=Q(verdict="remove"), name="review_entry_removal"
            ),
        ]
