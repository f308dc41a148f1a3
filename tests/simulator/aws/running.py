"""The AWS front on loopback for the length of a test."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from simulator.aws.app import create_app
from simulator.aws.roles import Role
from simulator.aws.throttles import NEVER, Throttles
from simulator.listener import Listener
from simulator.world.world import World

ACCESS_KEY = "AKIA0000000000000000"


@cache
def _session() -> Any:
    """One for all tests: it reads the services' models once. Keys are given with each client."""
    return boto3.session.Session()


class Aws:
    """Makes boto3 clients that can reach nothing but the front."""

    def __init__(self, endpoint: str, region: str) -> None:
        self.endpoint = endpoint
        self.region = region
        self._clients: dict[tuple[str, str, str, int], Any] = {}

    def client(
        self, service: str, *, region: str = "", access_key: str = ACCESS_KEY, attempts: int = 1
    ) -> Any:
        key = (service, region, access_key, attempts)
        if key not in self._clients:
            self._clients[key] = self._make(*key)
        return self._clients[key]

    def _make(self, service: str, region: str, access_key: str, attempts: int) -> Any:
        return _session().client(
            service,
            endpoint_url=self.endpoint,
            region_name=region or self.region,
            aws_access_key_id=access_key,
            aws_secret_access_key="not-a-secret",
            config=Config(
                retries={"total_max_attempts": attempts, "mode": "standard"},
                connect_timeout=30,
                read_timeout=30,
                proxies={},
            ),
        )


@contextmanager
def serving(
    world: World, *, throttles: Throttles = NEVER, roles: Mapping[str, Role] | None = None
) -> Iterator[Aws]:
    """AWS in front of this world, until the block ends."""
    listener = Listener(create_app(world, threading.RLock(), throttles=throttles, roles=roles))
    listener.start()
    try:
        yield Aws(f"http://{listener.address}", world.state.identity_center.region)
    finally:
        listener.stop()
