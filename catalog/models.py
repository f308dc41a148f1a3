"""What may be asked for, as last read from Entra and AWS. Pages read these rows; workers write them.

Rows that vanish in the cloud are marked (`present=False`), not deleted: requests and the audit
trail go on pointing at them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from identity.models import DirectoryGroup, Person


class OrganizationalUnit(models.Model):
    """A node of the AWS organisation's tree; the root has no parent."""

    unit_id = models.CharField(max_length=68, unique=True)
    name = models.CharField(max_length=128)
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="children")
    path = models.CharField(max_length=1024, blank=True)  # names from the root, " / " between
    present = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.path or self.name


class AwsAccount(models.Model):
    """An AWS account of the organisation."""

    account_id = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=128)
    email = models.CharField(max_length=320, blank=True)
    state = models.CharField(max_length=24)  # Organizations' State, e.g. ACTIVE, SUSPENDED
    unit = models.ForeignKey(
        OrganizationalUnit, on_delete=models.SET_NULL, null=True, related_name="accounts"
    )
    tags = models.JSONField(default=dict)
    tags_read_at = models.DateTimeField(null=True)
    present = models.BooleanField(default=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["name"], name="account_by_name")]

    def __str__(self) -> str:
        return f"{self.name} ({self.account_id})"


class PermissionSet(models.Model):
    """A permission set of IAM Identity Center with everything that says what it allows."""

    arn = models.CharField(max_length=128, unique=True)
    name = models.CharField(max_length=32)
    description = models.CharField(max_length=700, blank=True)
    session_duration = models.DurationField(default=timedelta(hours=1))
    relay_state = models.CharField(max_length=240, blank=True)
    managed_policies = models.JSONField(default=list)  # [{"name", "arn"}]
    customer_managed_policies = models.JSONField(default=list)  # [{"path", "name"}]
    inline_policy = models.TextField(blank=True)
    permissions_boundary = models.CharField(max_length=512, blank=True)
    tags = models.JSONField(default=dict)
    summary = models.TextField(blank=True)  # what it allows, in words; written at sync
    content_hash = models.CharField(max_length=64, blank=True)
    present = models.BooleanField(default=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["name"], name="permission_set_by_name")]

    def __str__(self) -> str:
        return self.name


class ManagedPolicy(models.Model):
    """An AWS managed policy that a permission set names, as last read. AWS changes them by itself."""

    arn = models.CharField(max_length=512, unique=True)
    version = models.CharField(max_length=24, blank=True)  # "" while it was never read
    document = models.TextField(blank=True)  # JSON text
    read_at = models.DateTimeField(null=True)  # real time
    problem = models.TextField(blank=True)  # why the last reading failed; a sentence for people

    def __str__(self) -> str:
        return self.arn.rpartition("/")[2]


class Judgement(models.Model):
    """What a permission set allows and what of it is dangerous, worked out by a worker (catalog.judging, ADR 0038).

    The three sets of actions are bits of the table that `actions` names, lowest byte first.
    """

    permission_set = models.OneToOneField(PermissionSet, on_delete=models.CASCADE, related_name="judgement")
    basis = models.CharField(max_length=64)  # hash of everything that it was made of
    content_hash = models.CharField(
        max_length=64
    )  # of the permission set then; of another one it says nothing
    actions = models.CharField(max_length=16)  # version of the table of actions
    wide = models.BinaryField()
    named = models.BinaryField()
    conditional = models.BinaryField()
    findings = models.JSONField(default=list)  # [{"danger", "ways", "more", "hedge"}]
    unknown = models.JSONField(default=list)  # [[reason, name]]
    strangers = models.JSONField(default=list)  # actions that the table doesn't know
    bounded = models.BooleanField(default=False)
    judged_at = models.DateTimeField()  # business time


class PimGroup(models.Model):
    """A PIM-managed Entra group: the thing that a request really activates."""

    object_id = models.CharField(max_length=36, unique=True)
    display_name = models.CharField(max_length=256)
    description = models.TextField(blank=True)
    store_group_id = models.CharField(
        max_length=47, blank=True
    )  # in IAM Identity Center, "" until provisioned
    join_problem = models.TextField(blank=True)  # why the two can't be told to be one; a sentence for people
    managed = models.BooleanField(default=False)  # in the deployed allow-list
    security_enabled = models.BooleanField(default=True)
    role_assignable = models.BooleanField(default=False)
    synced_from_on_premises = models.BooleanField(default=False)
    dynamic = models.BooleanField(default=False)
    assigned_to_application = models.BooleanField(default=False)  # SCIM carries it
    present = models.BooleanField(default=True)

    # PIM policy for members, as last read.
    policy_read_at = models.DateTimeField(null=True)  # business time
    policy_problem = models.TextField(blank=True)  # why the last reading failed; a sentence for people
    activation_maximum = models.DurationField(null=True)
    requires_justification = models.BooleanField(default=True)
    requires_mfa = models.BooleanField(default=False)
    requires_ticket = models.BooleanField(default=False)
    requires_approval = models.BooleanField(default=False)
    authentication_context = models.CharField(max_length=8, blank=True)
    # Whom PIM names as approvers, where it demands an approval: sorted object ids.
    approver_people: models.JSONField[Any, Any] = models.JSONField(default=list, db_default=[])
    approver_groups: models.JSONField[Any, Any] = models.JSONField(default=list, db_default=[])
    assignment_maximum = models.DurationField(null=True)
    # Activated with the requester's own token instead of the portal's (identity.models.ActivationMode, as of now).
    as_person = models.BooleanField(default=False)

    # What the group opens, denormalised by sync so that lists need no aggregation.
    account_count = models.IntegerField(default=0)
    permission_set_count = models.IntegerField(default=0)
    longest_session = models.DurationField(null=True)
    preview = models.JSONField(
        default=dict
    )  # {"permission_sets": [...], "accounts": [...]}: the first few names
    scope_hash = models.CharField(max_length=64, blank=True)  # of (account, permission set, content) triples
    search = SearchVectorField(null=True)  # group, permission sets, accounts, tags
    synced_at = models.DateTimeField(null=True)  # business time
    eligibilities_read_at = models.DateTimeField(null=True)  # business time
    owners_read_at = models.DateTimeField(null=True)  # business time

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["display_name", "id"], name="pim_group_by_name"),
            GinIndex(fields=["search"], name="pim_group_search"),
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def ticket_demanded(self) -> bool:
        """Whether PIM wants a reference number of whoever activates it; the portal asks for one in either mode."""
        return self.requires_ticket


