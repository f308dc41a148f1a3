"""The rows of a change of rules; the triggers that keep them honest are in `guards`."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from identity.models import Person


class RuleChange(models.Model):
    """A whole set of rules that somebody proposed to put in the place of those in force.

    `rules` holds the documents by name; whatever it doesn't name is retired by it. `base` holds the number of the
    version of each rule that was in force when it was proposed: it is applied to these or not at all. The version
    counts the steps of its life.
    """

    class Status(models.TextChoices):
        PROPOSED = "proposed", "Waits for a second operator"
        ACCEPTED = "accepted", "Accepted, about to be applied"
        APPLIED = "applied", "Applied"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"
        STALE = "stale", "Not applied"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.IntegerField(default=1)
    status = models.CharField(max_length=10, choices=Status, default=Status.PROPOSED)
    rules: models.JSONField[Any, Any] = models.JSONField()
    base: models.JSONField[Any, Any] = models.JSONField()
    # None: the very first rules, which a command loaded.
    proposed_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    proposed_at = models.DateTimeField()  # business time
    reason = models.TextField()
    # The change to whose rules this one goes back.
    restores = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="+")
    # The second operator's word, or the proposer's own where it was withdrawn.
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)  # business time
    decision_reason = models.TextField(blank=True)
    # What a worker did about it.
    settled_at = models.DateTimeField(null=True)  # business time
    problem = models.TextField(blank=True)  # why it was not applied; a sentence for people
    wrote: models.JSONField[Any, Any] = models.JSONField(default=list)  # [name, what became of it, number]

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(reason=""), name="rule_change_has_a_reason"),
            models.CheckConstraint(
                condition=Q(status__in=["applied", "stale"], settled_at__isnull=False)
                | (~Q(status__in=["applied", "stale"]) & Q(settled_at__isnull=True)),
                name="rule_change_settled_with_status",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["accepted", "rejected", "withdrawn"])
                | (Q(decided_by__isnull=False, decided_at__isnull=False) & ~Q(decision_reason="")),
                name="rule_change_decided_as_a_whole",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-proposed_at", "id"], name="rule_change_newest"),
            models.Index(
                fields=["proposed_at"],
                condition=Q(status__in=["proposed", "accepted"]),
                name="rule_change_open",
            ),
        ]

    @property
    def is_open(self) -> bool:
        """Whether anything may become of it still."""
        return self.status in OPEN


OPEN = (RuleChange.Status.PROPOSED, RuleChange.Status.ACCEPTED)


class RuleEffect(models.Model):
    """What a proposed change would do, worked out by a worker in slices: who gains and loses, and a replay.

    The cursor says where the next slice begins; `found` is what the page shows.
    """

    class Status(models.TextChoices):
        RUNNING = "running", "Being worked out"
        DONE = "done", "Worked out"
        FAILED = "failed", "Could not be worked out"

    change = models.OneToOneField(RuleChange, on_delete=models.CASCADE, related_name="effect")
    status = models.CharField(max_length=8, choices=Status, default=Status.RUNNING)
    cursor: models.JSONField[Any, Any] = models.JSONField(default=dict)
    found: models.JSONField[Any, Any] = models.JSONField(default=dict)
    problem = models.TextField(blank=True)  # a sentence for people
    started_at = models.DateTimeField()  # business time
    finished_at = models.DateTimeField(null=True)  # business time
    lease_until = models.DateTimeField(null=True)  # real time
    failures = models.IntegerField(default=0)
