"""Remarks on an item, and somebody's word that they are looking at it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from identity.models import Person
from requests_app.models import RequestItem


class Remark(models.Model):
    """A question of somebody who decides on an item, or an answer of its requester. Written once, with its event."""

    class Kind(models.TextChoices):
        QUESTION = "question", "Question"
        ANSWER = "answer", "Answer"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.IntegerField(default=1)
    item = models.ForeignKey(RequestItem, on_delete=models.PROTECT, related_name="remarks")
    author = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind)
    words = models.TextField()  # kept beside the ledger, as the justification is
    written_at = models.DateTimeField()  # business time

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(version=1), name="remark_never_changes"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["item", "-written_at", "-id"], name="remark_newest"),
        ]


class Attention(models.Model):
    """Who said last that they are looking at an item, and until when that stands. It keeps nobody from deciding."""

    item = models.OneToOneField(RequestItem, on_delete=models.PROTECT, related_name="attention")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    begun_at = models.DateTimeField()  # real time: it is about people at their desks
    until = models.DateTimeField()  # real time

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(until__gte=F("begun_at")), name="attention_in_order"),
        ]

    def stands(self, now: datetime) -> bool:
        """Whether it is not over at this instant (real time)."""
        return now < self.until
