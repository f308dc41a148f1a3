"""What every answer carries, probes, and pages for what goes wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from http.cookies import SimpleCookie
from types import ModuleType

import pytest
from django.contrib.auth.decorators import login_not_required
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, include, path
from pytest_django import Settings

from accessportal.views import bad_request
from base.errors import Conflict, Denied, DomainError, Invalid, Missing
from tests.accessportal.test_checks import ROOT

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; form-action 'self' https://login.microsoftonline.com; "
    "base-uri 'none'; frame-ancestors 'none'"
)
REFUSALS: dict[str, DomainError] = {
    "conflict": Conflict("item.moved_on", "Somebody else has decided this request meanwhile."),
    "denied": Denied("item.own", "You can't decide your own request."),
    "invalid": Invalid("item.empty", "Say why <you> need it."),
    "missing": Missing("item.missing", "There is no such request."),
}


@login_not_required
def refusing(request: HttpRequest, kind: str) -> HttpResponse:
    raise REFUSALS[kind]


@login_not_required
def breaking(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a secret detail")


class Pages(ModuleType):
    urlpatterns = (
        path("", include("identity.urls")),
        path("refusing/<kind>/", refusing),
        path("breaking/", breaking),
    )
    handler403 = "accessportal.views.forbidden"
    handler404 = "accessportal.views.not_found"
    handler500 = "accessportal.views.server_error"


@pytest.fixture
def pages(settings: Settings, db: None) -> None:
    settings.ROOT_URLCONF = Pages("tests.pages")


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.PORTAL_ORIGIN = "http://testserver"


# --- Headers


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/signin/", "/signed-out/", "/", "/nothing/", "/healthz"])
def test_headers_of_every_answer(client: Client, address: str) -> None:
    headers = client.get(address).headers
    if address == "/healthz":  # answered before everything else, and to machines only
        assert headers["Content-Type"] == "application/json"
        return
    assert headers["Content-Security-Policy"] == CSP
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Strict-Transport-Security" not in headers  # this origin is http


HTTPS_PROBE = """
import json
import django; django.setup()
from django.conf import settings
from django.test import Client
secure = Client().get("/signed-out/", secure=True)
plain = Client().get("/signed-out/")
names = ("SESSION_COOKIE_", "CSRF_COOKIE_", "SECURE_PROXY")
print(json.dumps({
    "headers": dict(secure.headers), "plain": [plain.status_code, plain["Location"]],
    "cookies": {name: getattr(settings, name) for name in dir(settings) if name.startswith(names)},
}))
"""


def test_https_brings_hsts_and_host_cookies() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HTTPS_PROBE],
        env={
            "DJANGO_SETTINGS_MODULE": "accessportal.settings",
            "PORTAL_PROCESS": "web",
            "PORTAL_MODE": "test",
            "PORTAL_ORIGIN": "https://testserver",
            "SECRET_KEY": "k" * 50,
            "TRUSTED_PROXY_COUNT": "1",
            "ENTRA_BROWSER_ORIGIN": "https://login.example.com",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["headers"]["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
    assert "form-action 'self' https://login.example.com;" in found["headers"]["Content-Security-Policy"]
    assert found["plain"] == [301, "https://testserver/signed-out/"]
    cookies = found["cookies"]
    assert (cookies["SESSION_COOKIE_NAME"], cookies["CSRF_COOKIE_NAME"]) == ("__Host-session", "__Host-csrf")
    for kind in ("SESSION", "CSRF"):
        assert cookies[f"{kind}_COOKIE_SECURE"]
        assert cookies[f"{kind}_COOKIE_HTTPONLY"]
        assert cookies[f"{kind}_COOKIE_SAMESITE"] == "Lax"
        assert (cookies[f"{kind}_COOKIE_DOMAIN"], cookies[f"{kind}_COOKIE_PATH"]) == (None, "/")
    assert cookies["SESSION_COOKIE_AGE"] <= 8 * 3600


@pytest.mark.django_db
def test_cookies_are_closed_to_scripts(client: Client) -> None:
    cookies: SimpleCookie = client.get("/signin/").cookies
    assert set(cookies) == {"csrf"}
    assert cookies["csrf"]["httponly"]
    assert cookies["csrf"]["samesite"] == "Lax"


@pytest.mark.django_db
def test_pages_of_signing_in_are_not_kept_by_caches(client: Client) -> None:
    for address in ("/signin/", "/accounts/oidc/entra/login/callback/", "/signed-out/"):
        assert "no-store" in client.get(address)["Cache-Control"]


# --- Probes


def test_alive_without_a_database(client: Client, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = []
    settings.SECURE_SSL_REDIRECT = True
    response = client.get("/healthz", headers={"Host": "10.0.0.7:8000"})
    assert (response.status_code, response.json()) == (200, {"status": "alive"})
    assert response["Cache-Control"] == "no-store"


@pytest.mark.django_db
def test_ready_with_a_database(
    client: Client, as_role: Callable[[str], AbstractContextManager[None]]
) -> None:
    with as_role("portal_web"):
        response = client.get("/readyz", headers={"Host": "10.0.0.7:8000"})
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


def test_not_ready_without_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("host=db.internal password=x")

    monkeypatch.setattr(connection, "cursor", gone)
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (503, {"status": "no database"})


@pytest.mark.django_db
def test_probes_are_read_only(client: Client) -> None:
    assert client.post("/healthz").status_code == 404


# --- Refusals and errors


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize(("kind", "status"), [("conflict", 409), ("denied", 403), ("invalid", 422)])
def test_a_refusal_is_a_page_with_its_status_and_sentence(client: Client, kind: str, status: int) -> None:
    response = client.get(f"/refusing/{kind}/")
    page = response.content.decode()
    assert response.status_code == status
    assert REFUSALS[kind].sentence.replace("'", "&#x27;").replace("<you>", "&lt;you&gt;") in page
    assert page.startswith("<!doctype html>")
    part = client.get(f"/refusing/{kind}/", headers={"HX-Request": "true"})
    assert part.status_code == status
    assert part.content.decode().strip().startswith("<div")
    assert "HX-Request" in part["Vary"]


@pytest.mark.usefixtures("pages")
def test_absent_and_forbidden_are_one_page(client: Client) -> None:
    missing, absent = client.get("/refusing/missing/"), client.get("/no-such-page/")
    assert (missing.status_code, missing.content) == (404, absent.content)
    assert b"no such request" not in missing.content


@pytest.mark.usefixtures("pages")
def test_a_broken_page_tells_no_detail(client: Client) -> None:
    client.raise_request_exception = False
    response = client.get("/breaking/")
    assert response.status_code == 500
    assert b"secret detail" not in response.content
    assert b"Something broke" in response.content


@pytest.mark.django_db
def test_a_form_without_its_token() -> None:
    response = Client(enforce_csrf_checks=True).post("/signout/")
    assert response.status_code == 403
    assert b"This form is too old" in response.content


# --- Logs


@pytest.mark.django_db
def test_no_query_reaches_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        client.get("/accounts/oidc/entra/login/callback/?code=the-code&state=the-state")
    lines = [record.getMessage() for record in caplog.records if "django_structlog" in record.name]
    assert any("/accounts/oidc/entra/login/callback/" in line for line in lines)
    assert not [line for line in caplog.messages if "the-code" in line]


# --- Every address


def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, route)
        else:
            example = re.sub(r"<(?:uuid:)[^>]+>", "00000000-0000-4000-8000-000000000001", route)
            yield "/" + re.sub(r"<[^>]+>", "1", example), pattern


OPEN = {
    "/signin/",
    "/signin/start/",
    "/accounts/oidc/entra/login/callback/",
    "/signin/front-channel-logout",
    "/signout/",
    "/signed-out/",
    "/metrics",  # a token of its own, see tests/oversight
    *(f"/demo/mail/{rest}" for rest in ("", "1/", "1/html/")),  # in the demo only, see tests/notifications
}


@pytest.mark.django_db
def test_every_other_address_needs_a_sign_in(client: Client) -> None:
    seen = set()
    for address, pattern in addresses(get_resolver()):
        seen.add(address)
        if address in OPEN:
            assert not getattr(pattern.callback, "login_required", True), address
            continue
        response = client.get(address)
        if address.startswith("/api/"):  # for programs: a token of its own, see tests/audit/api
            assert response.status_code == 401, address
            continue
        assert response.status_code == 302, address
        assert response["Location"].startswith("/signin/?next="), address
        assert client.post(address)["Location"].startswith("/signin/"), address
    assert seen > OPEN


def test_a_session_that_could_not_be_kept_is_no_bad_request() -> None:
    """The page has done its work by then: nobody is told that nothing was understood."""
    answer = bad_request(RequestFactory().post("/"), SessionInterrupted("gone"))
    assert answer.status_code == 500
    assert b"may or may not have been stored" in answer.content
