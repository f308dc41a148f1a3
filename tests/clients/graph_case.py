"""A GraphCaller that talks to a scripted server, with a credential that needs no Entra."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from azure.core.credentials import AccessToken

from clients.entra.caller import GraphCaller
from clients.entra.config import EntraConfig
from clients.limits import LocalLimiter, Rate

GROUP = "a1000000-0000-4000-8000-000000000001"
PERSON = "b2000000-0000-4000-8000-000000000002"
PRINCIPAL = "c3000000-0000-4000-8000-000000000003"

FAST = {name: Rate(10_000, burst=10_000) for name in ("graph", "graph-on-demand", "entra-token")}


class FixedToken:
    """Gives the same token for ever, or fails as told."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        if self.failure:
            raise self.failure
        return AccessToken("the-token", int(time.time()) + 3600)


def config_for(origin: str) -> EntraConfig:
    return EntraConfig(
        tenant_id="t",
        client_id="c",
        aws_service_principal_id=PRINCIPAL,
        client_secret="s",
        graph_base_url=f"{origin}/v1.0",
    )


@contextmanager
def graph_caller(
    origin: str,
    *,
    total_seconds: float = 20.0,
    failure: Exception | None = None,
    limiter: Any = None,
) -> Iterator[GraphCaller]:
    caller = GraphCaller(
        config_for(origin),
        limiter or LocalLimiter(FAST),
        total_seconds=total_seconds,
        read_pauses=(0.01, 0.01),
        credential=FixedToken(failure),
    )
    try:
        yield caller
    finally:
        caller.close()
