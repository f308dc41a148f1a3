"""Sign-in against the simulated Entra: TLS with its own authority, its account picker, its sign-out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from identity.models import Person, SignIn, User
from identity.signin import entra
from tests.simulator.process import SimulatorProcess, simulator_process

CALLBACK = "http://testserver/accounts/oidc/entra/login/callback/"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    state = tmp_path_factory.mktemp("simulator") / "state"
    with simulator_process(
        state,
        *("--seed", "sample"),
        *("--redirect-uri", CALLBACK),
        *("--post-logout-redirect-uri", "http://testserver/signed-out/"),
    ) as running:
        yield running


class Browser:
    """The portal's test client and a real HTTP session with the simulated Entra."""

    def __init__(self, client: Client, simulator: SimulatorProcess) -> None:
        self.client = client
        self.simulator = simulator
        self.entra = requests.Session()

    def people(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.simulator.control("GET", "/people")
        return found

    def person(self, **facts: Any) -> dict[str, Any]:
        """Somebody of our tenant with these facts."""
        wanted = {"tenant_id": self.simulator.said["tenant_id"], "enabled": True, **facts}
        return next(each for each in self.people() if wanted.items() <= each.items())

    def picker(self) -> str:
        """Press sign in; gives the address of the account picker."""
        address = self.client.post("/signin/start/")["Location"]
        assert address.startswith(self.simulator.said["browser_origin"])
        assert self.entra.get(address).status_code == 200
        return str(address)

    def pick(self, account: str, **form: str) -> Any:
        """Choose an account; gives the portal's answer at the callback, or Entra's page without one."""
        response = self.entra.post(self.picker(), {"account": account, **form}, allow_redirects=False)
        if response.status_code != 302:
            return response
        back = urlsplit(response.headers["Location"])
        assert f"{back.scheme}://{back.netloc}{back.path}" == CALLBACK
        return self.client.get(f"{back.path}?{back.query}")


@pytest.fixture
def visit(
    db: None,
    client: Client,
    simulator: SimulatorProcess,
    settings: Settings,
    as_role: Callable[[str], AbstractContextManager[None]],
) -> Iterator[Browser]:
    said = simulator.said
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.PORTAL_ORIGIN = "http://testserver"
    settings.ENTRA_AUTHORITY = said["authority"]
    settings.ENTRA_BROWSER_ORIGIN = said["browser_origin"]
    settings.ENTRA_TENANT_ID = said["tenant_id"]
    settings.ENTRA_CA_BUNDLE = said["ca_bundle"]
    settings.ENTRA_SIGNIN_CLIENT_ID = said["signin_client_id"]
    settings.ENTRA_SIGNIN_CLIENT_SECRET = said["signin_client_secret"]
    cache.clear()
    entra._tenant.cache_clear()
    with as_role("portal_web"):
        yield Browser(client, simulator)
    entra._tenant.cache_clear()


def test_in_and_out_again(visit: Browser) -> None:
    auditor = visit.person(app_roles=["Auditor"])
    assert visit.pick(auditor["oid"])["Location"] == "/"
    user = User.objects.get()
    assert (user.person.object_id, user.person.display_name) == (auditor["oid"], auditor["name"])
    assert user.is_auditor
    assert SignIn.objects.get().sid

    leaving = visit.client.post("/signout/")["Location"]
    last = visit.entra.get(leaving, allow_redirects=False)
    assert last.status_code == 302, "Entra asked whom to sign out: the hint didn't name the session"
    assert last.headers["Location"].startswith("http://testserver/signed-out/")
    assert not SignIn.objects.exists()
    page = visit.entra.get(visit.client.post("/signin/start/")["Location"], allow_redirects=False)
    assert page.status_code == 200, "Entra's own session still signs people in"


def test_entra_knows_the_browser_the_second_time(visit: Browser) -> None:
    somebody = visit.person(app_roles=[])
    visit.pick(somebody["oid"])
    address = visit.client.post("/signin/start/")["Location"]
    assert visit.entra.get(address, allow_redirects=False).status_code == 302
    other = visit.client.post("/signin/start/", {"other_account": "1"})["Location"]
    assert visit.entra.get(other, allow_redirects=False).status_code == 200


def test_somebody_of_another_tenant_with_tokens_of_that_tenant(visit: Browser) -> None:
    tenant_id = visit.simulator.said["tenant_id"]
    stranger = next(each for each in visit.people() if each["tenant_id"] != tenant_id)
    response = visit.pick(stranger["oid"], tokens="own-tenant")
    assert (response.status_code, response.context["problem"].code) == (403, "wrong_tenant")
    assert not Person.objects.exists()


def test_somebody_who_is_disabled_stays_at_entra(visit: Browser) -> None:
    response = visit.pick(visit.person(enabled=False)["oid"])
    assert re.search("AADSTS50057", response.text)
    assert not Person.objects.exists()


def test_changing_ones_mind(visit: Browser) -> None:
    response = visit.pick("cancel")
    assert (response.status_code, response.context["problem"].code) == (400, "cancelled")


@pytest.mark.parametrize("stays", [True, False])
def test_new_keys_are_met_without_a_restart(
    visit: Browser, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    visit.simulator.control("PATCH", "/switches", {"old_keys_stay_published": stays})
    somebody = visit.person(app_roles=[])
    visit.pick(somebody["oid"])
    visit.client.post("/signout/")
    visit.entra = requests.Session()  # Entra is asked anew whom it may sign in
    visit.simulator.control("POST", "/tokens", {"rotate_keys": True})
    (keys,) = entra.tenant()._keys.values()
    monkeypatch.setattr(keys, "cooldown_duration", 0)
    assert visit.pick(somebody["oid"])["Location"] == "/"
    assert [*entra.tenant()._keys.values()] == [keys], "the same client of the keys' address"
    assert (len(keys.get_signing_keys(refresh=True)) > 1) is stays


def test_an_authority_that_the_system_does_not_trust(visit: Browser, settings: Settings) -> None:
    settings.ENTRA_CA_BUNDLE = ""
    response = visit.client.post("/signin/start/")
    assert (response.status_code, response.context["problem"].code) == (502, "unreachable")


def test_a_wrong_secret_is_the_portals_own_problem(visit: Browser, settings: Settings) -> None:
    settings.ENTRA_SIGNIN_CLIENT_SECRET = "expired"
    response = visit.pick(visit.person(app_roles=[])["oid"])
    assert (response.status_code, response.context["problem"].code) == (502, "misconfigured")
    assert "AADSTS7000215" in response.content.decode()
