"""A small world and SCIM's HTTP client."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from simulator.aws.throttles import Throttles
from simulator.scim.app import scim_blueprint
from tests.simulator.world.factory import Small, small_world


@dataclass(frozen=True)
class Answer:
    """What came back; `json` is None without a body."""

    status_code: int
    mimetype: str | None
    json: Any
    headers: Mapping[str, str]


class Endpoint:
    """Calls the SCIM front without a socket."""

    def __init__(self, small: Small, throttles: Throttles) -> None:
        app = Flask("scim-test")
        app.register_blueprint(scim_blueprint(small.world, threading.RLock(), throttles=throttles))
        center = small.world.state.identity_center
        self.tenant = center.scim_tenant_id
        self.token = center.scim_token
        self._client = app.test_client()

    def call(self, method: str, path: str, body: Any = None, **query: str | int) -> Answer:
        response = self._client.open(
            f"/scim/{self.tenant}/scim/v2/{path}",
            method=method,
            json=body,
            query_string=query,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        body = response.get_json(silent=True)
        return Answer(response.status_code, response.mimetype, body, dict(response.headers))


@pytest.fixture
def small() -> Small:
    return small_world()


@pytest.fixture
def scim(small: Small) -> Endpoint:
    return Endpoint(small, Throttles(rates={}))
