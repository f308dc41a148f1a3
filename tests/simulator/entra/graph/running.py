"""Start the Graph front inside the test process, with a client that has the worker's token."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from simulator.calls import CallLog
from simulator.entra.app import authority_app, browser_app
from simulator.entra.graph.app import add_graph
from simulator.entra.graph.core import GraphFront
from simulator.entra.people import WorldAccounts
from simulator.entra.provider import Provider
from simulator.entra.registrations import load_registrations
from simulator.entra.tokens import SigningKeys, application_access_token, delegated_access_token
from simulator.listener import Listener
from simulator.world.world import World
from tests.simulator.entra.graph.small_world import small_world
from tests.simulator.entra.running import NO_TLS
from tests.support.graph_run import RECORDER

PIM = "/identityGovernance/privilegedAccess/group"


@dataclass(frozen=True)
class RunningGraph:
    """The front, its world, and ways to call it."""

    front: GraphFront
    world: World

    def app_token(self, permissions: Sequence[str] | None = None, **changes: Any) -> str:
        """A token of the worker's, with its own permissions unless others are named."""
        worker = self.front.provider.registrations.worker
        given: dict[str, Any] = {
            "issuer": self.front.provider.issuer(),
            "tenant_id": self.front.provider.tenant_id,
            "client_id": worker.client_id,
            "service_principal_id": worker.service_principal_id,
            "permissions": worker.permissions if permissions is None else permissions,
            "by_certificate": True,
            **changes,
        }
        return application_access_token(self.front.provider.keys, **given)

    def user_token(self, object_id: str, scopes: Sequence[str]) -> str:
        """A token of the sign-in app on behalf of a person."""
        person = self.world.directory.user(object_id)
        return delegated_access_token(
            self.front.provider.keys,
            issuer=self.front.provider.issuer(),
            tenant_id=self.front.provider.tenant_id,
            client_id=self.front.provider.registrations.signin.client_id,
            object_id=object_id,
            name=person.display_name,
            user_principal_name=person.user_principal_name,
            scopes=scopes,
        )

    @staticmethod
    def wrong_on_purpose() -> AbstractContextManager[list[str]]:
        """Within it requests may break the contract; it fails when the contract finds nothing wrong."""
        return RECORDER.wrong_on_purpose()

    def client(self, token: str | None = None) -> httpx.Client:
        """A client with a token (the worker's unless given; "" for none)."""
        chosen = self.app_token() if token is None else token
        headers = {"Authorization": f"Bearer {chosen}"} if chosen else {}
        return httpx.Client(base_url=self.front.base_url, headers=headers, timeout=30, verify=NO_TLS)

    def get(self, path: str, /, token: str | None = None, **query: str) -> httpx.Response:
        """One GET; query options are given without their dollar sign."""
        with self.client(token) as client:
            return client.get(path, params={f"${name}": value for name, value in query.items()})

    def post(self, path: str, body: Any = None, /, token: str | None = None) -> httpx.Response:
        """One POST, with a JSON body or none."""
        with self.client(token) as client:
            return client.post(path) if body is None else client.post(path, json=body)

    def values(self, path: str, /, **query: str) -> list[dict[str, Any]]:
        """Every row of a list, over all its pages."""
        with self.client() as client:
            response = client.get(path, params={f"${name}": value for name, value in query.items()})
            rows: list[dict[str, Any]] = []
            while True:
                assert response.status_code == 200, response.text
                rows += response.json()["value"]
                link = response.json().get("@odata.nextLink")
                if link is None:
                    return rows
                response = client.get(link)


@contextmanager
def running_graph(
    folder: Path, *, page_size: int = 0, secure: Listener | None = None, redirect_uris: tuple[str, ...] = ()
) -> Iterator[RunningGraph]:
    """Graph on a free port, until the block ends. Keys are kept in `folder`, to be made once.

    With `secure`, a listener that hasn't started, the token endpoint is served there too.
    """
    folder.mkdir(exist_ok=True)
    world, lock = small_world(), threading.RLock()
    listener = Listener()
    provider = Provider(
        tenant_id=world.state.tenant_id,
        authority=f"https://{secure.address}" if secure is not None else "https://127.0.0.1:1",
        browser_origin=f"http://{listener.address}",
        keys=SigningKeys(folder / "signing-keys.json"),
        registrations=load_registrations(folder, redirect_uris=redirect_uris, post_logout_redirect_uris=()),
        accounts=WorldAccounts(world, lock),
    )
    front = GraphFront(provider, world, lock, CallLog(), page_size)
    app = browser_app(provider)
    add_graph(app, front)
    listener.use(app)
    listener.start()
    if secure is not None:
        secure.use(authority_app(provider))
        secure.start()
    try:
        yield RunningGraph(front, world)
    finally:
        listener.stop()
        if secure is not None:
            secure.stop()
