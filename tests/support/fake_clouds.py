"""The clouds as plain lists, behind the product's ports: for tests of what is made of their answers.

Nothing is simulated here (see `world_clients` for that): a test writes what a cloud says and reads
what the catalogue became. `failing` names operations that raise, `calls` counts them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from clients import ports
from clients.errors import ClientError, NotFound
from clients.registry import Clients
from clients.types import (
    AssignmentOrder,
    AwsIdentity,
    DirectoryGroup,
    DirectoryUser,
    EntraIdentity,
    GroupAssignment,
    GroupMembers,
    IdentityCenterInstance,
    OnDemandResult,
    OrganizationAccount,
    OrganizationUnit,
    PermissionSetDetails,
    PersonTokens,
    PimAssignment,
    PimEligibility,
    PimPolicy,
    PimRequest,
    ProvisioningCode,
    ProvisioningJob,
    Reading,
    Receipt,
    RemovalOrder,
    StoreGroup,
    StoreMembership,
    StoreUser,
    TrailPage,
    TrailQuestion,
)


def a_policy(group_id: str, **changes: Any) -> PimPolicy:
    """PIM's usual settings: eight hours, a justification, nothing else."""
    usual = PimPolicy(
        group_id=group_id,
        policy_id=f"Group_{group_id}",
        activation_maximum=timedelta(hours=8),
        requires_justification=True,
        requires_mfa=False,
        requires_ticket=False,
        requires_approval=False,
        authentication_context="",
        assignment_maximum=timedelta(days=180),
    )
    return replace(usual, **changes)


@dataclass
class FakeClouds:
    """What Entra and AWS would answer."""

    users: dict[str, DirectoryUser] = field(default_factory=dict)
    managers: dict[str, str] = field(default_factory=dict)  # user id to user id
    groups: dict[str, DirectoryGroup] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)  # group id to user ids, flattened
    owners: dict[str, list[str]] = field(default_factory=dict)  # group id to user ids
    application: set[str] = field(default_factory=set)
    eligibilities: list[PimEligibility] = field(default_factory=list)
    policies: dict[str, PimPolicy] = field(default_factory=dict)
    units: list[OrganizationUnit] = field(default_factory=list)
    accounts: list[OrganizationAccount] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    permission_sets: dict[str, PermissionSetDetails] = field(default_factory=dict)
    # by ARN: version and document
    managed_policies: dict[str, tuple[str, str]] = field(default_factory=dict)
    assignments: dict[str, set[tuple[str, str]]] = field(default_factory=dict)  # by store group
    store_groups: list[StoreGroup] = field(default_factory=list)
    store_users: list[StoreUser] = field(default_factory=list)
    job: ProvisioningJob | None = None
    failing: dict[str, ClientError] = field(default_factory=dict)
    failing_for: dict[tuple[str, str], ClientError] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    before_call: Callable[[str], None] = lambda operation: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def clients(self) -> Clients:
        """All ports over these lists."""
        directory: ports.EntraDirectory = _Directory(self)
        pim: ports.EntraPim = _Pim(self)
        provisioning: ports.EntraProvisioning = _Provisioning(self)
        identity_center: ports.IdentityCenter = _IdentityCenter(self)
        organization: ports.Organization = _Organization(self)
        entra: ports.EntraStanding = _EntraStanding(self)
        aws: ports.AwsStanding = _AwsStanding(self)
        personal: ports.PersonalPim = _PersonalPim(self)
        trail: ports.ActivityTrail = _Trail(self)
        return Clients(
            directory, pim, provisioning, identity_center, organization, entra, aws, personal, trail
        )

    def say[T](self, operation: str, value: T, about: str = "") -> Reading[T]:
        """Count the call and answer it, or raise what the test wants."""
        with self._lock:
            self.calls[operation] += 1
        self.before_call(operation)
        error = self.failing.get(operation) or self.failing_for.get((operation, about))
        if error is not None:
            raise error
        return Reading(value, Receipt(client_request_id=f"{operation}-{self.calls[operation]}"))


class _Port:
    def __init__(self, clouds: FakeClouds) -> None:
        self.clouds = clouds


