"""Which adapter stands behind each port, decided once per process and replaceable in tests.

Adapters are imported at first use only: the web process never asks, so it never loads an SDK.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module

from clients.breaker import Breaker, LocalBreaker, build_breaker
from clients.ports import (
    ActivityTrail,
    AwsStanding,
    EntraDirectory,
    EntraPim,
    EntraProvisioning,
    EntraStanding,
    IdentityCenter,
    Notifier,
    ObjectStore,
    Organization,
    PersonalPim,
    Postman,
)


@dataclass(frozen=True, slots=True)
class Clients:
    """One adapter per port, and what says beforehand that a cloud is away."""

    directory: EntraDirectory
    pim: EntraPim
    provisioning: EntraProvisioning
    identity_center: IdentityCenter
    organization: Organization
    entra_standing: EntraStanding
    aws_standing: AwsStanding
    personal: PersonalPim
    trail: ActivityTrail
    breaker: Breaker = field(default_factory=LocalBreaker)


_current: Clients | None = None


def clients() -> Clients:
    """The process's adapters, built from the environment on first use.

    Raises:
        clients.errors.NotPermitted: in a process that holds no cloud credential (the web process).
    """
    global _current
    if _current is None:
        entra = import_module("clients.entra.build").build_entra()
        aws = import_module("clients.aws.build").build_aws()
        _current = Clients(
            directory=entra.directory,
            pim=entra.pim,
            provisioning=entra.provisioning,
            identity_center=aws.identity_center,
            organization=aws.organization,
            entra_standing=entra.standing,
            aws_standing=aws.standing,
            personal=entra.personal,
            trail=aws.trail,
            breaker=build_breaker(os.environ),
        )
    return _current


def notifiers() -> Mapping[str, Notifier]:
    """The channels to operators, by name; none where none is configured. Built anew at each call: it costs nothing."""
    built: Mapping[str, Notifier] = import_module("clients.notify.build").build_notifiers()
    return built


def chats() -> Mapping[str, Notifier]:
    """The chats that hear what approvers hear, by name; none where none is configured. Workers only."""
    built: Mapping[str, Notifier] = import_module("clients.notify.build").build_chats()
    return built


def postman() -> Postman | None:
    """Whoever carries mail to people; None where MAIL_FROM isn't set, so that none is sent. Workers only."""
    built: Postman | None = import_module("clients.notify.build").build_postman()
    return built


def object_store(bucket: str, region: str, *, owner: str = "") -> ObjectStore:
    """A bucket, with the key of OWNER_AWS_… or, without an owner, the process's own. Built anew at each call.

    Raises:
        clients.errors.NotPermitted: when only a part of a key is there.
    """
    built: ObjectStore = import_module("clients.aws.objects").build_objects(bucket, region, owner=owner)
    return built


@contextmanager
def using(replacement: Clients) -> Iterator[None]:
    """Run a block with other adapters; for tests."""
    global _current
    before, _current = _current, replacement
    try:
        yield
    finally:
        _current = before


def forget() -> None:
    """Drop the adapters, so that a forked pool child builds its own (event loops don't survive fork)."""
    global _current
    _current = None


__all__ = ["Clients", "chats", "clients", "forget", "notifiers", "object_store", "postman", "using"]
