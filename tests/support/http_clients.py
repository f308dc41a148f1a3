"""The product's ports over HTTP: the real adapters (msgraph-sdk, boto3) in front of any simulated world."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from azure.core.credentials import AccessToken

from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.identity_center import Boto3IdentityCenter
from clients.aws.organization import Boto3Organization
from clients.aws.standing import Boto3Standing
from clients.aws.trail import Boto3ActivityTrail
from clients.entra.caller import GraphCaller
from clients.entra.config import EntraConfig
from clients.entra.directory import GraphDirectory
from clients.entra.personal import GraphPersonalPim
from clients.entra.pim import GraphPim
from clients.entra.provisioning import GraphProvisioning
from clients.entra.standing import GraphStanding
from clients.limits import RATES, Limiter, LocalLimiter, Rate
from clients.registry import Clients
from simulator.aws.app import create_app
from simulator.aws.throttles import NEVER
from simulator.calls import CallLog
from simulator.entra.app import browser_app
from simulator.entra.graph.app import add_graph
from simulator.entra.graph.core import GraphFront
from simulator.entra.people import WorldAccounts
from simulator.entra.provider import Provider
from simulator.entra.registrations import load_registrations
from simulator.entra.tokens import SigningKeys, application_access_token
from simulator.listener import Listener
from simulator.world.world import World
from tests.support.aws_models import aws_caller

UNPACED = {family: Rate(10_000, burst=10_000) for family in RATES}


class _Token:
    """The worker's token without the round trip; it carries what the registration has at that moment."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        worker = self._provider.registrations.worker
        token = application_access_token(
            self._provider.keys,
            issuer=self._provider.issuer(),
            tenant_id=self._provider.tenant_id,
            client_id=worker.client_id,
            service_principal_id=worker.service_principal_id,
            permissions=worker.permissions,
            by_certificate=True,
        )
        return AccessToken(token, int(time.time()) + 3600)


@contextmanager
def http_clients(
    world: World, folder: Path, limiter: Limiter | None = None
) -> Iterator[tuple[Clients, Provider]]:
    """Every port over HTTP to this world; keys are kept in `folder`. Botocore's pauses between retries are none.

    Calls aren't paced, unless a limiter is given.
    """
    folder.mkdir(exist_ok=True)
    paces = [limiter or LocalLimiter(UNPACED) for _ in ("Entra", "AWS")]
    lock, plain = threading.RLock(), Listener()
    provider = Provider(
        tenant_id=world.state.tenant_id,
        authority="https://127.0.0.1:1",
        browser_origin=f"http://{plain.address}",
        keys=SigningKeys(folder / "signing-keys.json"),
        registrations=load_registrations(folder, redirect_uris=(), post_logout_redirect_uris=()),
        accounts=WorldAccounts(world, lock),
    )
    app = browser_app(provider)
    add_graph(app, GraphFront(provider, world, lock, CallLog()))
    plain.use(app)
    aws = Listener(create_app(world, lock, throttles=NEVER))
    config = EntraConfig(
        tenant_id=world.state.tenant_id,
        client_id=provider.registrations.worker.client_id,
        aws_service_principal_id=world.directory.application.id,
        client_secret="not used",
        graph_base_url=f"{provider.browser_origin}/v1.0",
    )
    graph = GraphCaller(
        config, paces[0], total_seconds=20, read_pauses=(0.01, 0.01), credential=_Token(provider)
    )
    variables = {
        "AWS_ENDPOINT_URL": f"http://{aws.address}",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    region = world.state.identity_center.region
    caller = aws_caller(region, paces[1], attempts=3)
    for listener in (plain, aws):
        listener.start()
    try:
        with (
            mock.patch.dict(os.environ, variables),
            mock.patch("botocore.endpoint.time.sleep"),
        ):
            yield (
                Clients(
                    directory=GraphDirectory(graph, aws_service_principal_id=config.aws_service_principal_id),
                    pim=GraphPim(graph),
                    provisioning=GraphProvisioning(
                        graph, aws_service_principal_id=config.aws_service_principal_id
                    ),
                    identity_center=Boto3IdentityCenter(caller),
                    organization=Boto3Organization(caller),
                    entra_standing=GraphStanding(graph, config),
                    aws_standing=Boto3Standing(caller),
                    personal=GraphPersonalPim(graph, config),
                    trail=Boto3ActivityTrail(AwsCaller(AwsConfig(region), paces[1], attempts=3), paces[1]),
                ),
                provider,
            )
    finally:
        graph.close()
        for listener in (plain, aws):
            listener.stop()
