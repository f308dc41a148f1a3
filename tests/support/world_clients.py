"""The product's ports over a simulated world in the same process: no HTTP, no threads, a stepped clock.

Faults are taken from the world's registry under the same operation names as the HTTP fronts use, so
that a schedule of faults means the same here and there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clients.registry import Clients
from clients.types import (
    AssignmentOrder,
    DirectoryGroup,
    DirectoryUser,
    GroupAssignment,
    GroupMembers,
    IdentityCenterInstance,
    OnDemandOutcome,
    OnDemandResult,
    OrganizationAccount,
    OrganizationUnit,
    PermissionSetDetails,
    PimAssignment,
    PimEligibility,
    PimPolicy,
    PimRequest,
    ProvisioningCode,
    ProvisioningJob,
    Reading,
    RemovalOrder,
    StoreGroup,
    StoreMembership,
    StoreUser,
)
from simulator.aws.iam import managed_policy
from simulator.world.aws_state import StoreUser as WorldStoreUser
from simulator.world.durations import parse_duration
from simulator.world.pim import Ask, Caller
from simulator.world.provisioning import Subject
from simulator.world.state import Expiration, Group, Identity, User
from simulator.world.world import World
from tests.support.world_personal import WorldPersonalPim
from tests.support.world_port import Calls, WorldPort
from tests.support.world_requests import request_from
from tests.support.world_standing import WorldAwsStanding, WorldEntraStanding
from tests.support.world_trail import WorldTrail

WORKER = Caller(identity=Identity(application_id="worker", application_name="Access Portal"))
PIM_REQUESTS = "assignmentScheduleRequests"


class WorldDirectory(WorldPort):
    def read_user(self, object_id: str) -> Reading[DirectoryUser | None]:
        def answer() -> DirectoryUser | None:
            user = self._world.directory.find_user(object_id)
            return _user(user) if user else None

        return self._read("graph.GET users", answer)

    def read_manager(self, object_id: str) -> Reading[str]:
        def answer() -> str:
            user = self._world.directory.find_user(object_id)
            return (user.manager_id or "") if user else ""

        return self._read("graph.GET manager", answer)

    def read_groups(self, group_ids: Sequence[str]) -> Reading[tuple[DirectoryGroup, ...]]:
        def answer() -> tuple[DirectoryGroup, ...]:
            found = (self._world.directory.find_group(group_id) for group_id in group_ids)
            return tuple(_group(group) for group in found if group)

        return self._read("graph.GET groups", answer)

    def read_members(self, group_id: str, *, transitive: bool = False) -> Reading[GroupMembers]:
        directory = self._world.directory

        def answer() -> GroupMembers:
            directory.group(group_id)
            found = directory.transitive_members(group_id) if transitive else directory.members(group_id)
            return GroupMembers(
                users=tuple(_user(m) for m in found if isinstance(m, User)),
                group_ids=tuple(m.id for m in found if isinstance(m, Group)),
            )

        return self._read("graph.GET members", answer)

    def read_owners(self, group_id: str) -> Reading[tuple[str, ...]]:
        directory = self._world.directory

        def answer() -> tuple[str, ...]:
            return tuple(each for each in directory.owner_ids(group_id) if directory.find_user(each))

        return self._read("graph.GET owners", answer)

    def application_groups(self) -> Reading[frozenset[str]]:
        return self._read(
            "graph.GET appRoleAssignedTo",
            lambda: frozenset(
                row.principal_id
                for row in self._world.directory.app_role_assignments()
                if row.principal_type == "Group"
            ),
        )


def _user(user: User) -> DirectoryUser:
    return DirectoryUser(
        object_id=user.id,
        display_name=user.display_name,
        user_principal_name=user.user_principal_name,
        given_name=user.given_name or "",
        surname=user.surname or "",
        mail=user.mail or "",
        employee_id=user.employee_id or "",
        department=user.department or "",
        job_title=user.job_title or "",
        enabled=user.account_enabled,
        guest=user.user_type == "Guest",
    )


def _group(group: Group) -> DirectoryGroup:
    return DirectoryGroup(
        object_id=group.id,
        display_name=group.display_name,
        description=group.description or "",
        security_enabled=group.security_enabled,
        role_assignable=group.is_assignable_to_role,
        synced_from_on_premises=bool(group.on_premises_sync_enabled),
        dynamic="DynamicMembership" in group.group_types,
    )


class WorldPim(WorldPort):
    def group_eligibilities(self, group_id: str) -> Reading[tuple[PimEligibility, ...]]:
        return self._read(
            "graph.GET eligibilityScheduleInstances", lambda: self._eligibilities(group_id=group_id)
        )

    def principal_eligibilities(self, principal_id: str) -> Reading[tuple[PimEligibility, ...]]:
        return self._read(
            "graph.GET eligibilityScheduleInstances", lambda: self._eligibilities(principal_id=principal_id)
        )

    def _eligibilities(
        self, *, group_id: str | None = None, principal_id: str | None = None
    ) -> tuple[PimEligibility, ...]:
        rows = self._world.pim.eligibility_instances(group_id=group_id, principal_id=principal_id)
        return tuple(
            PimEligibility(
                instance_id=row.id,
                group_id=row.group_id,
                principal_id=row.principal_id,
                starts_at=row.start,
                ends_at=row.end,
                through_group=row.member_type.lower() == "group",
            )
            for row in rows
            if row.access_id == "member"
        )

    def group_policy(self, group_id: str) -> Reading[PimPolicy]:
        def answer() -> PimPolicy:
            policy = self._world.policies.policy(group_id)
            return PimPolicy(
                group_id=group_id,
                policy_id=self._world.policies.policy_id(group_id),
                activation_maximum=parse_duration(policy.activation_maximum),
                requires_justification="Justification" in policy.activation_rules,
                requires_mfa="MultiFactorAuthentication" in policy.activation_rules,
                requires_ticket="Ticketing" in policy.activation_rules,
                requires_approval=policy.approval_required,
                authentication_context=policy.authentication_context or "",
                approver_people=tuple(sorted(policy.approver_users)) if policy.approval_required else (),
                approver_groups=tuple(sorted(policy.approver_groups)) if policy.approval_required else (),
                assignment_maximum=parse_duration(policy.assignment_maximum)
                if policy.assignment_expiration_required
                else None,
            )

        return self._read("graph.GET roleManagementPolicyAssignments", answer)

    def assignments(self, group_id: str, *, principal_id: str = "") -> Reading[tuple[PimAssignment, ...]]:
        def answer() -> tuple[PimAssignment, ...]:
            rows = self._world.pim.assignment_instances(group_id=group_id, principal_id=principal_id or None)
            return tuple(
                PimAssignment(
                    instance_id=row.id,
                    schedule_id=row.schedule_id,
                    group_id=row.group_id,
                    principal_id=row.principal_id,
                    starts_at=row.start,
                    ends_at=row.end,
                    activated=row.assignment_type.lower() == "activated",
                )
                for row in rows
                if row.access_id == "member"
            )

        return self._read("graph.GET assignmentScheduleInstances", answer)

    def requests(self, group_id: str, principal_id: str) -> Reading[tuple[PimRequest, ...]]:
        return self._read(
            f"graph.GET {PIM_REQUESTS}",
            lambda: tuple(
                request_from(row)
                for row in self._world.pim.assignment_requests(group_id=group_id, principal_id=principal_id)
            ),
        )

    def assign(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        return self._put("adminAssign", order, client_request_id)

    def extend(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        return self._put("adminUpdate", order, client_request_id)

    def _put(self, action: str, order: AssignmentOrder, client_request_id: str) -> Reading[PimRequest]:
        ask = Ask(
            action,
            order.group_id,
            order.principal_id,
            start=order.starts_at,
            expiration=Expiration("afterDateTime", end=order.ends_at),
            justification=f"{order.justification} [access-portal:{order.tag}]",
            ticket_number=order.tag,
            ticket_system="access-portal",
        )
        return self._write(
            f"graph.POST {PIM_REQUESTS}",
            lambda: request_from(self._world.pim.request_assignment(ask, WORKER)),
            client_request_id,
        )

    def remove(self, order: RemovalOrder, *, client_request_id: str) -> Reading[PimRequest]:
        ask = Ask(
            "adminRemove",
            order.group_id,
            order.principal_id,
            justification=f"{order.justification} [access-portal:{order.tag}]",
            ticket_number=order.tag,
            ticket_system="access-portal",
        )
        return self._write(
            f"graph.POST {PIM_REQUESTS}",
            lambda: request_from(self._world.pim.request_assignment(ask, WORKER)),
            client_request_id,
        )


class WorldProvisioning(WorldPort):
    def job(self) -> Reading[ProvisioningJob]:
        def answer() -> ProvisioningJob:
            job = self._world.provisioning.job
            last = job.last
            return ProvisioningJob(
                job_id=job.id,
                rule_id=job.rule_group,
                code=ProvisioningCode(job.code),
                interval=self._world.provisioning.interval,
                last_cycle_id=last.id if last else "",
                last_cycle_began_at=last.began_at if last else None,
                last_cycle_ended_at=last.ended_at if last else None,
                last_cycle_completed=last is not None and last.state in {"Succeeded", "EntryLevelErrors"},
                quarantine_reason=job.quarantine.reason if job.quarantine else "",
                next_attempt_at=job.quarantine.next_attempt_at if job.quarantine else None,
            )

        return self._read("graph.GET jobs", answer)

    def provision_on_demand(
        self, group_id: str, principal_ids: Sequence[str], *, client_request_id: str
    ) -> Reading[OnDemandResult]:
        subjects = [Subject(group_id, "Group", tuple(principal_ids))]

        def answer() -> OnDemandResult:
            outcome = str(self._world.provisioning.on_demand(subjects).key.get("result", ""))
            known = {o.value: o for o in OnDemandOutcome}
            return OnDemandResult(known.get(outcome, OnDemandOutcome.UNKNOWN), "")

        return self._write("graph.POST provisionOnDemand", answer, client_request_id)


def _boundary(boundary: Mapping[str, Any] | None) -> str:
    """The ARN of a managed policy, or path and name of the customer's own."""
    found = boundary or {}
    own = found.get("CustomerManagedPolicyReference") or {}
    return str(found.get("ManagedPolicyArn") or f"{own.get('Path', '')}{own.get('Name', '')}")


