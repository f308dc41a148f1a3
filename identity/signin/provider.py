"""allauth's OpenID Connect provider for the one tenant: nonce, signature and identity added.

allauth keeps doing what it does well: state (one-time, in the session), PKCE, redirect and login.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, override

from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from identity.personal.keeping import scopes_wanted
from identity.signin.entra import Claims, tenant
from identity.signin.problems import CALLBACK_BROKEN, SignInError
from identity.signin.stepping_up import Wanted

PROVIDER_ID = "entra"


@dataclass(frozen=True, slots=True)
class Answer:
    """Verified claims on their way through allauth."""

    claims: Claims


class EntraOAuth2Adapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth has no types
    """Talks to Entra's back channel through `identity.signin.entra`."""

    # Of the sign-in that came back, set by the callback view.
    nonce = ""
    wanted = Wanted()
    following = ""

    @property
    @override
    def openid_config(self) -> dict[str, str]:
        """The endpoints that allauth asks for."""
        metadata = tenant().metadata()
        return {
            "authorization_endpoint": metadata.authorization_endpoint,
            "token_endpoint": metadata.token_endpoint,
        }

    @override
    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        """The registered redirect URI, which doesn't depend on the request's Host header."""
        path = reverse("openid_connect_callback", kwargs={"provider_id": PROVIDER_ID})
        return f"{settings.PORTAL_ORIGIN}{path}"

    @override
    def get_access_token_data(
        self, request: HttpRequest, app: Any, client: OAuth2Client, pkce_code_verifier: str | None = None
    ) -> dict[str, str]:
        """Trade the code. The access token is let go: the web process calls no API as the person."""
        redeemed = tenant().redeem(
            code=request.GET.get("code", ""),
            verifier=pkce_code_verifier or "",
            redirect_uri=client.callback_url,
            secret=app.secret,
        )
        return {"id_token": redeemed.id_token, "refresh_token": redeemed.refresh_token}

    @override
    def parse_token(self, data: dict[str, str]) -> SocialToken:
        """allauth wants a token object; it is never stored and stays empty."""
        return SocialToken(token="")

    @override
    def complete_login(
        self, request: HttpRequest, app: Any, token: SocialToken, *, response: dict[str, str]
    ) -> SocialLogin:
        """Verify the ID token and hand its claims on."""
        claims = tenant().verify(response["id_token"], nonce=self.nonce)
        self.wanted.check(claims)
        login = self.get_provider().sociallogin_from_response(request, Answer(claims))
        login.refresh_token = response["refresh_token"]  # on its way to being sealed; never part of a session
        return login


class EntraProvider(OpenIDConnectProvider):  # type: ignore[misc]  # allauth has no types
    """People are "tenant id:object id"; no e-mail address ever enters allauth."""

    oauth2_adapter_class = EntraOAuth2Adapter

    @override
    def sociallogin_from_response(self, request: HttpRequest, response: Answer) -> SocialLogin:
        login = super().sociallogin_from_response(request, response)
        login.claims = response.claims
        return login

    @override
    def get_default_scope(self) -> list[str]:
        """No `email`: addresses come from the directory, and say nothing about who somebody is."""
        return ["openid", "profile", *scopes_wanted()]

    @override
    def extract_uid(self, data: Answer) -> str:
        return f"{data.claims.tenant_id}:{data.claims.object_id}"

    @override
    def extract_extra_data(self, data: Answer) -> dict[str, str]:
        return {}

    @override
    def extract_common_fields(self, data: Answer) -> dict[str, str]:
        return {}

    @override
    def extract_email_addresses(self, data: Answer) -> list[Any]:
        return []


class EntraCallbackView(OAuth2CallbackView):  # type: ignore[misc]  # allauth has no types
    """Takes the nonce out of the state, which allauth has just removed from the session."""

    adapter: EntraOAuth2Adapter

    @override
    def _get_state(self, request: HttpRequest, provider: EntraProvider) -> tuple[Any, Any]:
        state, response = super()._get_state(request, provider)
        if state is not None:
            self.adapter.nonce = state.get("nonce", "")
            self.adapter.wanted = Wanted.of_state(state)
            self.adapter.following = str(state.get("next") or "")
            if not self.adapter.nonce:
                raise SignInError(CALLBACK_BROKEN)
        return state, response
