"""The row of an absence. It is written once and may be withdrawn once; the triggers that hold it are in `guards`."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from identity.models import Person


class Absence(models.Model):
    """One account's word, or an operator's for it, that its person is away; perhaps with somebody who decides meanwhile.

    All instants are business time. Version 1 stands, version 2 is withdrawn, and nothing follows: another absence is
    another row. The delegate decides what the absent account may, and hands nothing on.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.IntegerField(default=1)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="absences")
    delegate = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="delegations")
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    declared_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    declared_at = models.DateTimeField()
    withdrawn_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("begins_at"), begins_at__gte=F("declared_at")),
                name="absence_in_order",
            ),
            models.CheckConstraint(
                condition=Q(delegate=None) | ~Q(delegate=F("person")), name="absence_delegate_is_another"
            ),
            models.CheckConstraint(
                condition=Q(version=1, withdrawn_at__isnull=True, withdrawn_by__isnull=True)
                | Q(version=2, withdrawn_at__isnull=False, withdrawn_by__isnull=False),
                name="absence_withdrawn_as_a_whole",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["person", "-ends_at"], name="absence_by_person"),
            models.Index(fields=["delegate", "-ends_at"], name="absence_by_delegate"),
            models.Index(fields=["ends_at"], condition=Q(withdrawn_at=None), name="absence_standing"),
        ]

    def stands(self, at: datetime) -> bool:
        """Whether it was in force at this instant (business time)."""
        over = self.withdrawn_at is not None and self.withdrawn_at <= at
        return self.begins_at <= at < self.ends_at and not over
