"""What the AWS adapters must know, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clients.activity_stores import AthenaTable, LakeStore
from clients.environment import required, setting

ACTIVITY_ROLE = "AccessPortalActivity"


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """Region of the Identity Center instance. Credentials and endpoint are boto3's own business."""

    region: str
    instance_arn: str = ""  # needed only where an account sees several instances
    activity_role: str = ACTIVITY_ROLE  # of the accounts, by which their CloudTrail is read
    activity_store: LakeStore | AthenaTable | None = None  # None: the event history of each account
    activity_pages: int = 40  # that are read at most of one account and Region

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> AwsConfig:
        """Read AWS_REGION (or AWS_DEFAULT_REGION), AWS_IDENTITY_CENTER_INSTANCE_ARN, and of activity the role and the pages.

        Which store activity is read from is the worker's business alone: `clients.aws.build` adds it.

        Raises:
            NotPermitted: when there is no region.
        """
        region = setting(environ, "AWS_REGION") or required(
            environ,
            "AWS_DEFAULT_REGION" if setting(environ, "AWS_DEFAULT_REGION") else "AWS_REGION",
            why="IAM Identity Center answers only in the Region of its instance",
        )
        return cls(
            region=region,
            instance_arn=setting(environ, "AWS_IDENTITY_CENTER_INSTANCE_ARN"),
            activity_role=setting(environ, "ACTIVITY_ROLE_NAME") or ACTIVITY_ROLE,
            activity_pages=int(setting(environ, "ACTIVITY_MOST_PAGES") or 40),
        )
