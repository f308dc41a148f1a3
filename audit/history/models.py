"""What auditors keep for themselves: searches that they come back to."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models

from identity.models import Person


class SavedSearch(models.Model):
    """A search of the timeline by name: the query of its address and nothing else, judged anew whenever it is opened."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="saved_searches")
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=4096)
    shared = models.BooleanField(default=False)  # with every auditor; else with nobody
    saved_at = models.DateTimeField()  # business time

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "name"], name="saved_search_name_once_per_owner"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["name"], condition=models.Q(shared=True), name="saved_search_shared"),
        ]
