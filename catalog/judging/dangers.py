"""What makes a role dangerous, as a table: ways in which its actions do harm, each with the harm in plain words.

A way is a set of actions that are all needed. The ways to more power are those of Rhino Security Labs' research and of
pathfinding.cloud, as far as they begin with a role's own permissions; the others are the actions that AWS itself lists as
making resources public, reading what is stored, or ending its recording. The table is ours: `tests/catalog/judging`
holds every name in it to the table of actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from catalog.judging.actions import ActionTable, action_table
from catalog.judging.reach import Reach

# Actions named with a finding; more are counted.
MOST_NAMED = 4


class Kind(StrEnum):
    """Kinds of harm, the gravest first."""

    EVERYTHING = "everything"
    POWER = "power"
    TRACES = "traces"
    EXPOSURE = "exposure"
    DESTRUCTION = "destruction"
    DATA = "data"

    @property
    def words(self) -> str:
        """The kind as a heading."""
        return _KIND_WORDS[self]


_KIND_WORDS: Mapping[Kind, str] = {
    Kind.EVERYTHING: "Everything",
    Kind.POWER: "Could gain more power",
    Kind.TRACES: "Could hide what was done",
    Kind.EXPOSURE: "Could open resources to outsiders",
    Kind.DESTRUCTION: "Could destroy for good",
    Kind.DATA: "Could read stored data and secrets",
}


class Hedge(StrEnum):
    """How far a danger reaches, as far as policies say."""

    NONE = ""
    NAMED = "named"
    CONDITIONAL = "conditional"

    @property
    def words(self) -> str:
        """To be put after what it limits; "" where nothing does."""
        return _HEDGE_WORDS[self]


_HEDGE_WORDS: Mapping[Hedge, str] = {
    Hedge.NONE: "",
    Hedge.NAMED: "on named resources only",
    Hedge.CONDITIONAL: "under conditions or with exceptions",
}


@dataclass(frozen=True, slots=True)
class Danger:
    """One harm and the ways to it, each of one or more actions joined with `+`."""

    key: str
    kind: Kind
    words: str
    ways: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A danger that a role has: by which ways, and how far."""

    danger: Danger
    ways: tuple[str, ...]  # the first few
    more: int
    hedge: Hedge


EVERYTHING = Danger("everything", Kind.EVERYTHING, "Every action of every service, permissions included.", ())

_PASS_ROLE = (
    "lambda:CreateFunction",
    "ec2:RunInstances",
    "ec2:RequestSpotInstances",
    "ecs:RunTask",
    "ecs:StartTask",
    "ecs:CreateService",
    "cloudformation:CreateStack",
    "cloudformation:UpdateStack",
    "cloudformation:CreateStackSet",
    "codebuild:CreateProject",
    "codebuild:UpdateProject",
    "glue:CreateJob",
    "glue:UpdateJob",
    "glue:CreateDevEndpoint",
    "sagemaker:CreateNotebookInstance",
    "sagemaker:CreateTrainingJob",
    "sagemaker:CreateProcessingJob",
    "states:CreateStateMachine",
    "datapipeline:CreatePipeline",
    "apprunner:CreateService",
    "ssm:StartAutomationExecution",
)

