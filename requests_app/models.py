"""Requests, what they ask for, what was decided, and the access that followed.

Statuses move through `actions.moving` only; Postgres refuses anything else (see `guards`).
Which process may write which column is a database right, given in the migrations.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.postgres.indexes import GistIndex
from django.db import models
from django.db.models import F, Q

from catalog.models import PimGroup
from clients.types import PimRequest
from identity.absences.models import Absence
from identity.models import Person
from policy.models import Terms
from requests_app.held import HELD
from requests_app.lifecycle import HOLDING, REVOKING, DecisionStatus, EndReason, GrantStatus, ItemStatus


class AccessRequest(models.Model):
    """One ask: who, why, and for which PIM groups. Never changed after it was made."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.IntegerField(default=1)
    requester = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="access_requests")
    justification = models.TextField()
    reference = models.CharField(max_length=64, blank=True)
    item_count = models.SmallIntegerField(default=1, db_default=1)  # written with it; no page counts
    created_at = models.DateTimeField()  # business time
    created_real_at = models.DateTimeField()
    # What the requester's sign-in proved (`identity.signin.proving.Proof`); None: nothing was wanted.
    proof: models.JSONField[Any, Any] = models.JSONField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["requester", "-created_at"], name="request_by_requester"),
        ]


class RequestItem(models.Model):
    """One PIM group of a request; carries the decision."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="items")
    requester = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="request_items")
    group = models.ForeignKey(PimGroup, on_delete=models.PROTECT, related_name="request_items")
    duration = models.DurationField()
    wanted_start = models.DateTimeField(null=True)  # business time; None: as soon as it is approved
    status = models.CharField(max_length=12, choices=ItemStatus)
    version = models.IntegerField(default=1)
    stage = models.IntegerField(default=0)  # index of the approval stage that decides next
    terms = models.ForeignKey(Terms, on_delete=models.PROTECT, related_name="request_items")
    scope_hash = models.CharField(max_length=64)  # what the group opened when it was asked for
    longest_session = models.DurationField()
    created_at = models.DateTimeField()  # business time
    lapses_at = models.DateTimeField()  # business time
    chase_at = models.DateTimeField(null=True)  # business time: the next reminder or escalation
    reminders = models.IntegerField(default=0, db_default=0)  # sent so far
    decided_at = models.DateTimeField(null=True)  # business time
    close_reason = models.TextField(blank=True)  # why nobody has to decide any more; a sentence for people

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["requester", "group"],
                condition=Q(status=ItemStatus.PENDING),
                name="item_one_pending_per_person_and_group",
            ),
            models.CheckConstraint(condition=Q(duration__gt="00:00:00"), name="item_duration_positive"),
            models.CheckConstraint(
                condition=Q(status=ItemStatus.PENDING, decided_at__isnull=True)
                | (~Q(status=ItemStatus.PENDING) & Q(decided_at__isnull=False)),
                name="item_decided_at_with_status",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["lapses_at"], condition=Q(status=ItemStatus.PENDING), name="item_pending_by_lapse"
            ),
            models.Index(
                fields=["chase_at"], condition=Q(status=ItemStatus.PENDING), name="item_pending_by_chase"
            ),
            models.Index(fields=["requester", "-created_at"], name="item_by_requester"),
            models.Index(
                fields=["group", "created_at"], condition=Q(status="pending"), name="item_pending_by_group"
            ),
            # An account's or a permission set's requests, thousands of them: their items lie all over the table.
            models.Index(fields=["id"], include=["request"], name="item_request"),
            # What was decided in a period, and how long that took.
            models.Index(
                fields=["decided_at"],
                condition=Q(decided_at__isnull=False),
                include=["id", "status", "created_at"],
                name="item_by_decided_at",
            ),
        ]


class RequestScope(models.Model):
    """What an item opens, as shown when it was asked for: one permission set on one AWS account.

    Names are kept as they were, so that the audit trail reads right after renames.
    """

    item = models.ForeignKey(RequestItem, on_delete=models.PROTECT, related_name="scope")
    account_id = models.CharField(max_length=12)
    account_name = models.CharField(max_length=128)
    permission_set_arn = models.CharField(max_length=128)
    permission_set_name = models.CharField(max_length=32)
    session_duration = models.DurationField()
    content_hash = models.CharField(
        max_length=64, blank=True, default="", db_default=""
    )  # of the permission set; "" before it was kept

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["item", "account_id", "permission_set_arn"], name="scope_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["account_id", "item"], name="scope_by_account"),
            models.Index(fields=["permission_set_name", "item"], name="scope_by_permission_set"),
        ]


class Verdict(models.TextChoices):
    APPROVE = "approve", "Approve"
    DENY = "deny", "Deny"


class Decision(models.Model):
    """One approver's word on an item. A worker checks it against the clouds before it counts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(RequestItem, on_delete=models.PROTECT, related_name="decisions")
    approver = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="decisions")
    # The absence in whose person's right it was made; None: in the approver's own.
    absence = models.ForeignKey(Absence, on_delete=models.PROTECT, null=True, related_name="decisions")
    verdict = models.CharField(max_length=8, choices=Verdict)
    comment = models.TextField(blank=True)
    duration = models.DurationField(null=True)  # an approval for less than was asked; None: as asked
    stage = models.IntegerField()
    shown = models.CharField(
        max_length=64, blank=True, default="", db_default=""
    )  # what stood on the page: `shown.Facts.token`
    # What the approver's sign-in proved, as on a request; None: nothing was wanted.
    proof: models.JSONField[Any, Any] = models.JSONField(null=True)
    status = models.CharField(max_length=10, choices=DecisionStatus)
    version = models.IntegerField(default=1)
    reason = models.TextField(blank=True)  # why it was not counted, for people
    submitted_at = models.DateTimeField()  # business time
    settled_at = models.DateTimeField(null=True)  # business time
    retry_at = models.DateTimeField(null=True)  # real time
    lease_until = models.DateTimeField(null=True)  # real time
    failures = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["item", "approver", "stage"],
                condition=~Q(status=DecisionStatus.REFUSED),
                name="decision_once_per_approver_and_stage",
            ),
            models.CheckConstraint(
                condition=Q(duration=None) | Q(verdict=Verdict.APPROVE, duration__gt="00:00:00"),
                name="decision_shorter_approval",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["submitted_at"], condition=Q(status="submitted"), name="decision_owed"),
            models.Index(fields=["approver", "-submitted_at"], name="decision_by_approver"),
            # What counted in a period.
            models.Index(
                fields=["settled_at"],
                condition=Q(status="counted"),
                include=["verdict", "approver"],
                name="decision_by_settled_at",
            ),
        ]