class AccountAssignment(models.Model):
    """One permission set on one AWS account, opened by membership of a group."""

    group = models.ForeignKey(PimGroup, on_delete=models.CASCADE, related_name="account_assignments")
    account = models.ForeignKey(AwsAccount, on_delete=models.CASCADE, related_name="account_assignments")
    permission_set = models.ForeignKey(
        PermissionSet, on_delete=models.CASCADE, related_name="account_assignments"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["group", "account", "permission_set"], name="account_assignment_once"
            ),
        ]


class GroupOwner(models.Model):
    """A person owns a PIM group in Entra, by whichever way (`PimGroup.owners_read_at` says as of when)."""

    group = models.ForeignKey(PimGroup, on_delete=models.CASCADE, related_name="owners")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "person"], name="group_owner_once"),
        ]


class GroupEligibility(models.Model):
    """A directory group is itself eligible for a PIM group: its members may ask."""

    directory_group = models.ForeignKey(DirectoryGroup, on_delete=models.CASCADE, related_name="+")
    group = models.ForeignKey(PimGroup, on_delete=models.CASCADE, related_name="group_eligibilities")
    instance_id = models.CharField(max_length=128)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)  # None: permanent

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["group", "instance_id"], name="group_eligibility_once_per_instance"
            ),
        ]


class Eligibility(models.Model):
    """A person may ask for a group: directly, or through a group that is itself eligible."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="eligibilities")
    group = models.ForeignKey(PimGroup, on_delete=models.CASCADE, related_name="eligibilities")
    instance_id = models.CharField(max_length=128)
    through = models.ForeignKey(DirectoryGroup, on_delete=models.CASCADE, null=True, related_name="+")
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)  # None: permanent

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["person", "group", "instance_id"], name="eligibility_once_per_instance"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["person", "group"], name="eligibility_by_person")]


class ProvisioningState(models.Model):
    """The synchronization job of the enterprise application, as last seen. One row."""

    job_id = models.CharField(max_length=128, unique=True)
    code = models.CharField(max_length=16)
    interval = models.DurationField(null=True)
    last_cycle_id = models.CharField(max_length=64, blank=True)
    last_cycle_began_at = models.DateTimeField(null=True)
    last_cycle_ended_at = models.DateTimeField(null=True)
    last_cycle_completed = models.BooleanField(default=False)
    quarantine_reason = models.CharField(max_length=64, blank=True)
    next_attempt_at = models.DateTimeField(null=True)
    observed_at = models.DateTimeField()  # business time


class SyncRun(models.Model):
    """One pass of a part of the catalogue sync; a cursor makes long work resumable."""

    class Part(models.TextChoices):
        ORGANIZATION = "organization", "AWS accounts and organisational units"
        PERMISSION_SETS = "permission_sets", "Permission sets"
        GROUPS = "groups", "PIM groups, policies and what they open"
        ELIGIBILITIES = "eligibilities", "Eligibilities"
        DIRECTORY = "directory", "People and approver groups"
        PROVISIONING = "provisioning", "Provisioning job"

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    part = models.CharField(max_length=20, choices=Part)
    status = models.CharField(max_length=10, choices=Status, default=Status.RUNNING)
    cursor = models.JSONField(default=dict)
    started_at = models.DateTimeField()  # real time
    finished_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    calls = models.IntegerField(default=0)
    changes = models.JSONField(default=dict)
    error = models.TextField(blank=True)  # a sentence for people

    class Meta:
        indexes: ClassVar = [models.Index(fields=["part", "-started_at"], name="sync_run_latest")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["part"], condition=models.Q(status="running"), name="sync_run_one_at_a_time"
            ),
        ]


class DeciderRefresh(models.Model):
    """A page's wish that somebody who may decide be read afresh: a person, or a directory group with its members."""

    object_id = models.CharField(max_length=36, unique=True)
    asked_at = (
        models.DateTimeField()
    )  # real time a page last asked; again only after a while, whatever came of it
    owed = models.BooleanField()
    lease_until = models.DateTimeField(null=True)  # real time; a worker is at it


class PersonRefresh(models.Model):
    """When one person's eligibilities were last read from PIM, and by when a fresh look is owed."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, related_name="refresh")
    read_at = models.DateTimeField(null=True)  # business time
    wanted_at = models.DateTimeField(null=True)  # real time a page asked
    lease_until = models.DateTimeField(null=True)  # real time; a worker is at it
    error = models.TextField(blank=True)
