"""Start the sign-in half of the simulated Entra inside the test process."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from simulator.entra.accounts import Account
from simulator.entra.app import authority_app, browser_app
from simulator.entra.provider import Provider
from simulator.entra.registrations import load_registrations
from simulator.entra.tls import TlsFiles, ensure_server_tls
from simulator.entra.tokens import SigningKeys
from simulator.entra.workload import Workload
from simulator.listener import Listener

TENANT = "11111111-1111-4111-8111-111111111111"
OTHER_TENANT = "22222222-2222-4222-8222-222222222222"
CALLBACK = "http://127.0.0.1:8000/accounts/oidc/entra/login/callback/"
# Made once: a client would load the system's certificates each time, for plain HTTP too.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ALLAUTH_CALLBACK = "http://127.0.0.1:8000/oidc/entra/login/callback/"
SIGNED_OUT = "http://127.0.0.1:8000/signed-out/"

ADA = Account(
    object_id="a0000000-0000-4000-8000-000000000001",
    tenant_id=TENANT,
    name="Ada Example",
    user_principal_name="ada@contoso.example",
    email="ada@contoso.example",
    app_roles=("Portal.Auditor",),
    hint="asks for access",
)
DISABLED = Account(
    object_id="a0000000-0000-4000-8000-000000000002",
    tenant_id=TENANT,
    name="Dora Disabled",
    user_principal_name="dora@contoso.example",
    email=None,
    enabled=False,
)
FOREIGN = Account(
    object_id="a0000000-0000-4000-8000-000000000003",
    tenant_id=OTHER_TENANT,
    name="Finn Foreign",
    user_principal_name="finn@fabrikam.example",
    email=None,
    app_roles=("Portal.Auditor",),
)


class FewPeople:
    """Accounts of three people."""

    tenant_id = TENANT

    def __init__(self) -> None:
        self.people = {each.object_id: each for each in (ADA, DISABLED, FOREIGN)}

    def find(self, object_id: str) -> Account | None:
        return self.people.get(object_id)

    def featured(self) -> list[Account]:
        return [ADA]

    def search(self, text: str, limit: int) -> list[Account]:
        found = [each for each in self.people.values() if text.lower() in each.name.lower()]
        return found[:limit]


@dataclass(frozen=True)
class RunningEntra:
    """What a test needs to talk to it."""

    provider: Provider
    people: FewPeople
    tls: TlsFiles

    @property
    def ca_bundle(self) -> str:
        return str(self.tls.ca_bundle)

    def back_channel(self) -> httpx.Client:
        """A client of the TLS endpoints that trusts the simulator's CA alone."""
        context = ssl.create_default_context(cafile=self.ca_bundle)
        return httpx.Client(base_url=self.provider.authority, verify=context, timeout=30)

    def browser(self) -> httpx.Client:
        """A browser-like client: it keeps cookies and follows nothing by itself."""
        return httpx.Client(base_url=self.provider.browser_origin, timeout=30, verify=NO_TLS)


@contextmanager
def running_entra(folder: Path) -> Iterator[RunningEntra]:
    """Both listeners on free ports, until the block ends."""
    tls = ensure_server_tls(folder)
    secure, plain = Listener(tls=tls), Listener()
    people = FewPeople()
    provider = Provider(
        tenant_id=TENANT,
        authority=f"https://{secure.address}",
        browser_origin=f"http://{plain.address}",
        keys=SigningKeys(folder / "signing-keys.json"),
        registrations=load_registrations(
            folder, redirect_uris=(CALLBACK, ALLAUTH_CALLBACK), post_logout_redirect_uris=(SIGNED_OUT,)
        ),
        accounts=people,
        workload=Workload(folder),
    )
    secure.use(authority_app(provider))
    plain.use(browser_app(provider))
    secure.start()
    plain.start()
    try:
        yield RunningEntra(provider, people, tls)
    finally:
        secure.stop()
        plain.stop()