class WorldIdentityCenter(WorldPort):
    """The read-backs of the life cycle; the catalogue's reads are proven over HTTP."""

    def instance(self) -> Reading[IdentityCenterInstance]:
        state = self._world.state.identity_center
        found = IdentityCenterInstance(
            state.instance_arn, state.identity_store_id, state.region, state.owner_account_id
        )
        return self._read("aws.sso-admin.ListInstances", lambda: found)

    def permission_set_arns(self) -> Reading[tuple[str, ...]]:
        return self._read(
            "aws.sso-admin.ListPermissionSets",
            lambda: tuple(row.arn for row in self._world.identity_center.permission_sets()),
        )

    def permission_set(self, arn: str) -> Reading[PermissionSetDetails]:
        def answer() -> PermissionSetDetails:
            row = self._world.identity_center.permission_set(arn)
            return PermissionSetDetails(
                arn=row.arn,
                name=row.name,
                description=row.description or "",
                session_duration=parse_duration(row.session_duration or "PT1H"),
                relay_state=row.relay_state or "",
                managed_policies=tuple((name, policy) for policy, name in row.managed_policies.items()),
                customer_managed_policies=tuple(
                    (p["Path"], p["Name"]) for p in row.customer_managed_policies
                ),
                inline_policy=row.inline_policy,
                permissions_boundary=_boundary(row.boundary),
                tags=dict(row.tags),
            )

        return self._read("aws.sso-admin.DescribePermissionSet", answer)

    def managed_policy_version(self, arn: str) -> Reading[str]:
        return self._read("aws.iam.GetPolicy", lambda: managed_policy(arn)["DefaultVersionId"])

    def managed_policy_document(self, arn: str, version: str) -> Reading[str]:
        return self._read(
            "aws.iam.GetPolicyVersion", lambda: json.dumps(managed_policy(arn, version)["Document"])
        )

    def group_assignments(self, store_group_id: str) -> Reading[tuple[GroupAssignment, ...]]:
        return self._read(
            "aws.sso-admin.ListAccountAssignmentsForPrincipal",
            lambda: tuple(
                GroupAssignment(row.account_id, row.permission_set_arn)
                for row in self._world.state.identity_center.assignments
                if row.principal_id == store_group_id
            ),
        )

    def groups(self) -> Reading[tuple[StoreGroup, ...]]:
        return self._read(
            "aws.identitystore.ListGroups",
            lambda: tuple(
                StoreGroup(row.id, row.display_name, (row.external_id,) if row.external_id else ())
                for row in self._world.identity_store.groups()
            ),
        )

    def users(self) -> Reading[tuple[StoreUser, ...]]:
        return self._read(
            "aws.identitystore.ListUsers",
            lambda: tuple(_store_user(row) for row in self._world.identity_store.users()),
        )

    def find_user(self, user_name: str) -> Reading[StoreUser | None]:
        def answer() -> StoreUser | None:
            row = self._world.identity_store.find_user_by_name(user_name)
            return _store_user(row) if row else None

        return self._read("aws.identitystore.GetUserId", answer)

    def memberships(self, store_user_id: str, store_group_ids: Iterable[str]) -> Reading[Mapping[str, bool]]:
        def answer() -> dict[str, bool]:
            store = self._world.identity_store
            store.user(store_user_id)
            return {group_id: store.is_member(store_user_id, group_id) for group_id in store_group_ids}

        return self._read("aws.identitystore.IsMemberInGroups", answer)

    def membership(self, store_user_id: str, store_group_id: str) -> Reading[StoreMembership | None]:
        return self._read(
            "aws.identitystore.GetGroupMembershipId",
            lambda: next(
                (m for m in self._members(store_group_id) if m.user_id == store_user_id),
                None,
            ),
        )

    def group_memberships(self, store_group_id: str) -> Reading[tuple[StoreMembership, ...]]:
        return self._read(
            "aws.identitystore.ListGroupMemberships", lambda: tuple(self._members(store_group_id))
        )

    def _members(self, store_group_id: str) -> list[StoreMembership]:
        group = self._world.identity_store.group(store_group_id)
        return [StoreMembership(m.id, m.group_id, m.user_id, m.created_at) for m in group.members.values()]