# The problem codes of a grant that waits for its person to sign in, or for one of those who have approved it.
WAITS_FOR_PERSON = "person"
WAITS_FOR_APPROVER = "approver"
# PIM rounds: an end that it holds is the approved one when it is this close.
SAME_END = timedelta(minutes=2)


class Grant(models.Model):
    """Our record of time-bound access of one person through one PIM group.

    `starts_at` and `ends_at` are fixed when it is made, before anything is sent. The end moves once per
    approved extension, later only, with the next revision and the interval that reaches it; Postgres refuses
    anything else, so that no retry and no other process can move it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="grants")
    group = models.ForeignKey(PimGroup, on_delete=models.PROTECT, related_name="grants")
    # The request it began with; later ones may extend it, and are found through the intervals.
    first_request = models.ForeignKey(AccessRequest, on_delete=models.PROTECT, related_name="grants")
    status = models.CharField(max_length=16, choices=GrantStatus)
    version = models.IntegerField(default=1)
    revision = models.IntegerField(default=1)  # part of the tag that travels to PIM
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    longest_session = models.DurationField()
    created_at = models.DateTimeField()
    as_person = models.BooleanField(
        default=False
    )  # activated with the holder's own token; fixed at the approval

    # The end that PIM was last read to hold, and what stands between it and `ends_at` after an extension.
    entra_ends_at = models.DateTimeField(null=True)
    extension_problem = models.TextField(blank=True)
    extension_accepted = models.IntegerField(default=0)  # the newest revision whose end PIM has accepted
    extension_refused = models.IntegerField(default=0)  # the revision whose end PIM refused for good
    # The end that stands since what was approved beyond it fell before PIM was asked; None: nothing fell.
    fell_back_to = models.DateTimeField(null=True)

    # What the world showed, each with its instant (business time).
    assigned_at = models.DateTimeField(null=True)  # as PIM says
    seen_in_entra_at = models.DateTimeField(null=True)  # read back
    arrived_at = models.DateTimeField(null=True)
    removal_started_at = models.DateTimeField(null=True)
    out_of_entra_at = models.DateTimeField(null=True)
    out_of_aws_at = models.DateTimeField(null=True)
    last_possible_use_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=20, choices=EndReason, blank=True)
    pim_request_id = models.CharField(max_length=64, blank=True)
    pim_schedule_id = models.CharField(max_length=160, blank=True)
    # Why it was not granted, or what it waits for: a sentence for people and its code.
    problem_code = models.CharField(max_length=64, blank=True)
    problem = models.TextField(blank=True)

    # Activated as the person: what Entra wants of the next sign-in (JSON, as its `claims` parameter takes it), the newest
    # row of identity's tokens that didn't do (0: there was none), and when that was found (real time).
    wanted_claims = models.TextField(blank=True, default="")
    found_token = models.BigIntegerField(default=0)
    found_at = models.DateTimeField(null=True)

    # Whether its holder may still have it: when that was last read afresh, and what a first look found (business time).
    holder_checked_at = models.DateTimeField(null=True)
    holder_doubt = models.CharField(max_length=16, blank=True)
    # Since when PIM's answers don't show the membership of access that is ready (business time); None: they do.
    unseen_since = models.DateTimeField(null=True)
    # When it was found to be past its target of a hop; told once for each (business time).
    overdue_entra_at = models.DateTimeField(null=True)
    overdue_aws_at = models.DateTimeField(null=True)

    # Owed work.
    next_action_at = models.DateTimeField(null=True)  # business time; None: nothing is owed
    retry_at = models.DateTimeField(null=True)  # real time; not before
    lease_until = models.DateTimeField(null=True)  # real time; somebody is at it
    lease_token = models.UUIDField(null=True)
    failures = models.IntegerField(default=0)
    unknown_writes = models.IntegerField(default=0)  # assignments sent, and neither refused nor read back yet
    last_write_at = models.DateTimeField(null=True)  # business time of the last write to PIM

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["person", "group"],
                condition=Q(status__in=sorted(HOLDING)),
                name="grant_one_holding_per_person_and_group",
            ),
            models.UniqueConstraint(
                fields=["person", "group", "starts_at"],
                condition=Q(status=GrantStatus.SCHEDULED),
                name="grant_one_scheduled_per_start",
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="grant_window_positive"),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_action_at"], condition=Q(next_action_at__isnull=False), name="grant_owed"
            ),
            models.Index(fields=["person", "-created_at"], name="grant_by_person"),
            models.Index(fields=["group", "status"], name="grant_by_group"),
            # What ends now, for the severer.
            models.Index(
                fields=["removal_started_at", "id"],
                condition=Q(status__in=["removing", "deprovisioning", "draining"]),
                name="grant_ending",
            ),
            # The newest of each hop, whose times become estimates.
            models.Index(
                fields=["-seen_in_entra_at"],
                condition=Q(seen_in_entra_at__isnull=False),
                name="grant_seen_in_entra",
            ),
            models.Index(
                fields=["-arrived_at"],
                condition=Q(arrived_at__isnull=False),
                include=["person", "group"],
                name="grant_arrived",
            ),
            models.Index(
                fields=["-out_of_entra_at"],
                condition=Q(out_of_entra_at__isnull=False),
                name="grant_out_of_entra",
            ),
            models.Index(
                fields=["-out_of_aws_at"],
                condition=Q(out_of_aws_at__isnull=False),
                include=["end_reason", "ends_at", "fell_back_to", "removal_started_at"],
                name="grant_out_of_aws",
            ),
            # Who had access at a given minute.
            GistIndex(HELD, name="grant_held"),
        ]

    @property
    def tag(self) -> str:
        """The idempotency mark that PIM echoes: it names this grant and nothing about anyone."""
        return f"{self.id}.{self.revision}"

    def is_own_tag(self, tag: str) -> bool:
        """Whether PIM's tag names this grant, at whichever revision."""
        return tag.partition(".")[0] == str(self.id)

    def asked_for(self, request: PimRequest) -> bool:
        """Whether this grant made that request of PIM's. A mark that its person could have written counts only for
        a grant that is activated as the person, which PIM holds to its own policy in any case."""
        return self.is_own_tag(request.tag) or (self.as_person and self.is_own_tag(request.personal_tag))

    @property
    def waits_for_person(self) -> bool:
        """Whether it goes on only once its person has signed in (again)."""
        return self.status == GrantStatus.ACTIVATING and self.problem_code == WAITS_FOR_PERSON

    @property
    def waits_for_approver(self) -> bool:
        """Whether it goes on only once somebody who approved it has signed in (again): PIM wants their word, too."""
        return self.status == GrantStatus.ACTIVATING and self.problem_code == WAITS_FOR_APPROVER

    def approvers(self) -> list[Person]:
        """Who approved it in the portal, latest first; a dozen at most."""
        counted = Decision.objects.filter(
            item__interval__grant=self, verdict=Verdict.APPROVE, status=DecisionStatus.COUNTED
        )
        rows = counted.select_related("approver").order_by("-submitted_at", "pk")[:12]
        return list(dict.fromkeys(row.approver for row in rows))

    @property
    def extension_owed(self) -> bool:
        """Whether it was extended, and PIM was not yet read to hold the new end."""
        if self.revision == 1 or self.assigned_at is None:
            return False
        return self.entra_ends_at is None or self.entra_ends_at < self.ends_at - SAME_END

    def over_in_pim(self, now: datetime) -> bool:
        """Whether PIM's own end, as it was read back, has come: a minute early where an approval of PIM's came first."""
        return self.entra_ends_at is not None and now >= self.entra_ends_at

    @property
    def stands_until(self) -> datetime:
        """The end by which it has to be out: the approved one, or the earlier one where an extension fell.

        What stood after all at the earlier end is being assigned anew.
        """
        anew = self.status == GrantStatus.ACTIVATING
        return self.ends_at if anew or self.fell_back_to is None else self.fell_back_to

    @property
    def sure_until(self) -> datetime:
        """Until when access lasts by what was read back; the approved end where nothing was yet."""
        if self.extension_owed and self.entra_ends_at is not None:
            return self.entra_ends_at
        return self.ends_at


