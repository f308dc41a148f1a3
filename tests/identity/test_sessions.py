"""How sessions go on and end: by hand, in Entra, by idleness, by age, and when somebody is switched off."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import ModuleType
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from pytest_django import Settings

from audit.ledger.models import Event
from base import clock
from identity.events import LOGIN
from identity.http import PortalRequest, auditor_required, not_activity, operator_required
from identity.models import Person, SignIn, User
from identity.signin.sessions import clear_expired
from tests.identity.conftest import Visitor
from tests.identity.issuer import TENANT_ID
from tests.support.by_hand import known

NORA = str(uuid.UUID(int=7))
Stepping = Callable[[str], AbstractContextManager[None]]


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


@not_activity
def poll(request: PortalRequest) -> HttpResponse:
    return HttpResponse("a part")


@auditor_required
def audit(request: PortalRequest) -> HttpResponse:
    return HttpResponse("audit")


@operator_required
def operate(request: PortalRequest, number: int) -> HttpResponse:
    return HttpResponse(f"operate {number}")


class Pages(ModuleType):
    """A URLconf with pages of the tests beside those of identity."""

    urlpatterns = (
        path("", include("identity.urls")),
        path("page/", page),
        path("poll/", poll),
        path("audit/", audit),
        path("operate/<int:number>/", operate),
    )
    handler404 = "accessportal.views.not_found"


@pytest.fixture(autouse=True)
def pages(settings: Settings) -> None:
    settings.ROOT_URLCONF = Pages("tests.pages")


class SteppedClock:
    """Real time that a test moves by hand."""

    def __init__(self) -> None:
        self.now = clock.real_now()

    def __call__(self) -> datetime:
        return self.now

    def step(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def real_clock() -> Iterator[SteppedClock]:
    stepped = SteppedClock()
    clock.replace_real_clock(stepped)
    yield stepped
    clock.replace_real_clock(None)


def reasons() -> list[str]:
    events = Event.objects.filter(type="signin.ended").order_by("id")
    return [event.data["fields"]["reason"] for event in events]


# --- Idle, old, switched off


def test_an_idle_session_ends_and_the_page_says_why(visitor: Visitor, real_clock: SteppedClock) -> None:
    visitor.sign_in()
    real_clock.step(hours=2, seconds=1)
    response = visitor.client.get("/page/?tab=2")
    assert response.status_code == 302
    assert parse_qs(urlsplit(response["Location"]).query) == {"next": ["/page/?tab=2"], "ended": ["idle"]}
    shown = visitor.client.get(response["Location"])
    assert b"signed out because" in shown.content
    assert shown.context["next"] == "/page/?tab=2"
    assert reasons() == ["idle for too long"]
    assert not SignIn.objects.exists()
    assert not Session.objects.exists()


def test_use_keeps_a_session_alive_but_polling_does_not(visitor: Visitor, real_clock: SteppedClock) -> None:
    visitor.sign_in()
    real_clock.step(hours=1, minutes=59)
    assert visitor.client.get("/page/").status_code == 200
    real_clock.step(hours=1, minutes=59)
    assert visitor.client.get("/poll/").status_code == 200
    real_clock.step(minutes=2)
    assert visitor.client.get("/poll/").status_code == 302
    assert reasons() == ["idle for too long"]


def test_being_seen_is_written_once_a_minute(
    visitor: Visitor,
    real_clock: SteppedClock,
    django_assert_num_queries: Callable[..., AbstractContextManager[None]],
) -> None:
    visitor.sign_in()
    began = SignIn.objects.get().seen_at
    real_clock.step(seconds=59)
    with django_assert_num_queries(3):  # session, user with person, sign-in
        visitor.client.get("/page/")
    assert SignIn.objects.get().seen_at == began
    real_clock.step(seconds=1)
    with django_assert_num_queries(4):
        visitor.client.get("/page/")
    assert SignIn.objects.get().seen_at == real_clock.now


def test_no_session_outlives_a_working_day(visitor: Visitor, real_clock: SteppedClock) -> None:
    visitor.sign_in()
    for _ in range(8):
        assert visitor.client.get("/page/").status_code == 200
        real_clock.step(hours=1)
    real_clock.step(seconds=1)
    assert "ended=age" in visitor.client.get("/page/")["Location"]
    assert reasons() == ["open for too long"]


@pytest.mark.parametrize("what", ["person", "user"])
def test_switching_somebody_off_ends_the_session(visitor: Visitor, as_role: Stepping, what: str) -> None:
    visitor.sign_in()
    assert visitor.client.get("/page/").status_code == 200
    with as_role("portal_worker"):
        if what == "person":
            Person.objects.update(enabled=False)
        else:
            User.objects.update(is_active=False)
            known(LOGIN, User.objects.all())
    with as_role("portal_web"):
        assert "ended=disabled" in visitor.client.get("/page/")["Location"]
        assert visitor.client.get("/page/")["Location"] == "/signin/?next=/page/"
        assert reasons() == ["account disabled"]
        (event,) = Event.objects.filter(type="signin.ended")
        assert (event.actor_kind, event.about_oid) == ("anonymous", NORA)


def test_a_session_without_its_row_is_over(visitor: Visitor) -> None:
    visitor.sign_in()
    SignIn.objects.all().delete()
    assert "ended=elsewhere" in visitor.client.get("/page/")["Location"]


def test_a_post_into_an_ended_session_says_that_nothing_was_stored(
    visitor: Visitor, real_clock: SteppedClock
) -> None:
    visitor.sign_in()
    real_clock.step(hours=3)
    response = visitor.client.post("/page/", {"justification": "words"})
    assert parse_qs(urlsplit(response["Location"]).query) == {"ended": ["idle"], "unsent": ["1"]}
    assert b"was not stored" in visitor.client.get(response["Location"]).content


def test_a_post_of_nobody_says_so_and_leads_to_no_address_that_only_takes_posts(visitor: Visitor) -> None:
    assert visitor.client.post("/page/")["Location"] == "/signin/?unsent=1"
    assert b"was not stored" in visitor.client.get("/signin/?unsent=1").content


def test_htmx_is_sent_to_the_sign_in_page_as_a_whole(visitor: Visitor, real_clock: SteppedClock) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://127.0.0.1:8000/requests/7/?tab=2"}
    response = visitor.client.get("/poll/", headers=headers)
    assert response.status_code == 401
    assert parse_qs(urlsplit(response["HX-Redirect"]).query) == {"next": ["/requests/7/?tab=2"]}
    visitor.sign_in()
    real_clock.step(hours=3)
    response = visitor.client.get("/poll/", headers=headers)
    assert parse_qs(urlsplit(response["HX-Redirect"]).query)["ended"] == ["idle"]


def test_htmx_that_names_no_address_is_sent_to_the_sign_in_page_too(visitor: Visitor) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://["}
    response = visitor.client.get("/poll/", headers=headers)
    assert (response.status_code, response["HX-Redirect"]) == (401, "/signin/?next=")


def test_an_idle_person_may_sign_in_again_at_once(visitor: Visitor, real_clock: SteppedClock) -> None:
    visitor.sign_in()
    real_clock.step(hours=3)
    assert visitor.client.get("/signin/").status_code == 200
    assert visitor.sign_in(following="/page/")["Location"] == "/page/"
    assert visitor.client.get("/page/").status_code == 200


def test_a_copied_cookie_is_of_no_use_after_signing_out(visitor: Visitor) -> None:
    visitor.sign_in()
    copied = Client()
    copied.cookies["session"] = visitor.client.cookies["session"].value
    assert copied.get("/page/").status_code == 200
    visitor.client.post("/signout/")
    assert copied.get("/page/").status_code == 302


# --- Signing out


def test_signing_out_goes_on_to_entra(visitor: Visitor) -> None:
    visitor.sign_in(login_hint="opaque hint&x")
    response = visitor.client.post("/signout/")
    address = urlsplit(response["Location"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == (
        f"{visitor.issuer.origin}/{TENANT_ID}/oauth2/v2.0/logout"
    )
    assert parse_qs(address.query) == {
        "post_logout_redirect_uri": ["http://testserver/signed-out/"],
        "logout_hint": ["opaque hint&x"],
    }
    assert not Session.objects.exists()
    assert not SignIn.objects.exists()
    assert visitor.client.get("/page/").status_code == 302
    (event,) = Event.objects.filter(type="signin.ended")
    assert (event.actor_oid, event.data["fields"]["reason"]) == (NORA, "signed out")
    assert visitor.client.get("/signed-out/").status_code == 200


def test_signing_out_works_while_entra_is_gone(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.issuer.stop()
    assert "/logout?" in visitor.client.post("/signout/")["Location"]
    assert not SignIn.objects.exists()


def test_signing_out_when_nobody_is_in(visitor: Visitor) -> None:
    assert visitor.client.post("/signout/")["Location"] == "/signed-out/"
    assert reasons() == []


def test_signing_out_by_get_does_nothing(visitor: Visitor) -> None:
    visitor.sign_in()
    assert visitor.client.get("/signout/").status_code == 405
    assert visitor.client.get("/page/").status_code == 200


def test_entra_ends_a_session_by_its_sid(visitor: Visitor) -> None:
    visitor.sign_in(sid="s-1")
    other = Visitor(client=Client(), issuer=visitor.issuer)
    other.sign_in(sid="s-2", oid=str(uuid.UUID(int=8)))
    stranger = Client()  # Entra's frame comes without our cookie
    response = stranger.get("/signin/front-channel-logout", {"sid": "s-1", "iss": visitor.issuer.issuer})
    assert (response.status_code, response.content) == (200, b"")
    assert visitor.client.get("/page/").status_code == 302
    assert other.client.get("/page/").status_code == 200
    assert reasons() == ["signed out in Entra"]


@pytest.mark.parametrize(
    "query",
    [
        {"sid": "s-1", "iss": "https://evil.example/v2.0"},
        {"sid": "s-1"},
        {"sid": ""},
        {"sid": "s-9"},
        {"sid": "s" * 65},
        {},
    ],
)
def test_a_front_channel_sign_out_that_is_not_entras_ends_nothing(
    visitor: Visitor, query: dict[str, str]
) -> None:
    visitor.sign_in(sid="s-1")
    other = Visitor(client=Client(), issuer=visitor.issuer)
    other.sign_in(oid=str(uuid.UUID(int=8)))  # has no sid at all
    query = {"iss": visitor.issuer.issuer, **query} if query.get("sid") != "s-1" else query
    assert Client().get("/signin/front-channel-logout", query).status_code == 200
    assert visitor.client.get("/page/").status_code == other.client.get("/page/").status_code == 200


@pytest.mark.parametrize("sid", ["s-1\0", "s-1\x1b", "s" * 65])
def test_what_can_be_no_sid_is_not_looked_up(visitor: Visitor, settings: Settings, sid: str) -> None:
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("PlainTextMiddleware")]
    query = {"sid": sid, "iss": visitor.issuer.issuer}
    with CaptureQueriesContext(connection) as asked:
        assert visitor.client.get("/signin/front-channel-logout", query).status_code == 200
    assert not [each for each in asked if "identity_signin" in each["sql"]]


def test_entra_may_frame_its_front_channel_sign_out_only(visitor: Visitor, settings: Settings) -> None:
    response = visitor.client.get("/signin/front-channel-logout")
    assert "X-Frame-Options" not in response
    assert response["Content-Security-Policy"].startswith("default-src 'none'; frame-ancestors http")
    assert visitor.client.get("/signin/")["X-Frame-Options"] == "DENY"


def test_the_worker_clears_what_is_left_over(
    visitor: Visitor, real_clock: SteppedClock, as_role: Stepping
) -> None:
    visitor.sign_in()
    with as_role("portal_worker"):
        assert clear_expired() == 0
        real_clock.step(hours=9)
        assert clear_expired() == 1
        assert not SignIn.objects.exists()


# --- Who may open what


def test_pages_for_auditors_and_operators_are_not_there_for_others(visitor: Visitor) -> None:
    for roles, audit_status, operate_status in [
        ([], 404, 404),
        (["Auditor"], 200, 404),
        (["Operator"], 404, 200),
    ]:
        visitor.sign_in(roles=roles)
        assert visitor.client.get("/audit/").status_code == audit_status
        assert visitor.client.get("/operate/5/").status_code == operate_status
        visitor.client.post("/signout/")
    assert visitor.client.get("/audit/").status_code == 302


def test_forbidden_and_absent_look_alike(visitor: Visitor) -> None:
    visitor.sign_in()
    forbidden, absent = visitor.client.get("/audit/"), visitor.client.get("/nothing/")
    assert forbidden.content == absent.content
