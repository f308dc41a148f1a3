"""The ledger's rows, mapped for reading. Tables, guards and rights are made by the migration in SQL.

Events are written through `recorder` only, seals through `sealing` only.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


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
    data: models.JSONField[Any, Any] = models.JSONField()

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