class GrantInterval(models.Model):
    """Which item contributed which span of a grant."""

    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="intervals")
    item = models.OneToOneField(RequestItem, on_delete=models.PROTECT, related_name="interval")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="interval_positive"),
        ]


class Revocation(models.Model):
    """Why somebody else than its holder or the clock ends a grant. Written with the grant's move, never changed."""

    grant = models.OneToOneField(Grant, on_delete=models.PROTECT, related_name="revocation")
    kind = models.CharField(max_length=20, choices=sorted((each.value, each.label) for each in REVOKING))
    by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")  # None: a worker
    reason = models.TextField()  # in the person's words, or a worker's sentence
    revoked_at = models.DateTimeField()  # business time
    # The freeze that it was ended under, if any.
    freeze = models.ForeignKey(
        "requests_app.Freeze", on_delete=models.PROTECT, null=True, related_name="revocations"
    )

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(reason=""), name="revocation_has_a_reason"),
            models.CheckConstraint(
                condition=Q(kind=EndReason.LEAVER, by__isnull=True)
                | (~Q(kind=EndReason.LEAVER) & Q(by__isnull=False)),
                name="revocation_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(freeze__isnull=True) | Q(kind=EndReason.INCIDENT),
                name="revocation_of_a_freeze_in_an_incident",
            ),
        ]


