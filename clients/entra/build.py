"""Builds the Entra adapters from the environment. Imports the SDK: workers only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from clients.breaker import build_breaker
from clients.entra.caller import GraphCaller
from clients.entra.config import EntraConfig
from clients.entra.directory import GraphDirectory
from clients.entra.personal import GraphPersonalPim
from clients.entra.pim import GraphPim
from clients.entra.provisioning import GraphProvisioning
from clients.entra.standing import GraphStanding
from clients.limits import Limiter, build_limiter
from clients.observing import observe_with
from clients.ports import CallObserver


@dataclass(frozen=True, slots=True)
class EntraAdapters:
    """The ports, over one caller."""

    directory: GraphDirectory
    pim: GraphPim
    provisioning: GraphProvisioning
    standing: GraphStanding
    personal: GraphPersonalPim
    caller: GraphCaller

    def close(self) -> None:
        """Stop the event loop's thread and close connections."""
        self.caller.close()


def build_entra(
    environ: Mapping[str, str] | None = None,
    *,
    limiter: Limiter | None = None,
    observer: CallObserver | None = None,
) -> EntraAdapters:
    """The adapters; nothing is called until one is used.

    Raises:
        clients.errors.NotPermitted: when a variable is missing or impossible.
    """
    environ = os.environ if environ is None else environ
    config = EntraConfig.from_environ(environ)
    if observer is not None:
        observe_with(observer)
    caller = GraphCaller(config, limiter or build_limiter(environ), breaker=build_breaker(environ))
    principal = config.aws_service_principal_id
    return EntraAdapters(
        directory=GraphDirectory(
            caller, aws_service_principal_id=principal, person_attributes=config.person_attributes
        ),
        pim=GraphPim(caller),
        provisioning=GraphProvisioning(caller, aws_service_principal_id=principal),
        standing=GraphStanding(caller, config),
        personal=GraphPersonalPim(caller, config),
        caller=caller,
    )


__all__ = ["EntraAdapters", "build_entra"]
