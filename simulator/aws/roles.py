"""Access keys and what they may do: IAM as far as the portal's own roles need it.

A role allows actions by name (`identitystore:DeleteGroupMembership`, `organizations:*`) on every resource. The actions
of the three roles below are those that docs/permissions.md asks an operator for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from simulator.world.errors import WorldError

# service -> prefix of its IAM actions, where they differ
PREFIXES = {"sso-admin": "sso"}
# Services of the query protocol, which answer in XML and with codes of their own, and their namespaces.
QUERY = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
}
UNQUESTIONED = {"sts:GetCallerIdentity"}  # needs no permission

SSO_READS = (
    "sso:ListInstances",
    "sso:ListPermissionSets",
    "sso:DescribePermissionSet",
    "sso:ListManagedPoliciesInPermissionSet",
    "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    "sso:GetInlinePolicyForPermissionSet",
    "sso:GetPermissionsBoundaryForPermissionSet",
    "sso:ListTagsForResource",
    "sso:ListAccountAssignmentsForPrincipal",
    "sso:ListAccountAssignments",
    "sso:ListAccountsForProvisionedPermissionSet",
)
STORE_READS = (
    "identitystore:GetUserId",
    "identitystore:DescribeUser",
    "identitystore:ListUsers",
    "identitystore:ListGroups",
    "identitystore:ListGroupMemberships",
    "identitystore:ListGroupMembershipsForMember",
    "identitystore:IsMemberInGroups",
)
IAM_READS = ("iam:GetPolicy", "iam:GetPolicyVersion")
ORGANIZATIONS_READS = (
    "organizations:ListRoots",
    "organizations:ListOrganizationalUnitsForParent",
    "organizations:ListAccounts",
    "organizations:ListAccountsForParent",
    "organizations:ListTagsForResource",
)
REMOVALS = (
    "sso:ListInstances",
    "identitystore:ListGroupMembershipsForMember",
    "identitystore:DeleteGroupMembership",
)
SEVERING = (
    "organizations:DescribePolicy",
    "organizations:UpdatePolicy",
    "organizations:ListTargetsForPolicy",
    "sso:ListInstances",
    "sso:GetInlinePolicyForPermissionSet",
    "sso:PutInlinePolicyToPermissionSet",
    "sso:ProvisionPermissionSet",
    "sso:DescribePermissionSetProvisioningStatus",
)
OBJECTS = (
    "s3:PutObject",
    "s3:PutObjectRetention",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectRetention",
    "s3:GetBucketObjectLockConfiguration",
    "s3:ListBucketVersions",
)
TRAIL = ("s3:PutObject",)
ACTIVITY = ("sts:AssumeRole",)  # of the role below, which is all that can be assumed here
LAKE = ("cloudtrail:StartQuery", "cloudtrail:GetQueryResults")
ASSUMABLE: Mapping[str, tuple[str, ...]] = {"AccessPortalActivity": ("cloudtrail:LookupEvents", *LAKE)}


@dataclass(frozen=True)
class Role:
    """Who an access key is. `account` empty: the organization's management account."""

    name: str
    actions: tuple[str, ...] = ("*",)
    account: str = ""

    def allows(self, action: str) -> bool:
        """Whether this role may do `service:Operation`."""
        return action in UNQUESTIONED or any(fnmatchcase(action, each) for each in self.actions)


@dataclass(frozen=True)
class Keys:
    """Access keys: those that last, what may be assumed (role name -> actions, in every account), and for a while.

    `lasting` None: every key that isn't temporary is an administrator's.
    """

    lasting: Mapping[str, Role] | None = None
    assumable: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(ASSUMABLE))
    temporary: dict[str, tuple[Role, datetime]] = field(default_factory=dict)

    def find(self, access_key: str, now: datetime) -> Role | None:
        """Whose key it is; None for nobody's. Raises WorldError ExpiredTokenException."""
        if access_key in self.temporary:
            role, ends_at = self.temporary[access_key]
            if ends_at <= now:
                message = "The security token included in the request is expired"
                raise WorldError(400, "ExpiredTokenException", message)
            return role
        return ADMINISTRATOR if self.lasting is None else self.lasting.get(access_key)


ADMINISTRATOR = Role("Administrator")
WORKER = Role(
    "AccessPortalWorker", (*SSO_READS, *STORE_READS, *IAM_READS, *ORGANIZATIONS_READS, *ACTIVITY, *TRAIL)
)
REMOVER = Role("AccessPortalRemover", REMOVALS)
SEVERER = Role("AccessPortalSeverer", SEVERING)
SEALER = Role("AccessPortalSealer", OBJECTS)


def action_of(service: str, operation: str) -> str:
    """The IAM action that a call needs."""
    return f"{PREFIXES.get(service, service)}:{operation}"


def role_arn(role: Role, account: str) -> str:
    """The caller's ARN: a session of the role."""
    return f"arn:aws:sts::{account}:assumed-role/{role.name}/{role.name}"


def not_authorized(service: str, operation: str, caller_arn: str) -> WorldError:
    """AccessDeniedException in IAM's words; the query protocol has its own code and status for it."""
    action = action_of(service, operation)
    status, code = (403, "AccessDenied") if service in QUERY else (400, "AccessDeniedException")
    return WorldError(
        status,
        code,
        f"User: {caller_arn} is not authorized to perform: {action}"
        f" because no identity-based policy allows the {action} action",
    )