class Attempt(models.Model):
    """One outside call for a grant: a write's from before it, a read's when it is over. Expires; events don't."""

    class Kind(models.TextChoices):
        READ_ENTRA = "read_entra", "Read PIM"
        ASSIGN = "assign", "Assign in PIM"
        EXTEND = "extend", "Move the end in PIM"
        REMOVE = "remove", "Remove in PIM"
        ON_DEMAND = "on_demand", "Provision on demand"
        READ_AWS = "read_aws", "Read IAM Identity Center"
        READ_JOB = "read_job", "Read the provisioning job"
        TAKE_OUT = "take_out", "Remove in IAM Identity Center"
        PASS_ON = "pass_on", "Pass an approval on to PIM"
        WITHDRAW = "withdraw", "Withdraw from PIM"

    class Outcome(models.TextChoices):
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        REFUSED = "refused", "Refused"
        UNKNOWN = "unknown", "Outcome unknown"
        RETRY = "retry", "To be tried again"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # also the client-request-id
    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="attempts")
    kind = models.CharField(max_length=12, choices=Kind)
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.RUNNING)
    started_at = models.DateTimeField()  # real time
    finished_at = models.DateTimeField(null=True)  # real time
    vendor_request_id = models.CharField(max_length=128, blank=True)
    code = models.CharField(max_length=64, blank=True)
    sentence = models.TextField(blank=True)
    found = models.JSONField(default=dict)  # what a read showed, as an allow-list of facts
    expires_at = models.DateTimeField()  # real time

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["grant", "-started_at"], name="attempt_by_grant"),
            models.Index(fields=["expires_at"], name="attempt_by_expiry"),
        ]


class Sighting(models.Model):
    """What one look at a person in AWS said about a group that another grant is waiting to see."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="sightings")
    group = models.ForeignKey(PimGroup, on_delete=models.CASCADE, related_name="sightings")
    member = models.BooleanField()
    read_at = models.DateTimeField()  # real time, before the look

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "group"], name="sighting_once"),
        ]


# Further rows of the life cycle, beside what they serve; they name models of this module.
import requests_app.activity.models  # noqa: E402 - so that Django finds them
import requests_app.cutting.models  # noqa: E402 - so that Django finds them
import requests_app.deliberation.models  # noqa: E402 - so that Django finds them
import requests_app.favourites.models  # noqa: E402 - so that Django finds them
import requests_app.freezes.models  # noqa: E402 - so that Django finds them
import requests_app.path_models  # noqa: E402 - so that Django finds them
import requests_app.waivers.models  # noqa: E402, F401 - so that Django finds them
