"""How an application proves itself at the token endpoint: secret, or certificate (private_key_jwt)."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import jwt
from flask import request

from simulator.entra.provider import OAuthError, Provider
from simulator.entra.registrations import Registration
from simulator.entra.workload import ISSUER

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def _authenticate_by_federation(provider: Provider, app: Registration, assertion: str) -> None:
    is_worker = app.client_id == provider.registrations.worker.client_id
    if not is_worker or provider.workload is None or not provider.workload.trusts(assertion):
        raise OAuthError(
            "invalid_client",
            70021,
            "No matching federated identity record found for presented assertion.",
            401,
        )


def _authenticate_by_assertion(provider: Provider, app: Registration, assertion: str) -> None:
    def refuse(sentence: str) -> OAuthError:
        return OAuthError(
            "invalid_client", 700027, f"Client assertion failed signature validation: {sentence}", 401
        )

    try:
        header = jwt.get_unverified_header(assertion)
        issuer = jwt.decode(assertion, options={"verify_signature": False}).get("iss")
    except jwt.PyJWTError as reason:
        raise OAuthError("invalid_client", 50027, "JWT token is invalid or malformed.", 401) from reason
    if issuer == ISSUER:
        _authenticate_by_federation(provider, app, assertion)
        return
    certificate = app.certificate_for(header)
    if certificate is None:
        raise refuse("The key was not found among the certificates of the application.")
    if app.credentials_expired or certificate.not_valid_after_utc < dt.datetime.now(dt.UTC):
        raise refuse("The certificate that was used to sign the assertion has expired.")
    key: Any = certificate.public_key()
    try:
        claims = jwt.decode(
            assertion,
            key,
            algorithms=["RS256", "PS256"],
            audience=[provider.token_endpoint, provider.issuer()],
            issuer=app.client_id,
            options={"require": ["exp", "iss", "sub", "aud"]},
        )
    except jwt.ExpiredSignatureError as reason:
        raise OAuthError(
            "invalid_client", 700024, "Client assertion is not within its valid time range.", 401
        ) from reason
    except jwt.PyJWTError as reason:
        raise refuse(f"{reason}.") from reason
    if claims["sub"] != app.client_id:
        raise refuse("The subject of the assertion is not the application.")


def authenticate_client(provider: Provider, form: Mapping[str, str]) -> tuple[Registration, bool]:
    """The application that calls, and whether it proved itself by certificate. Raises OAuthError."""
    basic = request.authorization
    by_basic = basic is not None and basic.type == "basic"
    client_id = form.get("client_id") or (str(basic.username) if basic is not None and by_basic else "")
    assertion = form.get("client_assertion")
    if not client_id and assertion:
        try:
            client_id = str(jwt.decode(assertion, options={"verify_signature": False}).get("sub", ""))
        except jwt.PyJWTError as reason:
            raise OAuthError("invalid_client", 50027, "JWT token is invalid or malformed.", 401) from reason
    if not client_id:
        raise OAuthError(
            "invalid_request", 900144, "The request body must contain the following parameter: 'client_id'."
        )
    app = provider.registrations.by_client_id(client_id)
    if app is None:
        raise OAuthError(
            "unauthorized_client",
            700016,
            f"Application with identifier '{client_id}' was not found in the directory.",
        )
    if not app.enabled:
        raise OAuthError("unauthorized_client", 7000112, f"Application '{client_id}' is disabled.", 401)
    if assertion:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError("invalid_request", 50027, "The client assertion type is not supported.")
        _authenticate_by_assertion(provider, app, assertion)
        return app, True
    secret = form.get("client_secret") or (str(basic.password) if basic is not None and by_basic else "")
    if not secret:
        raise OAuthError(
            "invalid_client",
            7000218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            401,
        )
    if not app.has_secret(secret):
        raise OAuthError(
            "invalid_client",
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client "
            f"secret value, not the client secret ID, for a secret added to app '{client_id}'.",
            401,
        )
    if app.credentials_expired:
        raise OAuthError(
            "invalid_client",
            7000222,
            f"The provided client secret keys for app '{client_id}' are expired.",
            401,
        )
    return app, False