class _Directory(_Port):
    def read_user(self, object_id: str) -> Reading[DirectoryUser | None]:
        return self.clouds.say("read_user", self.clouds.users.get(object_id), object_id)

    def read_manager(self, object_id: str) -> Reading[str]:
        return self.clouds.say("read_manager", self.clouds.managers.get(object_id, ""), object_id)

    def read_groups(self, group_ids: Sequence[str]) -> Reading[tuple[DirectoryGroup, ...]]:
        found = tuple(self.clouds.groups[each] for each in group_ids if each in self.clouds.groups)
        return self.clouds.say("read_groups", found)

    def read_members(self, group_id: str, *, transitive: bool = False) -> Reading[GroupMembers]:
        if group_id not in self.clouds.groups:
            raise NotFound("There is no such group.")
        users = tuple(self.clouds.users[each] for each in self.clouds.members.get(group_id, []))
        return self.clouds.say("read_members", GroupMembers(users, ()), group_id)

    def read_owners(self, group_id: str) -> Reading[tuple[str, ...]]:
        if group_id not in self.clouds.groups:
            raise NotFound("There is no such group.")
        return self.clouds.say("read_owners", tuple(self.clouds.owners.get(group_id, [])), group_id)

    def application_groups(self) -> Reading[frozenset[str]]:
        return self.clouds.say("application_groups", frozenset(self.clouds.application))


