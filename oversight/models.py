"""What watching the product leaves behind: runs that looked, and findings that somebody or the world resolves."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from catalog.models import PimGroup
from identity.models import Person
from policy.models import Rule
from requests_app.models import Grant


class FindingKind(models.TextChoices):
    """How the portal, PIM and IAM Identity Center can differ."""

    ORPHAN = "orphan", "Access with no grant"
    GHOST = "ghost", "Grant with no access"
    LATE = "late", "Past its end and still there"
    STANDING = "standing", "Permanent membership"
    CHANGED_END = "changed_end", "Another end than approved"
    FOREIGN_ASSIGNMENT = "foreign_assignment", "Assignment that the portal didn't make"
    WIDENED = "widened", "Opens more than was approved"


# Somebody may hold access that nobody approved: an operator is alerted.
DANGEROUS = frozenset(
    {FindingKind.ORPHAN, FindingKind.LATE, FindingKind.STANDING, FindingKind.CHANGED_END, FindingKind.WIDENED}
)


class FindingStatus(models.TextChoices):
    OPEN = "open", "Open"
    ACCEPTED = "accepted", "Known exception"
    HANDLED = "handled", "Handled by a person"
    GONE = "gone", "Gone by itself"


# One of these at a time for each kind, person and group.
UNRESOLVED = (FindingStatus.OPEN, FindingStatus.ACCEPTED)


class Finding(models.Model):
    """One difference about one holder in one PIM group, from its first sight to its resolution.

    `principal` is the Entra object id, or "store:" and the identity store's id of somebody whom only AWS knows.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.IntegerField(default=1)
    kind = models.CharField(max_length=20, choices=FindingKind)
    status = models.CharField(max_length=10, choices=FindingStatus, default=FindingStatus.OPEN)
    principal = models.CharField(max_length=64)
    principal_name = models.CharField(max_length=256)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="findings")
    group = models.ForeignKey(PimGroup, on_delete=models.PROTECT, related_name="findings")
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, null=True, related_name="findings")
    first_seen_at = models.DateTimeField()  # business time
    last_seen_at = models.DateTimeField()  # business time
    sentence = models.TextField()  # what was seen, without anybody's name
    proposal = models.TextField()  # what to do about it
    evidence = models.JSONField(default=dict)  # what the vendors answered, with their request ids
    resolved_at = models.DateTimeField(null=True)  # business time
    resolved_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.TextField(blank=True)  # in the words of whoever resolved it
    accepted_until = models.DateTimeField(null=True)  # business time

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "principal", "group"],
                condition=Q(status__in=["open", "accepted"]),
                name="finding_one_open_per_kind_person_and_group",
            ),
            models.CheckConstraint(
                condition=Q(status="open", resolved_at__isnull=True)
                | (~Q(status="open") & Q(resolved_at__isnull=False)),
                name="finding_resolved_at_with_status",
            ),
            models.CheckConstraint(
                condition=(Q(status="accepted") & Q(accepted_until__isnull=False)) | ~Q(status="accepted"),
                name="finding_accepted_until_a_date",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "-first_seen_at", "id"], name="finding_by_status"),
            models.Index(fields=["group", "status"], name="finding_by_group"),
        ]


class DriftRun(models.Model):
    """One comparison of all managed groups, in slices; the cursor holds the groups that are still to be looked at."""

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    status = models.CharField(max_length=8, choices=Status, default=Status.RUNNING)
    cursor = models.JSONField(default=list)
    started_at = models.DateTimeField()  # business time
    finished_at = models.DateTimeField(null=True)  # business time
    lease_until = models.DateTimeField(null=True)  # real time
    resume_at = models.DateTimeField(null=True)  # real time: a source asked to wait
    pauses = models.IntegerField(default=0)
    looked = models.IntegerField(default=0)
    not_looked = models.IntegerField(default=0)
    doubted = models.IntegerField(default=0)
    grants_known = models.IntegerField(default=0)  # how many grants the portal had when it began
    problem = models.TextField(blank=True)  # a sentence for people

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["status"], condition=Q(status="running"), name="drift_run_one_at_a_time"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-started_at"], name="drift_run_latest")]


class GroupLook(models.Model):
    """The last comparison of one group: when it succeeded, and why the newest one didn't."""

    group = models.OneToOneField(PimGroup, on_delete=models.CASCADE, related_name="look")
    looked_at = models.DateTimeField(null=True)  # business time of the last success
    problem = models.TextField(blank=True)  # why it was not looked at last time, for people
    doubt = models.CharField(max_length=16, blank=True)  # digest of an answer that must be read twice alike


class Heartbeat(models.Model):
    """When something last did its work: "task:<name>" of the schedule, "worker:<host>" of a worker. Real time."""

    name = models.CharField(max_length=128, unique=True)
    seen_at = models.DateTimeField()


class Expiry(models.Model):
    """When something that the portal lives on ends: the worker's certificate, the SCIM token. Real time."""

    name = models.CharField(max_length=32, unique=True)
    ends_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    recorded_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")


class RuleOutOfReach(models.Model):
    """A rule that nobody can decide or review by, by what is known of Entra, as the last look found (`reaching`)."""

    rule = models.OneToOneField(Rule, on_delete=models.CASCADE, related_name="+")
    sentence = models.TextField()  # why, without anybody's name
    found_at = models.DateTimeField()  # business time


class AlertKind(models.TextChoices):
    OVERDUE = "overdue", "Access past its end"
    STUCK = "stuck", "Owed work that nobody does"
    QUARANTINE = "quarantine", "Nothing is carried to AWS"
    DRIFT = "drift", "Dangerous drift"
    ENDS_SOON = "ends_soon", "A credential ends soon"
    SEAL_LAG = "seal_lag", "The audit trail is not sealed"
    ANCHOR_LAG = "anchor_lag", "Seals are not anchored"
    BREAKER = "breaker", "A cloud does not answer"
    OUT_OF_REACH = "out_of_reach", "A rule that lacks people"
    DIFFERS = "differs", "The audit trail isn't as it was sealed"
    UNVERIFIED = "unverified", "The audit trail is not verified"


class Alert(models.Model):
    """Something that operators are told of once, while it lasts."""

    kind = models.CharField(max_length=12, choices=AlertKind)
    key = models.CharField(max_length=128)  # what it is about, within its kind
    sentence = models.TextField()
    address = models.CharField(max_length=256)  # the page that shows it, without the origin
    raised_at = models.DateTimeField()  # real time
    cleared_at = models.DateTimeField(null=True)  # real time

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "key"], condition=Q(cleared_at__isnull=True), name="alert_once_while_it_lasts"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["-raised_at"], name="alert_latest")]


import oversight.rules.models  # noqa: E402, F401 - so that Django finds them
