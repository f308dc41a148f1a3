"""What a browser meets at the simulated Entra: authorize with its account picker, and sign-out.

Served over plain HTTP on loopback, so that nobody meets a certificate warning. The pages carry no script
and no inline style; their Content-Security-Policy allows the form to lead back to the application.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from simulator.entra.accounts import Account
from simulator.entra.claims import capabilities_declared, contexts_asked, parse_claims
from simulator.entra.oidc import granted_scopes
from simulator.entra.provider import OAuthError, Provider
from simulator.entra.registrations import Registration
from simulator.entra.sessions import Grant, Session
from simulator.entra.tokens import read_login_hint

SESSION_COOKIE = "simulated_entra_session"
SEARCH_LIMIT = 20
RESPONSE_MODES = ("query", "form_post")
PROMPTS = ("", "login", "none", "consent", "select_account")


@dataclass(frozen=True)
class Asked:
    """A sign-in request that passed every check."""

    app: Registration
    redirect_uri: str
    response_mode: str
    state: str | None
    scopes: tuple[str, ...]
    nonce: str | None
    challenge: str | None
    prompt: str
    max_age: int | None
    access_contexts: tuple[str, ...]
    id_contexts: tuple[str, ...]
    capabilities: tuple[str, ...]
    auth_time_wanted: bool
    login_hint: str | None

    @property
    def contexts(self) -> tuple[str, ...]:
        """Every authentication context that the sign-in has to prove."""
        return tuple(sorted({*self.access_contexts, *self.id_contexts}))


class RedirectError(Exception):
    """A refusal that is told to the application, because its redirect URI is known to be good."""

    def __init__(self, redirect_uri: str, mode: str, state: str | None, problem: OAuthError) -> None:
        super().__init__(problem.description)
        self.redirect_uri = redirect_uri
        self.mode = mode if mode in RESPONSE_MODES else "query"
        self.state = state
        self.problem = problem


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


def policy(*form_targets: str, scripts: bool = False) -> str:
    """The Content-Security-Policy of a page whose forms may lead to these origins besides our own."""
    targets = " ".join(["'self'", *form_targets])
    script = "script-src 'self'; " if scripts else ""
    return (
        f"default-src 'none'; {script}style-src 'self'; img-src 'self'; form-action {targets}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def page(
    template: str,
    *,
    status: int = 200,
    form_targets: tuple[str, ...] = (),
    scripts: bool = False,
    **context: Any,
) -> Response:
    """A page of the simulator with its security headers."""
    response = make_response(render_template(template, **context), status)
    response.headers["Content-Security-Policy"] = policy(*form_targets, scripts=scripts)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _with_parameters(uri: str, parameters: Mapping[str, str]) -> str:
    if not parameters:
        return uri
    return f"{uri}{'&' if urlsplit(uri).query else '?'}{urlencode(parameters)}"


def _parse(provider: Provider, tenant: str, args: Mapping[str, str]) -> Asked:
    """Check a sign-in request. Raises OAuthError until the redirect URI is good, then RedirectError."""
    provider.check_tenant(tenant)
    client_id = args.get("client_id", "")
    app = provider.registrations.by_client_id(client_id)
    if app is None:
        raise OAuthError(
            "unauthorized_client",
            700016,
            f"Application with identifier '{client_id}' was not found in the directory.",
        )
    redirect_uri = args.get("redirect_uri", "")
    if redirect_uri not in app.redirect_uris:
        raise OAuthError(
            "invalid_request",
            50011,
            f"The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs "
            f"configured for the application '{client_id}'.",
        )
    state = args.get("state")
    mode = args.get("response_mode", "query")

    def back(error: str, number: int, sentence: str) -> RedirectError:
        return RedirectError(redirect_uri, mode, state, OAuthError(error, number, sentence))

    response_type = args.get("response_type", "")
    if response_type != "code":
        raise back(
            "unsupported_response_type",
            700054,
            f"response_type '{response_type}' is not enabled for the application.",
        )
    if mode not in RESPONSE_MODES:
        raise back("invalid_request", 9001013, f"The response mode '{mode}' is not supported for a code.")
    challenge = args.get("code_challenge")
    method = args.get("code_challenge_method", "plain")
    if challenge and method != "S256":
        raise back("invalid_request", 501491, "Invalid size or method of Code_Challenge parameter: use S256.")
    if not challenge and app.pkce_required:
        raise back("invalid_request", 9002325, "Proof Key for Code Exchange is required.")
    prompt = args.get("prompt", "")
    if prompt not in PROMPTS:
        raise back("invalid_request", 90023, f"Unsupported 'prompt' value: '{prompt}'.")
    max_age = args.get("max_age")
    if max_age is not None and not (max_age.isascii() and max_age.isdigit()):
        raise back("invalid_request", 90014, "The value of 'max_age' is not a number.")
    claims = parse_claims(args.get("claims"))
    if claims is None:
        raise back("invalid_request", 7000022, "The claims parameter is not valid JSON.")
    try:
        scopes = granted_scopes(app, args.get("scope", ""))
    except OAuthError as problem:
        raise RedirectError(redirect_uri, mode, state, problem) from problem
    id_claims = claims.get("id_token")
    return Asked(
        app=app,
        redirect_uri=redirect_uri,
        response_mode=mode,
        state=state,
        scopes=scopes,
        nonce=args.get("nonce"),
        challenge=challenge,
        prompt=prompt,
        max_age=int(max_age) if max_age is not None else None,
        access_contexts=contexts_asked(claims, "access_token"),
        id_contexts=contexts_asked(claims, "id_token"),
        capabilities=capabilities_declared(claims),
        auth_time_wanted=max_age is not None or (isinstance(id_claims, dict) and "auth_time" in id_claims),
        login_hint=args.get("login_hint"),
    )


def _single_sign_on(asked: Asked, session: Session | None) -> Session | None:
    """The session that answers the request without asking anybody, or None."""
    if session is None or asked.prompt in ("login", "select_account"):
        return None
    if asked.max_age is not None and time.time() - session.authenticated_at > asked.max_age:
        return None
    if not set(asked.contexts) <= set(session.contexts):
        return None
    return session


def _back_to_application(uri: str, mode: str, parameters: Mapping[str, str | None]) -> BaseResponse:
    present = {name: value for name, value in parameters.items() if value is not None}
    if mode == "form_post":
        return page("form_post.html", form_targets=(_origin(uri),), scripts=True, uri=uri, carried=present)
    response = redirect(_with_parameters(uri, present), 302)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _finish(provider: Provider, asked: Asked, session: Session, *, foreign: bool = False) -> BaseResponse:
    code = provider.state.issue_code(
        Grant(
            client_id=asked.app.client_id,
            object_id=session.object_id,
            session_id=session.session_id,
            authenticated_at=session.authenticated_at,
            scopes=asked.scopes,
            expires_at=0,
            redirect_uri=asked.redirect_uri,
            nonce=asked.nonce,
            challenge=asked.challenge,
            contexts=asked.access_contexts,
            id_contexts=asked.id_contexts,
            proven=session.contexts,
            capabilities=asked.capabilities,
            mfa=session.mfa,
            auth_time_wanted=asked.auth_time_wanted,
            foreign=foreign,
        )
    )
    answer = {"code": code, "state": asked.state, "session_state": session.session_id}
    return _back_to_application(asked.redirect_uri, asked.response_mode, answer)


def _signed_in_as(provider: Provider, session: Session | None) -> Account | None:
    return provider.accounts.find(session.object_id) if session else None


def _picker(provider: Provider, asked: Asked, session: Session | None, args: Mapping[str, str]) -> Response:
    text = args.get("search", "").strip()
    carried = {name: value for name, value in args.items() if name != "search"}
    return page(
        "picker.html",
        form_targets=(_origin(asked.redirect_uri),),
        app_name=asked.app.display_name,
        action=f"{request.path}?{urlencode(carried)}",
        path=request.path,
        carried=carried,
        tenant_id=provider.tenant_id,
        current=_signed_in_as(provider, session),
        featured=provider.accounts.featured(),
        search=text,
        found=provider.accounts.search(text, SEARCH_LIMIT) if text else [],
        limit=SEARCH_LIMIT,
        contexts=asked.contexts,
    )


def _error_page(problem: OAuthError, *, status: int = 400) -> Response:
    return page(
        "error.html",
        status=status,
        code=f"AADSTS{problem.number}",
        sentence=problem.sentence,
        request_id=str(uuid.uuid4()),
        correlation_id=str(uuid.uuid4()),
        timestamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _session_cookie(response: BaseResponse, provider: Provider, value: str) -> None:
    response.set_cookie(
        SESSION_COOKIE, value, httponly=True, samesite="Lax", path=f"/{provider.tenant_id}/oauth2/v2.0/"
    )


def _pick(provider: Provider, asked: Asked) -> BaseResponse:
    """A person was chosen in the account picker. Raises OAuthError when that person may not sign in."""
    foreign_tokens = request.form.get("tokens") == "own-tenant"
    account = provider.check_person(provider.accounts.find(request.form.get("account", "")))
    foreign = account.tenant_id != provider.tenant_id
    if foreign and not foreign_tokens:
        raise OAuthError(
            "access_denied",
            50020,
            f"User account '{account.user_principal_name}' from identity provider "
            f"'{provider.issuer(account.tenant_id)}' does not exist in tenant '{provider.tenant_id}' and "
            f"cannot access the application '{asked.app.client_id}' in that tenant. The account needs to be "
            "added as an external user in the tenant first.",
        )
    cookie, session = provider.state.sign_in(
        cookie=request.cookies.get(SESSION_COOKIE),
        object_id=account.object_id,
        contexts=asked.contexts,
        mfa=provider.mfa_at_sign_in or bool(asked.contexts),
    )
    response = _finish(provider, asked, session, foreign=foreign)
    _session_cookie(response, provider, cookie)
    return response


def browser(provider: Provider) -> Blueprint:
    """Authorize, the account picker and sign-out."""
    blueprint = Blueprint("signin", __name__)

    @blueprint.get("/<tenant>/oauth2/v2.0/authorize")
    def authorize(tenant: str) -> BaseResponse:
        asked = _parse(provider, tenant, request.args)
        session = provider.state.session(request.cookies.get(SESSION_COOKIE))
        known = _single_sign_on(asked, session)
        if known is not None:
            account = provider.check_person(provider.accounts.find(known.object_id))
            return _finish(provider, asked, known, foreign=account.tenant_id != provider.tenant_id)
        if asked.prompt == "none":
            number, error = (50058, "login_required") if session is None else (50076, "interaction_required")
            raise RedirectError(
                asked.redirect_uri,
                asked.response_mode,
                asked.state,
                OAuthError(error, number, "A silent sign-in request was sent but the user has to interact."),
            )
        return _picker(provider, asked, session, request.args)

    @blueprint.post("/<tenant>/oauth2/v2.0/authorize")
    def picked(tenant: str) -> BaseResponse:
        asked = _parse(provider, tenant, request.args)
        if request.form.get("account") == "cancel":
            raise RedirectError(
                asked.redirect_uri,
                asked.response_mode,
                asked.state,
                OAuthError("access_denied", 65004, "User declined to sign in."),
            )
        return _pick(provider, asked)

    @blueprint.route("/<tenant>/oauth2/v2.0/logout", methods=["GET", "POST"])
    def logout(tenant: str) -> BaseResponse:
        provider.check_tenant(tenant)
        args = request.values
        cookie = request.cookies.get(SESSION_COOKIE)
        session = provider.state.session(cookie)
        hinted = read_login_hint(args.get("logout_hint", ""))
        confirmed = request.method == "POST" and "confirm" in request.form
        known = (
            args.get("post_logout_redirect_uri", "")
            in provider.registrations.signin.post_logout_redirect_uris
        )
        back = args["post_logout_redirect_uri"] if known else ""
        if session is not None and not confirmed and hinted != session.object_id:
            return page(
                "logout.html",
                form_targets=(_origin(back),) if back else (),
                account=_signed_in_as(provider, session),
                action=request.path,
                carried={name: args[name] for name in ("post_logout_redirect_uri", "state") if name in args},
            )
        provider.state.sign_out(cookie)
        if back:
            response: BaseResponse = redirect(
                _with_parameters(back, {"state": args["state"]} if "state" in args else {}), 302
            )
        else:
            response = page("signed_out.html", unknown=bool(args.get("post_logout_redirect_uri")))
        response.delete_cookie(SESSION_COOKIE, path=f"/{provider.tenant_id}/oauth2/v2.0/")
        return response

    @blueprint.errorhandler(OAuthError)
    def refused(problem: OAuthError) -> Response:
        return _error_page(problem)

    @blueprint.errorhandler(RedirectError)
    def told(told: RedirectError) -> BaseResponse:
        answer = {
            "error": told.problem.error,
            "error_description": told.problem.description,
            "error_uri": f"{provider.browser_origin}/error?code={told.problem.number}",
            "state": told.state,
        }
        return _back_to_application(told.redirect_uri, told.mode, answer)

    return blueprint
