"""The ledger's rows, mapped for reading. Tables, guards and rights are made by the migration in SQL.

Events are written through `recorder` only, seals through `sealing` only. A verification's place is a row like any other.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q

from audit.ledger.said import SaidField


class Outcome(models.TextChoices):
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class ActorKind(models.TextChoices):
    PERSON = "person", "Person"
    WORKER = "worker", "Worker"
    SYSTEM = "system", "System"
    ANONYMOUS = "anonymous", "Nobody signed in"


class Event(models.Model):
    """One thing that happened. Every column but `id` and `at` is computed by Postgres from `canon`."""

    id = models.BigAutoField(primary_key=True)  # in the table (id, at): partitioned by month of `at`
    at = models.DateTimeField()  # real time, the database's clock
    business_at = models.DateTimeField()
    type = models.TextField()
    outcome = models.TextField(choices=Outcome)
    actor_kind = models.TextField(choices=ActorKind)
    actor_oid = models.TextField()  # "" for anyone without an object id
    about_oid = models.TextField()  # the person the event is about
    group_oid = models.TextField()
    request_id = models.UUIDField(null=True)
    grant_id = models.UUIDField(null=True)
    ip = models.TextField()
    session = models.TextField()  # a hash, enough to tell sessions apart
    canon = models.TextField()  # the exact text that is sealed
    data = SaidField()

    class Meta:
        managed = False
        db_table = "audit_event"

    def __str__(self) -> str:
        return f"{self.id} {self.type}"


class Version(models.Model):
    """Which event brought a guarded thing to a version: one per change, by primary key."""

    pk = models.CompositePrimaryKey("subject_kind", "subject_id", "version")
    subject_kind = models.TextField()
    subject_id = models.UUIDField()
    version = models.IntegerField()
    event_id = models.BigIntegerField(unique=True)

    class Meta:
        managed = False
        db_table = "audit_version"


class PersonalWords(models.Model):
    """Words or a name that an event holds a salted commitment to."""

    pk = models.CompositePrimaryKey("event_id", "field")
    event_id = models.BigIntegerField()
    field = models.TextField()
    salt = models.BinaryField()
    words = models.TextField()

    class Meta:
        managed = False
        db_table = "audit_pii"


class Leaf(models.Model):
    """An event's place in a sealed batch."""

    event_id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()  # the event's
    batch = models.BigIntegerField()
    idx = models.IntegerField()
    leaf = models.BinaryField()

    class Meta:
        managed = False
        db_table = "audit_leaf"


class Seal(models.Model):
    """A sealed batch: Merkle root, chained to the one before, signed."""

    batch = models.BigIntegerField(primary_key=True)
    n = models.IntegerField()
    root = models.BinaryField()
    prev_seal = models.BinaryField()
    seal = models.BinaryField()
    key_id = models.TextField()
    signature = models.BinaryField()
    at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "audit_seal"
        ordering: ClassVar = ["batch"]


class AnchorReceipt(models.Model):
    """What a place outside the database answered when it was given a seal. Written through `anchoring` only."""

    pk = models.CompositePrimaryKey("place", "batch")
    place = models.TextField()  # one of audit.ledger.anchors.KINDS
    batch = models.BigIntegerField()
    seal = models.BinaryField()
    receipt = models.TextField()
    at = models.DateTimeField()  # real time, the database's clock

    class Meta:
        managed = False
        db_table = "audit_anchor"


class Verification(models.Model):
    """One verification of the whole trail, step by step. What came out is an event; this is how far it is. Real time."""

    class Status(models.TextChoices):
        RUNNING = "running", "Under way"
        DONE = "done", "Done"
        GIVEN_UP = "given_up", "Given up"

    status = models.CharField(max_length=8, choices=Status, default=Status.RUNNING)
    started_at = models.DateTimeField()
    moved_at = models.DateTimeField()  # when a step last began or ended
    retry_at = models.DateTimeField(null=True)  # not before
    finished_at = models.DateTimeField(null=True)
    unverified_since = (
        models.DateTimeField()
    )  # the end of the last whole one before; of the first, when it was owed
    step = models.CharField(max_length=128, blank=True)  # what comes next, by audit.ledger.verifying
    cursor = models.JSONField(null=True)  # the seal up to which the chain was verified
    events = models.BigIntegerField(default=0)
    batches = models.BigIntegerField(default=0)
    last_batch = models.BigIntegerField(default=0)
    keys = models.TextField(blank=True)  # ids of those whose signatures were looked at; "": none was
    findings = models.BigIntegerField(default=0)
    named = models.JSONField(default=dict)  # how many by name, and where the first is; of ten names
    first_bad_batch = models.BigIntegerField(null=True)
    seconds = models.FloatField(default=0)  # of work, without the pauses
    tries = models.IntegerField(default=0)  # of the step that comes next
    problem = models.TextField(blank=True)  # why the last try of it failed
    event_id = models.BigIntegerField(null=True)  # what came out

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["status"], condition=Q(status="running"), name="verification_one_at_a_time"
            ),
        ]

    @property
    def verified_until(self) -> datetime:
        """When the trail was last verified whole, as far as this row knows."""
        done = self.status == self.Status.DONE and self.finished_at
        return self.finished_at if done and self.finished_at else self.unverified_since

    @property
    def names(self) -> str:
        """What was found in words: each name once, with how many there are and where the first is."""
        many_first = sorted(self.named.items(), key=lambda named: (-named[1]["many"], named[0]))
        said = [_found(code, each["many"], each["first"]) for code, each in many_first]
        more = self.findings - sum(each["many"] for each in self.named.values())
        return "; ".join([*said, *([f"and {more:,} more"] if more else [])])


def _found(code: str, many: int, first: str) -> str:
    if many == 1:
        return f"{code} ({first})" if first else code
    return f"{code} {many:,} times{f', first at {first}' if first else ''}"
