"""What the AWS adapters must know, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clients.environment import required, setting


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """Region of the Identity Center instance. Credentials and endpoint are boto3's own business."""

    region: str
    instance_arn: str = ""  # needed only where an account sees several instances

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> AwsConfig:
        """Read AWS_REGION (or AWS_DEFAULT_REGION) and AWS_IDENTITY_CENTER_INSTANCE_ARN.

        Raises:
            NotPermitted: when there is no region.
        """
        region = setting(environ, "AWS_REGION") or required(
            environ,
            "AWS_DEFAULT_REGION" if setting(environ, "AWS_DEFAULT_REGION") else "AWS_REGION",
            why="IAM Identity Center answers only in the Region of its instance",
        )
        return cls(region=region, instance_arn=setting(environ, "AWS_IDENTITY_CENTER_INSTANCE_ARN"))
