"""What the AWS adapters must know, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clients.environment import required, setting

ACTIVITY_ROLE = "AccessPortalActivity"


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """Region of the Identity Center instance. Credentials and endpoint are boto3's own business."""

    region: str
    instance_arn: str = ""  # needed only where an account sees several instances
    activity_role: str = ACTIVITY_ROLE  # of the accounts, by which their CloudTrail is read

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> AwsConfig:
        """Read AWS_REGION (or AWS_DEFAULT_REGION), AWS_IDENTITY_CENTER_INSTANCE_ARN and ACTIVITY_ROLE_NAME.

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
        )
