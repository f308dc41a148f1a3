"""Builds the AWS adapters from the environment. Imports boto3: workers only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from clients.activity_stores import LakeStore, activity_store
from clients.aws.accounts import AccountCallers
from clients.aws.athena import AthenaTrail
from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.identity_center import Boto3IdentityCenter
from clients.aws.lake import LakeTrail
from clients.aws.organization import Boto3Organization
from clients.aws.queried import PAGE
from clients.aws.standing import Boto3Standing
from clients.aws.trail import Boto3ActivityTrail
from clients.breaker import Breaker, build_breaker
from clients.limits import Limiter, build_limiter
from clients.observing import observe_with
from clients.ports import ActivityTrail, CallObserver


@dataclass(frozen=True, slots=True)
class AwsAdapters:
    """The ports, over one caller."""

    identity_center: Boto3IdentityCenter
    organization: Boto3Organization
    standing: Boto3Standing
    trail: ActivityTrail


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
    config = replace(AwsConfig.from_environ(environ), activity_store=activity_store(environ))
    if observer is not None:
        observe_with(observer)
    limiter, breaker = limiter or build_limiter(environ), build_breaker(environ)
    caller = AwsCaller(config, limiter, breaker=breaker)
    return AwsAdapters(
        identity_center=Boto3IdentityCenter(caller),
        organization=Boto3Organization(caller),
        standing=Boto3Standing(caller),
        trail=build_trail(caller, limiter, breaker),
    )


def build_trail(caller: AwsCaller, limiter: Limiter, breaker: Breaker | None = None) -> ActivityTrail:
    """The adapter of whichever source of activity the caller's configuration names."""
    store = caller.config.activity_store
    if store is None:
        return Boto3ActivityTrail(caller, limiter, breaker)
    callers, most_rows = AccountCallers(caller, limiter, breaker), caller.config.activity_pages * PAGE + 1
    if isinstance(store, LakeStore):
        return LakeTrail(callers, store, most_rows=most_rows)
    return AthenaTrail(callers, store, most_rows=most_rows)


__all__ = ["AwsAdapters", "build_aws", "build_trail"]