def _store_user(row: WorldStoreUser) -> StoreUser:
    return StoreUser(row.id, row.user_name, (row.external_id,) if row.external_id else (), row.active)


class WorldOrganization(WorldPort):
    def units(self) -> Reading[tuple[OrganizationUnit, ...]]:
        organization = self._world.state.organization
        root = OrganizationUnit(organization.root_id, "Root", "")
        return self._read(
            "aws.organizations.ListOrganizationalUnitsForParent",
            lambda: (
                root,
                *(OrganizationUnit(u.id, u.name, u.parent_id) for u in organization.units.values()),
            ),
        )

    def accounts(self) -> Reading[tuple[OrganizationAccount, ...]]:
        return self._read(
            "aws.organizations.ListAccounts",
            lambda: tuple(
                OrganizationAccount(a.id, a.name, a.email, a.state, a.parent_id)
                for a in self._world.state.organization.accounts.values()
            ),
        )

    def account_tags(self, account_id: str) -> Reading[Mapping[str, str]]:
        return self._read(
            "aws.organizations.ListTagsForResource",
            lambda: dict(self._world.state.organization.accounts[account_id].tags),
        )


def world_clients(world: World) -> tuple[Clients, Calls]:
    """Adapters for every port over this world, and the count of calls that took effect."""
    calls = Calls({})
    return (
        Clients(
            directory=WorldDirectory(world, calls),
            pim=WorldPim(world, calls),
            provisioning=WorldProvisioning(world, calls),
            identity_center=WorldIdentityCenter(world, calls),
            organization=WorldOrganization(world, calls),
            entra_standing=WorldEntraStanding(world, calls),
            aws_standing=WorldAwsStanding(world, calls),
            personal=WorldPersonalPim(world, calls),
            trail=WorldTrail(world, calls),
        ),
        calls,
    )


__all__ = ["Calls", "WorldPort", "world_clients"]
