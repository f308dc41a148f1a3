"""A star on a PIM group."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from catalog.models import PimGroup
from identity.models import Person


class Favourite(models.Model):
    """One person's star on one PIM group. It gives nothing and says nothing to anybody else."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="favourites")
    group = models.ForeignKey(PimGroup, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()  # real time

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "group"], name="favourite_once"),
        ]
