"""The row of a freeze. While it isn't lifted it holds; the triggers that keep it honest are in `guards`."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from identity.models import Person


class Freeze(models.Model):
    """One operator's word that a subject is frozen, and a second operator's that it is over.

    `subject` is the Entra object id of a person, the id of an AWS account, or the ARN of a permission set; its name is
    kept as it was. Version 1 holds, version 2 is lifted, and nothing follows.
    """

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        ACCOUNT = "account", "AWS account"
        PERMISSION_SET = "permission_set", "Permission set"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.IntegerField(default=1)
    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.CharField(max_length=128)
    subject_name = models.CharField(max_length=256)
    frozen_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    frozen_at = models.DateTimeField()  # business time
    reason = models.TextField()
    # What a worker did about it: what was open is ended and closed, counted in the transaction of each.
    carried_at = models.DateTimeField(null=True)  # business time; None: a worker is at it
    grants_ended = models.IntegerField(default=0)
    items_closed = models.IntegerField(default=0)
    lifted_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True)  # business time
    lift_reason = models.TextField(blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(lifted_at__isnull=True), name="freeze_one_per_subject"
            ),
            models.CheckConstraint(condition=~Q(reason="") & ~Q(subject=""), name="freeze_has_a_reason"),
            models.CheckConstraint(
                condition=Q(version=1, lifted_at__isnull=True, lifted_by__isnull=True, lift_reason="")
                | (Q(version=2, lifted_at__isnull=False, lifted_by__isnull=False) & ~Q(lift_reason="")),
                name="freeze_lifted_as_a_whole",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-frozen_at", "id"], name="freeze_newest"),
        ]

    @property
    def what(self) -> str:
        """What is frozen, named for operators."""
        if self.kind == self.Kind.ACCOUNT:
            return f"AWS account {self.subject_name} ({self.subject})"
        return f"{self.get_kind_display().lower().capitalize()} {self.subject_name}"

    @property
    def sentence(self) -> str:
        """Why something is refused, for those concerned. It names no person, so that any record may keep it."""
        match self.kind:
            case self.Kind.PERSON:
                frozen = "The access of the person whom this is for"
            case self.Kind.ACCOUNT:
                frozen = f"AWS account {self.subject_name}, which this PIM group opens,"
            case _:
                frozen = f"Permission set {self.subject_name}, which this PIM group opens,"
        return (
            f"{frozen} is frozen in an incident: nothing new is requested, approved or started until two operators "
            "agree to lift it. Ask an operator."
        )
