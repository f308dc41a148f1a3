"""OpenID Connect and OAuth 2.0 of the simulated Entra: its back-channel endpoints.

Discovery, keys and the token endpoint are served over TLS, because azure-identity accepts nothing else;
the pages that a browser meets are in `signin`.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, jsonify, request

from simulator.entra.claims import capabilities_declared, contexts_asked, parse_claims
from simulator.entra.client_auth import authenticate_client
from simulator.entra.provider import OAuthError, Provider, error_body
from simulator.entra.registrations import Registration, code_challenge
from simulator.entra.sessions import CodeError, Grant
from simulator.entra.tokens import (
    GRAPH_AUDIENCE,
    application_access_token,
    delegated_access_token,
    id_token,
)

NO_CONSENT = 65001
OIDC_SCOPES = ("openid", "profile", "email", "offline_access")


def discovery_document(provider: Provider) -> dict[str, Any]:
    """The tenant's OpenID configuration, with the fields that Entra publishes."""
    browser = f"{provider.browser_origin}/{provider.tenant_id}/oauth2/v2.0"
    return {
        "token_endpoint": provider.token_endpoint,
        "token_endpoint_auth_methods_supported": [
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ],
        "jwks_uri": f"{provider.authority}/{provider.tenant_id}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"],
        "scopes_supported": list(OIDC_SCOPES),
        "issuer": provider.issuer(),
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"{provider.browser_origin}/oidc/userinfo",
        "authorization_endpoint": f"{browser}/authorize",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{browser}/logout",
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name",
            "tid", "ver", "at_hash", "c_hash", "email",
        ],
        "code_challenge_methods_supported": ["S256"],
        "tenant_region_scope": None,
        "cloud_instance_name": "simulator",
    }  # fmt: skip


def _redeem_code(provider: Provider, app: Registration, form: Mapping[str, str]) -> dict[str, Any]:
    try:
        grant = provider.state.redeem_code(form.get("code", ""))
    except CodeError as problem:
        if problem.used:
            raise OAuthError(
                "invalid_grant",
                54005,
                "OAuth2 Authorization code was already redeemed, please retry with a new valid code.",
            ) from problem
        if problem.expired:
            raise OAuthError(
                "invalid_grant", 70008, "The provided authorization code has expired."
            ) from problem
        raise OAuthError(
            "invalid_grant", 9002313, "Invalid request. Request is malformed or invalid."
        ) from problem
    if grant.client_id != app.client_id:
        raise OAuthError(
            "invalid_grant", 700005, "Provided authorization code is intended to use against other client."
        )
    if form.get("redirect_uri", "") != grant.redirect_uri:
        raise OAuthError(
            "invalid_grant",
            500112,
            "The reply address does not match the one provided when requesting the authorization code.",
        )
    verifier = form.get("code_verifier")
    if grant.challenge is not None:
        if not verifier:
            raise OAuthError(
                "invalid_grant", 50148, "The code_verifier does not match the code_challenge supplied."
            )
        if code_challenge(verifier) != grant.challenge:
            raise OAuthError(
                "invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied."
            )
    declared = capabilities_declared(_claims(form))
    return _tokens(provider, app, replace(grant, capabilities=declared or grant.capabilities), grant.scopes)


def _refresh(provider: Provider, app: Registration, form: Mapping[str, str]) -> dict[str, Any]:
    try:
        grant = provider.state.refresh(form.get("refresh_token", ""))
    except CodeError as problem:
        if problem.expired:
            raise OAuthError(
                "invalid_grant", 700082, "The refresh token has expired due to inactivity."
            ) from problem
        raise OAuthError(
            "invalid_grant", 50173, "The provided grant has expired or was revoked."
        ) from problem
    if grant.client_id != app.client_id:
        raise OAuthError(
            "invalid_grant", 700005, "Provided refresh token is intended to use against other client."
        )
    asked = tuple(form.get("scope", "").split()) or grant.scopes
    try:
        scopes = _granted(app, asked)
    except OAuthError as problem:
        if problem.number != NO_CONSENT:
            raise
        # At the token endpoint a missing or withdrawn consent is a kind of invalid_grant.
        raise OAuthError(
            "invalid_grant", problem.number, problem.sentence, extra={"suberror": "consent_required"}
        ) from problem
    return _tokens(provider, app, _stepped_up(grant, _claims(form)), scopes)


def _claims(form: Mapping[str, str]) -> dict[str, Any]:
    """The `claims` parameter. Raises OAuthError when it is none."""
    claims = parse_claims(form.get("claims"))
    if claims is None:
        raise OAuthError("invalid_request", 7000022, "The claims parameter is not valid JSON.")
    return claims


def _stepped_up(grant: Grant, claims: dict[str, Any]) -> Grant:
    """The grant with the authentication contexts that a refresh asks for, each of which the sign-in proved.

    Raises OAuthError (interaction_required, with the claims to ask for) for any other.
    """
    access, identity = contexts_asked(claims, "access_token"), contexts_asked(claims, "id_token")
    if not {*access, *identity} <= set(grant.proven):
        raise OAuthError(
            "interaction_required",
            50076,
            "Due to a configuration change made by your administrator, or because you moved to a new location, "
            "you must use multi-factor authentication.",
            extra={"suberror": "basic_action", "claims": json.dumps(claims)},
        )
    return replace(
        grant,
        contexts=access or grant.contexts,
        id_contexts=identity or grant.id_contexts,
        capabilities=capabilities_declared(claims),
    )


