"""Rows of the narrow path: who locks it, who has a place on it, and who waits for one (docs/adr/0023)."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F

from requests_app.models import Grant


class NarrowPath(models.Model):
    """The narrow path of one enterprise application: the row that whoever takes a place locks."""

    application = models.CharField(max_length=64, primary_key=True)  # object id of its service principal
    held_until = models.DateTimeField(null=True)  # real time; the vendor said 429


class PathKind(models.TextChoices):
    """What goes along the narrow path."""

    REMOVE = "remove", "Removal from AWS"
    ASSIGN = "assign", "Assignment in Entra"
    CARRY = "carry", "On-demand provisioning"


class PathUse(models.Model):
    """One place that was taken, before the call that it is for. Kept for an hour."""

    application = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=PathKind)
    grant = models.ForeignKey(
        Grant, on_delete=models.CASCADE, related_name="path_uses"
    )  # the first, if several
    used_at = models.DateTimeField()  # business time
    leaves_by = models.DateTimeField()  # real time; a call that has not left by then is not made
    frees_at = models.DateTimeField()  # real time; until then the place is taken

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["application", "-frees_at"], name="path_use_by_free"),
        ]


class PathTicket(models.Model):
    """A grant that waits for a place. Removals first, then what an operator moved to the front, then by start."""

    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="path_tickets")
    kind = models.CharField(max_length=8, choices=PathKind)
    application = models.CharField(max_length=64)
    rank = models.SmallIntegerField()  # 0: removals, 1: arrivals
    starts_at = models.DateTimeField()  # begin of what it waits for, by which it is ordered (business time)
    since = models.DateTimeField()  # waits since (business time)
    called_at = models.DateTimeField(null=True)  # real time; its turn came and it was rung for
    front_at = models.DateTimeField(null=True)  # business time; an operator moved it to the front
    front_by = models.CharField(max_length=256, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["grant", "kind"], name="path_ticket_once"),
        ]
        indexes: ClassVar = [
            models.Index(
                "application",
                "rank",
                F("front_at").desc(nulls_last=True),
                "starts_at",
                "id",
                name="path_ticket_in_order",
            ),
        ]