DANGERS: Sequence[Danger] = (
    # --- more power
    Danger(
        "write-policies",
        Kind.POWER,
        "Changes what users and roles of the account may do, its own power included.",
        (
            "iam:AttachRolePolicy",
            "iam:AttachUserPolicy",
            "iam:AttachGroupPolicy",
            "iam:PutRolePolicy",
            "iam:PutUserPolicy",
            "iam:PutGroupPolicy",
            "iam:CreatePolicyVersion",
            "iam:SetDefaultPolicyVersion",
            "iam:AddUserToGroup",
        ),
    ),
    Danger(
        "lift-boundaries",
        Kind.POWER,
        "Lifts or replaces the boundaries that limit users and roles.",
        (
            "iam:DeleteRolePermissionsBoundary",
            "iam:DeleteUserPermissionsBoundary",
            "iam:PutRolePermissionsBoundary",
            "iam:PutUserPermissionsBoundary",
        ),
    ),
    Danger(
        "trust",
        Kind.POWER,
        "Changes who may become a role, or creates identities that outlast this access.",
        (
            "iam:UpdateAssumeRolePolicy",
            "iam:CreateRole+iam:AttachRolePolicy",
            "iam:CreateSAMLProvider",
            "iam:UpdateSAMLProvider",
            "iam:CreateOpenIDConnectProvider",
            "iam:AddClientIDToOpenIDConnectProvider",
            "iam:UpdateOpenIDConnectProviderThumbprint",
            "rolesanywhere:CreateTrustAnchor",
        ),
    ),
    Danger(
        "credentials",
        Kind.POWER,
        "Makes lasting credentials of other users.",
        (
            "iam:CreateAccessKey",
            "iam:CreateLoginProfile",
            "iam:UpdateLoginProfile",
            "iam:CreateServiceSpecificCredential",
            "iam:ResetServiceSpecificCredential",
            "iam:DeactivateMFADevice",
        ),
    ),
    Danger(
        "assume",
        Kind.POWER,
        "Becomes other roles, also in other accounts, that trust it.",
        ("sts:AssumeRole",),
    ),
    Danger(
        "pass-role",
        Kind.POWER,
        "Hands a more powerful role to something that it starts, and acts through that.",
        tuple(f"iam:PassRole+{each}" for each in _PASS_ROLE),
    ),
    Danger(
        "take-over-code",
        Kind.POWER,
        "Replaces code that runs with a role of its own.",
        (
            "lambda:UpdateFunctionCode",
            "lambda:UpdateFunctionConfiguration",
            "glue:UpdateDevEndpoint",
            "cloudformation:CreateChangeSet+cloudformation:ExecuteChangeSet",
            "ec2:CreateLaunchTemplateVersion+ec2:ModifyLaunchTemplate",
            "ec2:ModifyInstanceAttribute+ec2:StopInstances+ec2:StartInstances",
            "ecs:RegisterTaskDefinition+ecs:UpdateService",
            "ecr:PutImage",
            "codebuild:StartBuild",
            "states:UpdateStateMachine",
        ),
    ),
    Danger(
        "run-on-servers",
        Kind.POWER,
        "Runs commands on servers and in containers, with their roles.",
        (
            "ssm:SendCommand",
            "ssm:StartSession",
            "ec2-instance-connect:SendSSHPublicKey",
            "ec2-instance-connect:SendSerialConsoleSSHPublicKey",
            "ecs:ExecuteCommand",
            "eks:CreateAccessEntry+eks:AssociateAccessPolicy",
            "sagemaker:CreatePresignedNotebookInstanceUrl",
        ),
    ),
    Danger(
        "organisation-access",
        Kind.POWER,
        "Where the organisation is administered from: gives people access to its accounts, around this portal.",
        (
            "sso:CreateAccountAssignment",
            "sso:PutInlinePolicyToPermissionSet",
            "sso:AttachManagedPolicyToPermissionSet",
            "sso:AttachCustomerManagedPolicyReferenceToPermissionSet",
            "sso:DeletePermissionsBoundaryFromPermissionSet",
            "identitystore:CreateGroupMembership",
        ),
    ),
    Danger(
        "organisation-limits",
        Kind.POWER,
        "Where the organisation is administered from: takes away the limits that hold for its accounts.",
        (
            "organizations:DetachPolicy",
            "organizations:UpdatePolicy",
            "organizations:DeletePolicy",
            "organizations:DisablePolicyType",
            "organizations:MoveAccount",
            "organizations:LeaveOrganization",
        ),
    ),
    # --- traces
    Danger(
        "trail",
        Kind.TRACES,
        "Stops or thins out CloudTrail's record of what is done.",
        (
            "cloudtrail:StopLogging",
            "cloudtrail:DeleteTrail",
            "cloudtrail:UpdateTrail",
            "cloudtrail:PutEventSelectors",
            "cloudtrail:DeleteEventDataStore",
            "cloudtrail:StopEventDataStoreIngestion",
        ),
    ),
    Danger(
        "detection",
        Kind.TRACES,
        "Switches off what watches for misuse.",
        (
            "guardduty:DeleteDetector",
            "guardduty:UpdateDetector",
            "guardduty:CreateFilter",
            "guardduty:DisassociateFromAdministratorAccount",
            "securityhub:DisableSecurityHub",
            "config:StopConfigurationRecorder",
            "config:DeleteConfigurationRecorder",
            "config:DeleteDeliveryChannel",
            "access-analyzer:DeleteAnalyzer",
            "macie2:DisableMacie",
        ),
    ),
    Danger(
        "logs",
        Kind.TRACES,
        "Deletes logs of applications and networks.",
        (
            "logs:DeleteLogGroup",
            "logs:DeleteLogStream",
            "logs:PutRetentionPolicy",
            "ec2:DeleteFlowLogs",
            "s3:PutBucketLogging",
        ),
    ),
    # --- exposure
    Danger(
        "resource-policies",
        Kind.EXPOSURE,
        "Lets others, strangers included, use resources of the account.",
        (
            "s3:PutBucketPolicy",
            "s3:PutBucketAcl",
            "s3:PutObjectAcl",
            "s3:PutAccessPointPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutAccountPublicAccessBlock",
            "kms:PutKeyPolicy",
            "kms:CreateGrant",
            "secretsmanager:PutResourcePolicy",
            "lambda:AddPermission",
            "lambda:AddLayerVersionPermission",
            "lambda:CreateFunctionUrlConfig",
            "sns:AddPermission",
            "sqs:AddPermission",
            "ecr:SetRepositoryPolicy",
            "es:UpdateDomainConfig",
            "backup:PutBackupVaultAccessPolicy",
            "elasticfilesystem:PutFileSystemPolicy",
            "dynamodb:PutResourcePolicy",
            "events:PutPermission",
            "ram:CreateResourceShare",
        ),
    ),
    Danger(
        "share-copies",
        Kind.EXPOSURE,
        "Shares disks, images or database snapshots with other accounts.",
        (
            "ec2:ModifySnapshotAttribute",
            "ec2:ModifyImageAttribute",
            "rds:ModifyDBSnapshotAttribute",
            "rds:ModifyDBClusterSnapshotAttribute",
            "redshift:AuthorizeSnapshotAccess",
            "rds:StartExportTask",
        ),
    ),
    Danger(
        "network",
        Kind.EXPOSURE,
        "Opens networks to the outside.",
        (
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateVpcPeeringConnection",
            "ec2:AttachInternetGateway",
            "ec2:ModifySecurityGroupRules",
            "rds:ModifyDBInstance",
            "redshift:ModifyCluster",
        ),
    ),
    # --- destruction
    Danger(
        "destroy-data",
        Kind.DESTRUCTION,
        "Deletes stored data.",
        (
            "s3:DeleteBucket",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:PutLifecycleConfiguration",
            "dynamodb:DeleteTable",
            "rds:DeleteDBInstance",
            "rds:DeleteDBCluster",
            "elasticfilesystem:DeleteFileSystem",
            "redshift:DeleteCluster",
            "ec2:DeleteVolume",
            "es:DeleteDomain",
        ),
    ),
    Danger(
        "destroy-keys",
        Kind.DESTRUCTION,
        "Makes encrypted data unreadable for ever.",
        ("kms:ScheduleKeyDeletion", "kms:DeleteImportedKeyMaterial", "kms:DisableKey"),
    ),
    Danger(
        "destroy-backups",
        Kind.DESTRUCTION,
        "Deletes the copies from which data would be brought back.",
        (
            "backup:DeleteRecoveryPoint",
            "backup:DeleteBackupVault",
            "rds:DeleteDBSnapshot",
            "rds:DeleteDBClusterSnapshot",
            "ec2:DeleteSnapshot",
            "dynamodb:DeleteBackup",
            "s3:BypassGovernanceRetention",
        ),
    ),
    # --- data
    Danger(
        "secrets",
        Kind.DATA,
        "Reads secrets and passwords, with which more can be opened.",
        (
            "secretsmanager:GetSecretValue",
            "secretsmanager:BatchGetSecretValue",
            "ssm:GetParameter",
            "ssm:GetParameters",
            "ssm:GetParametersByPath",
            "ssm:GetParameterHistory",
            "ec2:GetPasswordData",
            "redshift:GetClusterCredentials",
            "rds-db:connect",
        ),
    ),
    Danger(
        "stored-data",
        Kind.DATA,
        "Reads what applications have stored.",
        (
            "s3:GetObject",
            "s3:GetObjectVersion",
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:Query",
            "dynamodb:Scan",
            "dynamodb:ExportTableToPointInTime",
            "rds-data:ExecuteStatement",
            "redshift-data:ExecuteStatement",
            "athena:StartQueryExecution+athena:GetQueryResults",
            "kinesis:GetRecords",
            "sqs:ReceiveMessage",
            "codecommit:GitPull",
            "lambda:GetFunction",
            "ecr:BatchGetImage",
            "ebs:GetSnapshotBlock",
        ),
    ),
    Danger("decrypt", Kind.DATA, "Decrypts what is protected with the account's keys.", ("kms:Decrypt",)),
)
BY_KEY: Mapping[str, Danger] = {danger.key: danger for danger in (EVERYTHING, *DANGERS)}


