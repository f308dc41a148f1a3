"""Builds the AWS adapters from the environment. Imports boto3: workers only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.identity_center import Boto3IdentityCenter
from clients.aws.organization import Boto3Organization
from clients.aws.standing import Boto3Standing
from clients.aws.trail import Boto3ActivityTrail
from clients.breaker import build_breaker
from clients.limits import Limiter, build_limiter
from clients.observing import observe_with
from clients.ports import CallObserver


@dataclass(frozen=True, slots=True)
class AwsAdapters:
    """The ports, over one caller."""

    identity_center: Boto3IdentityCenter
    organization: Boto3Organization
    standing: Boto3Standing
    trail: Boto3ActivityTrail


def build_aws(
    environ: Mapping[str, str] | None = None,
    *,
    limiter: Limiter | None = None,
    observer: CallObserver | None = None,
) -> AwsAdapters:
    """The adapters; nothing is called until one is used.

    boto3 reads credentials and AWS_ENDPOINT_URL from the process's own environment, by its usual chain.

    Raises:
        clients.errors.NotPermitted: when a variable is missing or impossible.
    """
    environ = os.environ if environ is None else environ
    config = AwsConfig.from_environ(environ)
    if observer is not None:
        observe_with(observer)
    limiter, breaker = limiter or build_limiter(environ), build_breaker(environ)
    caller = AwsCaller(config, limiter, breaker=breaker)
    return AwsAdapters(
        identity_center=Boto3IdentityCenter(caller),
        organization=Boto3Organization(caller),
        standing=Boto3Standing(caller),
        trail=Boto3ActivityTrail(caller, limiter, breaker),
    )


__all__ = ["AwsAdapters", "build_aws"]
