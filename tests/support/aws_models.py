"""AWS's service models, read once in a process for all adapters of its tests: that takes longer than their calls."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.limits import Limiter, LocalLimiter

SECRET = "secret"


@cache
def _models() -> AwsCaller:
    """Makes no call of its own."""
    return AwsCaller(AwsConfig("eu-west-1"), LocalLimiter({}))


def aws_caller(
    region: str, limiter: Limiter, *, attempts: int, key: str = "AKIAEXAMPLE", **options: Any
) -> AwsCaller:
    """A caller with this access key; whatever it calls is where AWS_ENDPOINT_URL says at its first call."""
    credentials: Mapping[str, str] = {"aws_access_key_id": key, "aws_secret_access_key": SECRET}
    return AwsCaller(
        AwsConfig(region), limiter, attempts=attempts, credentials=credentials, beside=_models(), **options
    )