def find_dangers(reach: Reach, table: ActionTable | None = None) -> tuple[Finding, ...]:
    """The dangers of a role, the gravest first. Of one that may do everything, that is all that is said."""
    table = table or action_table()
    if reach.wide == table.everything:
        return (Finding(EVERYTHING, (), 0, Hedge.NONE),)
    found = (_finding(danger, reach, table) for danger in DANGERS)
    return tuple(each for each in found if each is not None)


def _finding(danger: Danger, reach: Reach, table: ActionTable) -> Finding | None:
    by_hedge: dict[Hedge, list[str]] = {hedge: [] for hedge in Hedge}
    for way in danger.ways:
        hedge = _hedge([table.matching(action) for action in way.split("+")], reach)
        if hedge is not None:
            by_hedge[hedge].append(way)
    ways = [way for hedge in Hedge for way in by_hedge[hedge]]
    if not ways:
        return None
    furthest = next(hedge for hedge in Hedge if by_hedge[hedge])
    return Finding(danger, tuple(ways[:MOST_NAMED]), max(0, len(ways) - MOST_NAMED), furthest)


def _hedge(actions: Sequence[int], reach: Reach) -> Hedge | None:
    """How far a way reaches: as far as the most limited of its actions. None: one of them isn't allowed at all."""
    if any(not action & reach.all for action in actions):
        return None
    if any(action & reach.conditional for action in actions):
        return Hedge.CONDITIONAL
    return Hedge.NAMED if any(action & reach.named for action in actions) else Hedge.NONE
