"""Buckets of the simulated AWS: made by an administrator, used with the sealer's key."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock
from uuid import uuid4

import boto3

from clients.aws.objects import Boto3Objects, build_objects
from clients.limits import LocalLimiter, Rate
from simulator.aws.app import create_app
from simulator.aws.roles import ADMINISTRATOR, REMOVER, SEALER, WORKER
from simulator.aws.throttles import NEVER
from simulator.listener import Listener
from simulator.world.world import World
from tests.simulator.world.factory import small_world

REGION = "eu-central-1"
_KEYS = {"ADMINISTRATOR": ADMINISTRATOR, "SEALER": SEALER, "REMOVER": REMOVER, "WORKER": WORKER}


@dataclass(frozen=True)
class Buckets:
    """The world behind them, and what an administrator does with them."""

    world: World
    administrator: Any
    environ: dict[str, str]

    def make(self, *, locks: bool = True) -> str:
        """A new bucket; gives its name."""
        name = f"bucket-{uuid4()}"
        self.administrator.create_bucket(
            Bucket=name,
            ObjectLockEnabledForBucket=locks,
            CreateBucketConfiguration={"LocationConstraint": REGION},
        )
        return name

    def store(self, bucket: str, owner: str = "SEALER") -> Boto3Objects:
        """The adapter, with that process's key."""
        limiter = LocalLimiter({"object-store": Rate(10_000, burst=10_000)})
        return build_objects(bucket, REGION, owner=owner, environ=self.environ, limiter=limiter)


def _key(name: str) -> str:
    return f"AKIA{name:0<16}"


@contextmanager
def simulated_buckets() -> Iterator[Buckets]:
    """The simulated AWS, to which boto3 goes meanwhile; the process's own key is the worker's."""
    world = small_world().world
    roles = {_key(name): role for name, role in _KEYS.items()}
    listener = Listener(create_app(world, threading.RLock(), throttles=NEVER, roles=roles))
    listener.start()
    own = {f"{name}_AWS_ACCESS_KEY_ID": _key(name) for name in _KEYS}
    secrets = {f"{name}_AWS_SECRET_ACCESS_KEY": "secret" for name in _KEYS}
    variables = {
        "AWS_ENDPOINT_URL": f"http://{listener.address}",
        "AWS_ACCESS_KEY_ID": _key("WORKER"),
        "AWS_SECRET_ACCESS_KEY": "secret",
        **own,
        **secrets,
    }
    try:
        with mock.patch.dict(os.environ, variables), mock.patch("botocore.endpoint.time.sleep"):
            administrator = boto3.client(
                "s3",
                region_name=REGION,
                aws_access_key_id=_key("ADMINISTRATOR"),
                aws_secret_access_key="secret",
            )
            yield Buckets(world, administrator, variables)
    finally:
        listener.stop()