class _Pim(_Port):
    def group_eligibilities(self, group_id: str) -> Reading[tuple[PimEligibility, ...]]:
        found = tuple(each for each in self.clouds.eligibilities if each.group_id == group_id)
        return self.clouds.say("group_eligibilities", found, group_id)

    def principal_eligibilities(self, principal_id: str) -> Reading[tuple[PimEligibility, ...]]:
        found = tuple(each for each in self.clouds.eligibilities if each.principal_id == principal_id)
        return self.clouds.say("principal_eligibilities", found, principal_id)

    def group_policy(self, group_id: str) -> Reading[PimPolicy]:
        return self.clouds.say(
            "group_policy", self.clouds.policies.get(group_id, a_policy(group_id)), group_id
        )

    def assignments(self, group_id: str, *, principal_id: str = "") -> Reading[tuple[PimAssignment, ...]]:
        raise AssertionError("the catalogue doesn't read assignments")

    def requests(self, group_id: str, principal_id: str) -> Reading[tuple[PimRequest, ...]]:
        raise AssertionError("the catalogue doesn't read requests")

    def assign(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        raise AssertionError("the catalogue writes nothing")

    def extend(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        raise AssertionError("the catalogue writes nothing")

    def remove(self, order: RemovalOrder, *, client_request_id: str) -> Reading[PimRequest]:
        raise AssertionError("the catalogue writes nothing")


class _PersonalPim(_Port):
    def sign_in(self, refresh_token: str, *, context: str = "") -> Reading[PersonTokens]:
        raise AssertionError("the catalogue acts for nobody")

    def activate(
        self, order: AssignmentOrder, tokens: PersonTokens, *, client_request_id: str
    ) -> Reading[PimRequest]:
        raise AssertionError("the catalogue writes nothing")

    def deactivate(
        self, order: RemovalOrder, tokens: PersonTokens, *, client_request_id: str
    ) -> Reading[PimRequest]:
        raise AssertionError("the catalogue writes nothing")

    def approve(
        self, request_id: str, tokens: PersonTokens, *, justification: str, client_request_id: str
    ) -> Reading[None]:
        raise AssertionError("the catalogue writes nothing")

    def withdraw(self, request_id: str, tokens: PersonTokens, *, client_request_id: str) -> Reading[None]:
        raise AssertionError("the catalogue writes nothing")


class _Provisioning(_Port):
    def job(self) -> Reading[ProvisioningJob]:
        job = self.clouds.job or ProvisioningJob(
            job_id="job",
            rule_id="rule",
            code=ProvisioningCode.ACTIVE,
            interval=timedelta(minutes=40),
            last_cycle_id="cycle",
            last_cycle_began_at=None,
            last_cycle_ended_at=None,
            last_cycle_completed=True,
            quarantine_reason="",
            next_attempt_at=None,
        )
        return self.clouds.say("job", job)

    def provision_on_demand(
        self, group_id: str, principal_ids: Sequence[str], *, client_request_id: str
    ) -> Reading[OnDemandResult]:
        raise AssertionError("the catalogue writes nothing")


class _IdentityCenter(_Port):
    def instance(self) -> Reading[IdentityCenterInstance]:
        return self.clouds.say("instance", IdentityCenterInstance("arn:instance", "d-1", "eu-west-1"))

    def permission_set_arns(self) -> Reading[tuple[str, ...]]:
        return self.clouds.say("permission_set_arns", tuple(self.clouds.permission_sets))

    def permission_set(self, arn: str) -> Reading[PermissionSetDetails]:
        return self.clouds.say("permission_set", self.clouds.permission_sets[arn], arn)

    def managed_policy_version(self, arn: str) -> Reading[str]:
        return self.clouds.say("managed_policy_version", self._policy(arn)[0], arn)

    def managed_policy_document(self, arn: str, version: str) -> Reading[str]:
        assert version == self._policy(arn)[0]
        return self.clouds.say("managed_policy_document", self._policy(arn)[1], arn)

    def _policy(self, arn: str) -> tuple[str, str]:
        if arn not in self.clouds.managed_policies:
            raise NotFound("There is no such policy.")
        return self.clouds.managed_policies[arn]

    def group_assignments(self, store_group_id: str) -> Reading[tuple[GroupAssignment, ...]]:
        held = sorted(self.clouds.assignments.get(store_group_id, ()))
        found = tuple(GroupAssignment(account, arn) for account, arn in held)
        return self.clouds.say("group_assignments", found, store_group_id)

    def groups(self) -> Reading[tuple[StoreGroup, ...]]:
        return self.clouds.say("store_groups", tuple(self.clouds.store_groups))

    def users(self) -> Reading[tuple[StoreUser, ...]]:
        return self.clouds.say("store_users", tuple(self.clouds.store_users))

    def find_user(self, user_name: str) -> Reading[StoreUser | None]:
        raise AssertionError("the catalogue reads lists")

    def memberships(self, store_user_id: str, store_group_ids: Iterable[str]) -> Reading[Mapping[str, bool]]:
        raise AssertionError("the catalogue doesn't read memberships")

    def membership(self, store_user_id: str, store_group_id: str) -> Reading[StoreMembership | None]:
        raise AssertionError("the catalogue doesn't read memberships")

    def group_memberships(self, store_group_id: str) -> Reading[tuple[StoreMembership, ...]]:
        raise AssertionError("the catalogue doesn't read memberships")


class _Organization(_Port):
    def units(self) -> Reading[tuple[OrganizationUnit, ...]]:
        return self.clouds.say("units", tuple(self.clouds.units))

    def accounts(self) -> Reading[tuple[OrganizationAccount, ...]]:
        return self.clouds.say("accounts", tuple(self.clouds.accounts))

    def account_tags(self, account_id: str) -> Reading[Mapping[str, str]]:
        return self.clouds.say("account_tags", self.clouds.tags.get(account_id, {}), account_id)


# --- A small organisation, to begin with

TENANT = "7c9a1f3e-0000-4000-8000-00000000000f"


def guid(number: int) -> str:
    """An object id that a reader can tell from the next."""
    return f"7c9a1f3e-0000-4000-8000-{number:012d}"


def arn(name: str) -> str:
    """A permission set's ARN."""
    return f"arn:aws:sso:::permissionSet/ssoins-0000000000000001/ps-{name.lower():0>16}"


def a_user(number: int, name: str, **changes: Any) -> DirectoryUser:
    """An employee with everything that SCIM demands."""
    given, _, surname = name.partition(" ")
    user_name = f"{given.lower()}.{surname.lower()}@acme.example"
    usual = DirectoryUser(
        object_id=guid(number),
        display_name=name,
        user_principal_name=user_name,
        given_name=given,
        surname=surname,
        mail=user_name,
    )
    return replace(usual, **changes)


def a_permission_set(name: str, **changes: Any) -> PermissionSetDetails:
    """A permission set with one AWS managed policy."""
    usual = PermissionSetDetails(
        arn=arn(name),
        name=name,
        description="",
        session_duration=timedelta(hours=1),
        relay_state="",
        managed_policies=(("AmazonEC2FullAccess", "arn:aws:iam::aws:policy/AmazonEC2FullAccess"),),
        customer_managed_policies=(),
        inline_policy="",
        permissions_boundary="",
    )
    return replace(usual, **changes)


def eligible(group: int, principal: int, ends_at: datetime | None = None) -> PimEligibility:
    """A member's eligibility that has begun."""
    return PimEligibility(
        instance_id=f"{guid(group)}_member_{guid(principal)}",
        group_id=guid(group),
        principal_id=guid(principal),
        starts_at=None,
        ends_at=ends_at,
        through_group=False,
    )


EC2, BILLING, ENGINEERS, APPROVERS = 101, 102, 201, 202
ADA, BEN, CLEO, DORA = 1, 2, 3, 4


def small_organisation() -> FakeClouds:
    """Two PIM groups on three accounts; Ada is eligible directly, Ben and Cleo as engineers, Dora approves."""
    people = {
        guid(number): a_user(number, name)
        for number, name in ((ADA, "Ada Ames"), (BEN, "Ben Boll"), (CLEO, "Cleo Cox"), (DORA, "Dora Dean"))
    }
    names = {
        EC2: "AWS - Amazon EC2 Admin",
        BILLING: "AWS - Billing",
        ENGINEERS: "Engineers",
        APPROVERS: "Approvers",
    }
    return FakeClouds(
        users=people,
        groups={guid(number): DirectoryGroup(guid(number), name) for number, name in names.items()},
        members={guid(ENGINEERS): [guid(BEN), guid(CLEO)], guid(APPROVERS): [guid(DORA)]},
        application={guid(EC2), guid(BILLING)},
        eligibilities=[eligible(EC2, ADA), eligible(EC2, ENGINEERS), eligible(BILLING, ADA)],
        units=[
            OrganizationUnit("r-1", "Root", ""),
            OrganizationUnit("ou-1", "Workloads", "r-1"),
            OrganizationUnit("ou-2", "Production", "ou-1"),
        ],
        accounts=[
            OrganizationAccount("111111111111", "payments-prod", "p@acme.example", "ACTIVE", "ou-2"),
            OrganizationAccount("222222222222", "search-prod", "s@acme.example", "ACTIVE", "ou-2"),
            OrganizationAccount("333333333333", "sandbox", "x@acme.example", "ACTIVE", "ou-1"),
        ],
        tags={"111111111111": {"Owner": "Treasury"}},
        permission_sets={
            each.arn: each
            for each in (
                a_permission_set("EC2AdminAccess"),
                a_permission_set("ReadOnly", session_duration=timedelta(hours=4)),
                a_permission_set("Billing"),
            )
        },
        assignments={
            "store-ec2": {
                ("111111111111", arn("EC2AdminAccess")),
                ("222222222222", arn("EC2AdminAccess")),
                ("222222222222", arn("ReadOnly")),
            },
            "store-billing": {("333333333333", arn("Billing"))},
        },
        store_groups=[
            StoreGroup("store-ec2", names[EC2], (guid(EC2),)),
            StoreGroup("store-billing", names[BILLING], (guid(BILLING),)),
        ],
        store_users=[StoreUser("store-ada", "Ada.Ames@acme.example", (), enabled=True)],
    )


class _EntraStanding:
    def __init__(self, clouds: FakeClouds) -> None:
        self._clouds = clouds

    def identity(self) -> Reading[EntraIdentity]:
        return self._clouds.say("entra_identity", EntraIdentity(TENANT, "worker", frozenset(), None, None))


class _AwsStanding:
    def __init__(self, clouds: FakeClouds) -> None:
        self._clouds = clouds

    def identity(self) -> Reading[AwsIdentity]:
        return self._clouds.say(
            "aws_identity", AwsIdentity("111122223333", "arn:aws:iam::111122223333:role/r", None)
        )


class _Trail(_Port):
    def look_up(self, question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        return self.clouds.say("look_up", TrailPage(()), f"{question.account_id}/{question.region}")
