"""Signing in: the whole way over HTTP to an issuer, and every way in which it must not work."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from pytest_django import Settings

from audit.ledger.models import Event
from base.clock import business_now, real_now
from identity.events import LOGIN
from identity.models import Person, SignIn, User, UserManager
from identity.signin import entra
from identity.signin.welcome import welcome
from tests.identity.conftest import Visitor
from tests.identity.issuer import CLIENT_ID, SECRET, TENANT_ID, challenge
from tests.support.by_hand import known
from tests.support.servers import as_role

NORA = str(uuid.UUID(int=7))


def events(name: str) -> list[Event]:
    return list(Event.objects.filter(type=name).order_by("id"))


def assert_refused(response: Any, *, code: str, status: int) -> Event:
    """The page of that problem, nobody signed in, and exactly one event; gives it."""
    assert (response.status_code, response.context["problem"].code) == (status, code)
    problem = response.context["problem"]
    page = response.content.decode()
    assert problem.sentence in page.replace("&#x27;", "'")
    assert problem.advice in page.replace("&#x27;", "'")
    assert "_auth_user_id" not in response.client.session
    assert not SignIn.objects.exists()
    assert not events("signin.succeeded")
    (event,) = events("signin.refused")
    assert event.data["fields"]["code"] == code
    assert f"Reference {event.id}" in page
    return event


# --- The way in


def test_a_person_signs_in(visitor: Visitor) -> None:
    response = visitor.sign_in(roles=["Auditor"], sid="entra-session")
    assert (response.status_code, response["Location"]) == (302, "/")
    user = User.objects.get()
    assert visitor.client.session["_auth_user_id"] == str(user.pk)
    person = user.person
    assert (person.tenant_id, person.object_id) == (TENANT_ID, NORA)
    assert (person.display_name, person.user_principal_name) == ("Nora Lind", "nora.lind@example.com")
    assert person.mail == ""  # the directory's to say
    assert user.is_auditor
    assert not user.is_operator
    assert not user.has_usable_password()
    (event,) = events("signin.succeeded")
    assert (event.actor_kind, event.actor_oid, event.ip) == ("person", NORA, "127.0.0.1")
    assert event.data["fields"] == {"app_roles": ["Auditor"], "first_time": True}
    sign_in = SignIn.objects.get()
    assert (sign_in.user, sign_in.sid) == (user, "entra-session")
    assert sign_in.session_key == visitor.client.session.session_key


def test_what_goes_to_entra(visitor: Visitor) -> None:
    sent = visitor.start()
    assert sent["client_id"] == CLIENT_ID
    assert sent["redirect_uri"] == "http://testserver/accounts/oidc/entra/login/callback/"
    assert set(sent["scope"].split()) == {"openid", "profile"}
    assert (sent["response_type"], sent["code_challenge_method"]) == ("code", "S256")
    assert len(sent["nonce"]) >= 43
    assert len(sent["state"]) >= 16
    assert "prompt" not in sent
    again = visitor.start(other_account="1")
    assert again["prompt"] == "select_account"
    for name in ("state", "nonce", "code_challenge"):
        assert sent[name] != again[name]


def test_the_code_is_traded_with_the_verifier_of_this_sign_in(visitor: Visitor) -> None:
    sent = visitor.start()
    token = visitor.issuer.sign(visitor.issuer.claims(nonce=sent["nonce"]))
    visitor.come_back(state=sent["state"], token=token)
    (form,) = visitor.issuer.redeemed
    assert challenge(form["code_verifier"]) == sent["code_challenge"]
    assert (form["client_id"], form["client_secret"], form["code"]) == (CLIENT_ID, SECRET, "the-code")
    assert form["redirect_uri"] == sent["redirect_uri"]


def test_parameters_of_the_address_bar_do_not_reach_entra(visitor: Visitor) -> None:
    response = visitor.client.post("/signin/start/?scope=Directory.ReadWrite.All&auth_params=prompt%3Dnone")
    query = parse_qs(urlsplit(response["Location"]).query)
    assert set(query["scope"][0].split()) == {"openid", "profile"}
    assert "prompt" not in query


def test_no_token_is_kept_anywhere(visitor: Visitor) -> None:
    visitor.sign_in(login_hint="opaque-hint")
    assert SocialAccount.objects.get().extra_data == {}
    session = dict(visitor.client.session.items())
    assert "ey" not in "".join(str(value)[:2] for value in session.values())
    assert session["entra"] == {
        "end_session": f"{visitor.issuer.origin}/{TENANT_ID}/oauth2/v2.0/logout",
        "login_hint": "opaque-hint",
    }


def test_the_session_key_changes_at_sign_in(visitor: Visitor) -> None:
    sent = visitor.start()
    before = visitor.client.session.session_key
    token = visitor.issuer.sign(visitor.issuer.claims(nonce=sent["nonce"]))
    visitor.come_back(state=sent["state"], token=token)
    assert visitor.client.session.session_key != before
    assert not Session.objects.filter(session_key=before).exists()


def test_signing_in_again_is_the_same_person_with_new_names(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.client.post("/signout/")
    visitor.sign_in(name="Nora Berg", preferred_username=None)
    person = Person.objects.get()
    assert (person.display_name, person.user_principal_name) == ("Nora Berg", "nora.lind@example.com")
    assert User.objects.count() == SocialAccount.objects.count() == 1
    assert [event.data["fields"]["first_time"] for event in events("signin.succeeded")] == [True, False]


def test_somebody_whom_the_sync_met_first_gets_that_person(visitor: Visitor) -> None:
    known = Person.objects.create(
        tenant_id=TENANT_ID, object_id=NORA, display_name="Lind, Nora", synced_at=business_now()
    )
    visitor.sign_in()
    assert User.objects.get().person == known
    assert User.objects.filter(last_login__gte=real_now() - timedelta(minutes=5)).exists(), (
        "tokens ask for it"
    )


def test_app_roles_follow_each_sign_in(visitor: Visitor) -> None:
    for given, kept in [
        (["Auditor", "Operator"], ["Auditor", "Operator"]),
        (["Operator", "Somebody.Else", 5], ["Operator"]),
        (None, []),
        ("Auditor", []),
    ]:
        visitor.sign_in(roles=given)
        assert User.objects.get().app_roles == kept
        visitor.client.post("/signout/")
    # One event for each that changed something, by whoever signed in.
    told = events("signin.roles_changed")
    assert [(each.data["fields"].get("before"), each.data["fields"]["roles"]) for each in told] == [
        (None, "Auditor, Operator"),
        ("Auditor, Operator", "Operator"),
        ("Operator", "none"),
    ]
    assert {(each.actor_oid, each.about_oid, each.ip) for each in told} == {(NORA, NORA, "127.0.0.1")}


@pytest.mark.parametrize("shared", ["email", "preferred_username"])
def test_an_address_never_makes_two_people_one(visitor: Visitor, shared: str) -> None:
    visitor.sign_in()
    first = User.objects.get()
    visitor.client.post("/signout/")
    other = str(uuid.UUID(int=8))
    own = {"email": "x@example.com", "preferred_username": "x@example.com"}
    own.pop(shared)
    visitor.sign_in(oid=other, sub="another", **own)
    assert User.objects.count() == 2
    assert visitor.client.session["_auth_user_id"] != str(first.pk)
    assert set(Person.objects.values_list("object_id", flat=True)) == {NORA, other}


def test_the_subject_of_the_application_is_not_the_identity(visitor: Visitor) -> None:
    visitor.sign_in(sub="one")
    visitor.client.post("/signout/")
    visitor.sign_in(sub="two")
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("following", "target"),
    [
        ("/requests/", "/requests/"),
        ("/access/?q=prod", "/access/?q=prod"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("evil", "/"),
        ("http:///evil.example", "/"),
        ("/signout/", "/"),
        ("/signin/?next=/signin/", "/"),
        ("/\tevil", "/"),
    ],
)
def test_after_sign_in_only_own_paths_are_next(visitor: Visitor, following: str, target: str) -> None:
    assert visitor.sign_in(following=following)["Location"] == target
    page = visitor.client.get("/signin/", {"next": following})
    assert (page.status_code, page["Location"]) == (302, target)


def test_next_on_the_page_is_cleaned_too(visitor: Visitor) -> None:
    page = visitor.client.get("/signin/", {"next": "//evil.example/"})
    assert b"evil" not in page.content


# --- What must not pass


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"tid": str(uuid.UUID(int=9))}, "wrong_tenant", 403),
        ({"tid": str(uuid.UUID(int=9)), "iss": "https://login.example/other/v2.0"}, "wrong_tenant", 403),
        ({"tid": "consumers"}, "wrong_tenant", 403),
        ({"tid": None}, "token_invalid", 400),
        ({"iss": "https://login.example/x/v2.0"}, "token_invalid", 400),
        ({"iss": None}, "token_invalid", 400),
        ({"aud": str(uuid.UUID(int=9))}, "token_invalid", 400),
        ({"aud": [CLIENT_ID, "another"]}, "token_invalid", 400),
        ({"aud": None}, "token_invalid", 400),
        ({"nonce": "of-another-sign-in"}, "token_invalid", 400),
        ({"nonce": ""}, "token_invalid", 400),
        ({"nonce": None}, "token_invalid", 400),
        ({"exp": int(time.time()) - 120}, "token_invalid", 400),
        ({"exp": None}, "token_invalid", 400),
        ({"nbf": int(time.time()) + 600}, "token_invalid", 400),
        ({"iat": None}, "token_invalid", 400),
        ({"oid": None}, "no_object_id", 502),
        ({"oid": "nora.lind@example.com"}, "no_object_id", 502),
        ({"oid": f"{NORA}\n"}, "no_object_id", 502),
    ],
)
def test_a_token_that_is_not_ours(visitor: Visitor, changes: dict[str, Any], code: str, status: int) -> None:
    assert_refused(visitor.sign_in(**changes), code=code, status=status)
    assert not User.objects.exists()
    assert not Person.objects.exists()


def test_the_issuer_is_compared_to_the_letter(visitor: Visitor) -> None:
    response = visitor.sign_in(iss=visitor.issuer.issuer + "/")
    assert_refused(response, code="token_invalid", status=400)


def test_a_minute_of_leeway_and_no_more(visitor: Visitor) -> None:
    now = int(time.time())
    assert visitor.sign_in(exp=now - 30, nbf=now + 30)["Location"] == "/"


def test_somebody_of_another_tenant_is_named_in_the_ledger(visitor: Visitor) -> None:
    foreign = str(uuid.UUID(int=9))
    event = assert_refused(visitor.sign_in(tid=foreign), code="wrong_tenant", status=403)
    assert event.data["fields"]["tenant"] == foreign
    assert event.data["fields"]["person"] == event.about_oid == NORA


def forged(visitor: Visitor, nonce: str, kind: str) -> str:
    claims = visitor.issuer.claims(nonce=nonce)
    if kind == "none":
        return jwt.encode(claims, "", algorithm="none", headers={"kid": "key-1"})
    if kind == "hmac":
        return jwt.encode(claims, "x" * 64, algorithm="HS256", headers={"kid": "key-1"})
    if kind == "other key":
        return visitor.issuer.sign(claims, key=2)
    if kind == "unknown kid":
        return visitor.issuer.sign(claims, kid="key-9", key=2)
    if kind == "no kid":
        return jwt.encode(claims, "x" * 64, algorithm="HS256")
    if kind == "changed":
        head, body, signature = visitor.issuer.sign(claims).split(".")
        other = visitor.issuer.sign(visitor.issuer.claims(nonce=nonce, roles=["Operator"])).split(".")[1]
        assert other != body
        return f"{head}.{other}.{signature}"
    return "not.a.token"


@pytest.mark.parametrize("kind", ["none", "hmac", "other key", "unknown kid", "no kid", "changed", "garbage"])
def test_a_signature_that_is_not_entras(visitor: Visitor, kind: str) -> None:
    sent = visitor.start()
    response = visitor.come_back(state=sent["state"], token=forged(visitor, sent["nonce"], kind))
    assert_refused(response, code="token_invalid", status=400)


def test_a_new_key_is_fetched_when_first_met(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor.sign_in()
    visitor.client.post("/signout/")
    fetched = sum("/keys" in path for path in visitor.issuer.asked)
    clock = time.monotonic
    monkeypatch.setattr("time.monotonic", lambda: clock() + 6)  # past the pause between two fetches
    visitor.issuer.published = {"key-2": 2}
    sent = visitor.start()
    token = visitor.issuer.sign(visitor.issuer.claims(nonce=sent["nonce"]), kid="key-2", key=2)
    assert visitor.come_back(state=sent["state"], token=token)["Location"] == "/"
    assert sum("/keys" in path for path in visitor.issuer.asked) == fetched + 1


def test_the_configuration_and_the_keys_are_fetched_once(visitor: Visitor) -> None:
    for _ in range(3):
        visitor.sign_in()
        visitor.client.post("/signout/")
    assert len(visitor.issuer.asked) == 2


# --- The callback


def test_a_callback_nobody_asked_for(visitor: Visitor) -> None:
    response = visitor.come_back(state="invented", token="never-read")
    assert_refused(response, code="callback_broken", status=400)
    assert not visitor.issuer.redeemed


def test_a_callback_without_anything(visitor: Visitor) -> None:
    assert_refused(
        visitor.client.get("/accounts/oidc/entra/login/callback/"), code="callback_broken", status=400
    )


def test_a_callback_works_once(visitor: Visitor) -> None:
    sent = visitor.start()
    token = visitor.issuer.sign(visitor.issuer.claims(nonce=sent["nonce"]))
    visitor.come_back(state=sent["state"], token=token)
    visitor.client.post("/signout/")
    response = visitor.come_back(state=sent["state"], token=token)
    assert response.context["problem"].code == "callback_broken"
    assert len(visitor.issuer.redeemed) == 1
    assert not SignIn.objects.exists()


def test_a_state_is_of_one_browser(visitor: Visitor) -> None:
    sent = visitor.start()
    token = visitor.issuer.sign(visitor.issuer.claims(nonce=sent["nonce"]))
    victim = Visitor(client=Client(), issuer=visitor.issuer)
    assert_refused(victim.come_back(state=sent["state"], token=token), code="callback_broken", status=400)


def test_a_nonce_is_of_one_sign_in(visitor: Visitor) -> None:
    first, second = visitor.start(), visitor.start()
    token = visitor.issuer.sign(visitor.issuer.claims(nonce=first["nonce"]))
    assert_refused(visitor.come_back(state=second["state"], token=token), code="token_invalid", status=400)


def test_a_state_is_forgotten_after_ten_minutes(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = visitor.start()
    clock = time.time
    monkeypatch.setattr("time.time", lambda: clock() + 601)
    response = visitor.come_back(state=sent["state"], token="never-read")
    assert_refused(response, code="callback_broken", status=400)


@pytest.mark.parametrize(
    ("error", "description", "code", "status"),
    [
        ("access_denied", "AADSTS65004: User declined to consent.", "cancelled", 400),
        ("access_denied", "", "cancelled", 400),
        ("access_denied", "AADSTS50057: The user account is disabled.", "disabled", 403),
        ("access_denied", "AADSTS50020: User account from identity provider …", "wrong_tenant", 403),
        ("access_denied", "AADSTS50105: The signed in user is not assigned.", "not_assigned", 403),
        ("access_denied", "AADSTS53003: Blocked by Conditional Access.", "policy", 403),
        ("consent_required", "AADSTS65001: has not consented", "consent", 403),
        ("server_error", "AADSTS90033: A transient error has occurred.", "unreachable", 502),
        ("invalid_request", "AADSTS9002331: something else", "reported", 400),
        ("<script>", "<script>alert(1)</script>", "reported", 400),
    ],
)
def test_entra_says_no_at_the_callback(
    visitor: Visitor, error: str, description: str, code: str, status: int
) -> None:
    sent = visitor.start()
    response = visitor.client.get(
        "/accounts/oidc/entra/login/callback/",
        {"error": error, "error_description": description, "state": sent["state"]},
    )
    event = assert_refused(response, code=code, status=status)
    assert b"<script>alert" not in response.content
    assert "script" not in event.canon


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        ((400, {"error": "invalid_grant", "error_description": "AADSTS50057: disabled"}), "disabled", 403),
        (
            (400, {"error": "invalid_grant", "error_description": "AADSTS54005: redeemed"}),
            "callback_broken",
            400,
        ),
        (
            (401, {"error": "invalid_client", "error_description": "AADSTS7000222: expired"}),
            "misconfigured",
            502,
        ),
        ((503, {"error": "temporarily_unavailable"}), "unreachable", 502),
        ((200, {"access_token": "but no id token"}), "token_invalid", 400),
        ((200, {"id_token": {"not": "text"}}), "token_invalid", 400),
        ((302, {}), "reported", 400),
    ],
)
def test_entra_says_no_when_the_code_is_traded(
    visitor: Visitor, answer: tuple[int, dict[str, Any]], code: str, status: int
) -> None:
    sent = visitor.start()
    visitor.issuer.answer = answer
    response = visitor.client.get(
        "/accounts/oidc/entra/login/callback/", {"code": "secret-code", "state": sent["state"]}
    )
    event = assert_refused(response, code=code, status=status)
    assert "secret-code" not in event.canon


def test_entra_gone_when_the_code_is_traded(visitor: Visitor) -> None:
    sent = visitor.start()
    visitor.issuer.stop()
    response = visitor.client.get(
        "/accounts/oidc/entra/login/callback/", {"code": "c", "state": sent["state"]}
    )
    assert_refused(response, code="unreachable", status=502)


def test_entra_gone_before_it_starts(visitor: Visitor) -> None:
    visitor.issuer.stop()
    assert_refused(visitor.client.post("/signin/start/"), code="unreachable", status=502)


@pytest.mark.parametrize(
    "overrides",
    [
        {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
        {"authorization_endpoint": "https://evil.example/authorize"},
        {"token_endpoint": "https://evil.example/token"},
        {"jwks_uri": "https://evil.example/keys"},
        {"end_session_endpoint": ""},
    ],
)
def test_a_configuration_of_somewhere_else(visitor: Visitor, overrides: dict[str, str]) -> None:
    visitor.issuer.overrides = overrides
    assert_refused(visitor.client.post("/signin/start/"), code="misconfigured", status=502)


# --- People who may not


def test_somebody_whom_the_directory_switched_off(visitor: Visitor) -> None:
    Person.objects.create(tenant_id=TENANT_ID, object_id=NORA, display_name="Nora", enabled=False)
    event = assert_refused(visitor.sign_in(), code="disabled", status=403)
    assert event.about_oid == NORA
    assert not User.objects.exists()


def test_somebody_whom_the_portal_switched_off(visitor: Visitor, as_role: Any) -> None:
    visitor.sign_in()
    visitor.client.post("/signout/")
    with as_role("portal_worker"):
        User.objects.update(is_active=False)
        known(LOGIN, User.objects.all())
    with as_role("portal_web"):  # as_role doesn't nest
        response = visitor.sign_in()
    assert (response.status_code, response.context["problem"].code) == (403, "disabled")
    assert "_auth_user_id" not in visitor.client.session


def test_first_sign_ins_at_once_make_one_user(committed_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = entra.Claims(
        tenant_id=TENANT_ID,
        object_id=NORA,
        name="Nora Lind",
        user_principal_name="nora.lind@example.com",
        app_roles=(),
        sid="",
        login_hint="",
        contexts=frozenset(),
    )
    # The sync was first and says the same, so that nothing else makes one wait for the other.
    said = {"display_name": claims.name, "user_principal_name": claims.user_principal_name}
    Person.objects.create(tenant_id=TENANT_ID, object_id=NORA, **said)
    together, about_to_create = threading.Barrier(2), threading.Barrier(2)
    users: list[int] = []
    create_user = UserManager.create_user

    def wait_for_the_other(manager: UserManager, **facts: Any) -> User:
        with suppress(threading.BrokenBarrierError):  # the other one waits for the lock instead
            about_to_create.wait(timeout=0.5)
        return create_user(manager, **facts)

    monkeypatch.setattr(UserManager, "create_user", wait_for_the_other)

    def sign_in() -> None:
        try:
            with as_role("portal_web"):
                together.wait(timeout=60)
                users.append(welcome(claims)[0].pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=sign_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(users) == 2
    assert len(set(users)) == 1


def test_a_row_of_allauth_decides_nothing(visitor: Visitor) -> None:
    visitor.sign_in()
    visitor.client.post("/signout/")
    visitor.sign_in(oid=str(uuid.UUID(int=8)))
    visitor.client.post("/signout/")
    mine, other = User.objects.get(person__object_id=NORA), User.objects.exclude(person__object_id=NORA).get()
    SocialAccount.objects.filter(user=mine).update(user=other)
    visitor.sign_in()
    assert visitor.client.session["_auth_user_id"] == str(mine.pk)
    assert SocialAccount.objects.get(uid=f"{TENANT_ID}:{NORA}").user == mine


# --- The doors


def test_signing_in_starts_by_post_with_csrf_only(visitor: Visitor) -> None:
    assert visitor.client.get("/signin/start/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    refused = strict.post("/signin/start/")
    assert refused.status_code == 403
    assert b"too old" in refused.content
    page = strict.get("/signin/")
    token = page.context["csrf_token"]
    assert strict.post("/signin/start/", {"csrfmiddlewaretoken": str(token)}).status_code == 302


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/logout/",
        "/accounts/email/",
        "/accounts/password/reset/",
        "/accounts/social/connections/",
        "/accounts/3rdparty/",
        "/accounts/3rdparty/signup/",
        "/accounts/oidc/entra/login/",
        "/signin/entra/callback/",
        "/login/",
        "/signup/",
        "/admin/",
    ],
)
def test_nothing_else_of_allauth_is_there(visitor: Visitor, path: str) -> None:
    assert visitor.client.get(path).status_code == 404
    visitor.sign_in()
    assert visitor.client.get(path).status_code == 404


def test_too_many_sign_ins_from_one_address(visitor: Visitor) -> None:
    for _ in range(60):
        assert visitor.client.get("/accounts/oidc/entra/login/callback/").status_code == 400
    response = visitor.client.get("/accounts/oidc/entra/login/callback/")
    assert (response.status_code, response.context["problem"].code) == (429, "too_many")
    assert len(events("signin.refused")) == 60


def test_another_name_of_the_portal_leads_to_the_one_that_entra_knows(visitor: Visitor) -> None:
    response = visitor.client.get("/signin/?next=/access/&ended=idle", headers={"Host": "localhost"})
    assert response["Location"] == "http://testserver/signin/?next=%2Faccess%2F&here=1"
    moved = visitor.client.get("/signin/?next=/access/&here=1", headers={"Host": "localhost"})
    assert moved.status_code == 200  # once only, should PORTAL_ORIGIN be wrong


def test_https_shows_in_the_redirect_uri(visitor: Visitor, settings: Settings) -> None:
    settings.PORTAL_ORIGIN = "https://access.example.com"
    assert visitor.start()["redirect_uri"] == "https://access.example.com/accounts/oidc/entra/login/callback/"