def _granted(app: Registration, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Scopes in the short form that an application may have. Raises OAuthError for any other."""
    given: list[str] = []
    for scope in asked:
        short = scope.removeprefix(GRAPH_AUDIENCE + "/")
        if short == ".default":
            given += app.scopes
        elif short in app.scopes:
            given.append(short)
        elif "://" in scope and not scope.startswith(GRAPH_AUDIENCE):
            raise OAuthError(
                "invalid_resource", 500011, f"The resource principal named {scope} was not found."
            )
        else:
            raise OAuthError(
                "consent_required",
                NO_CONSENT,
                f"The user or administrator has not consented to use the application: '{short}'.",
            )
    return tuple(dict.fromkeys(given))


def granted_scopes(app: Registration, scope: str) -> tuple[str, ...]:
    """The scopes that a sign-in request gets. Raises OAuthError for a missing or refused one."""
    asked = tuple(scope.split())
    if not asked:
        raise OAuthError(
            "invalid_request", 900144, "The request body must contain the following parameter: 'scope'."
        )
    return _granted(app, asked)


def _tokens(provider: Provider, app: Registration, grant: Grant, scopes: tuple[str, ...]) -> dict[str, Any]:
    account = provider.check_person(provider.accounts.find(grant.object_id))
    tenant_id = account.tenant_id if grant.foreign else provider.tenant_id
    issuer = provider.issuer(tenant_id)
    resource_scopes = [scope for scope in scopes if scope not in OIDC_SCOPES] or ["User.Read"]
    answer: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": " ".join(scopes),
        "expires_in": provider.access_token_seconds,
        "ext_expires_in": provider.access_token_seconds,
        "access_token": delegated_access_token(
            provider.keys,
            issuer=issuer,
            tenant_id=tenant_id,
            client_id=app.client_id,
            object_id=account.object_id,
            name=account.name,
            user_principal_name=account.user_principal_name,
            scopes=[
                *resource_scopes,
                *(scope for scope in scopes if scope in ("openid", "profile", "email")),
            ],
            contexts=grant.contexts,
            capabilities=grant.capabilities,
            mfa=grant.mfa,
            lifetime_seconds=provider.access_token_seconds,
        ),
    }
    if "openid" in scopes:
        answer["id_token"] = id_token(
            provider.keys,
            issuer=issuer,
            tenant_id=tenant_id,
            client_id=app.client_id,
            object_id=account.object_id,
            name=account.name,
            user_principal_name=account.user_principal_name,
            email=account.email if "email" in scopes else None,
            session_id=grant.session_id,
            nonce=grant.nonce,
            app_roles=() if grant.foreign else account.app_roles,
            contexts=grant.id_contexts,
            auth_time=grant.authenticated_at if grant.auth_time_wanted else None,
            lifetime_seconds=provider.id_token_seconds,
        )
    if "offline_access" in scopes:
        answer["refresh_token"] = provider.state.issue_refresh(grant)
    return answer


def _client_credentials(
    provider: Provider, app: Registration, form: Mapping[str, str], *, by_certificate: bool
) -> dict[str, Any]:
    scope = form.get("scope", "")
    if not scope.endswith("/.default") or " " in scope.strip():
        raise OAuthError(
            "invalid_scope",
            1002012,
            f"The provided value for scope {scope} is not valid. Client credential flows must have a scope "
            "value with /.default suffixed to the resource identifier (application ID URI).",
        )
    resource = scope.removesuffix("/.default").rstrip("/")
    if resource in (provider.browser_origin, "00000003-0000-0000-c000-000000000000"):
        resource = GRAPH_AUDIENCE
    if resource not in (GRAPH_AUDIENCE, "https://management.azure.com"):
        raise OAuthError(
            "invalid_resource", 500011, f"The resource principal named {resource} was not found."
        )
    capabilities = capabilities_declared(_claims(form))
    return {
        "token_type": "Bearer",
        "expires_in": provider.access_token_seconds,
        "ext_expires_in": provider.access_token_seconds,
        "access_token": application_access_token(
            provider.keys,
            issuer=provider.issuer(),
            tenant_id=provider.tenant_id,
            client_id=app.client_id,
            service_principal_id=app.service_principal_id,
            permissions=app.permissions if resource == GRAPH_AUDIENCE else (),
            audience=resource,
            lifetime_seconds=provider.access_token_seconds,
            by_certificate=by_certificate,
            capabilities=capabilities,
        ),
    }


def _answer_token(provider: Provider, tenant: str) -> dict[str, Any]:
    provider.check_tenant(tenant)
    form = request.form
    kind = form.get("grant_type")
    if not kind:
        raise OAuthError(
            "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'."
        )
    if kind not in ("authorization_code", "refresh_token", "client_credentials"):
        raise OAuthError(
            "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{kind}'."
        )
    app, by_certificate = authenticate_client(provider, form)
    if kind == "authorization_code":
        return _redeem_code(provider, app, form)
    if kind == "refresh_token":
        return _refresh(provider, app, form)
    return _client_credentials(provider, app, form, by_certificate=by_certificate)


def back_channel(provider: Provider) -> Blueprint:
    """Discovery, keys and the token endpoint."""
    blueprint = Blueprint("back_channel", __name__)

    @blueprint.get("/<tenant>/v2.0/.well-known/openid-configuration")
    def discovery(tenant: str) -> Response:
        provider.check_tenant(tenant)
        return jsonify(discovery_document(provider))

    @blueprint.get("/<tenant>/discovery/v2.0/keys")
    def keys(tenant: str) -> Response:
        provider.check_tenant(tenant)
        return jsonify(provider.keys.jwks(old=provider.old_keys_stay()))

    @blueprint.post("/<tenant>/oauth2/v2.0/token")
    def token(tenant: str) -> Response:
        response = jsonify(_answer_token(provider, tenant))
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.errorhandler(OAuthError)
    def refused(problem: OAuthError) -> tuple[Response, int]:
        return jsonify(error_body(problem)), problem.status

    return blueprint
