"""allauth's hooks: one application from the settings, one way in, and no account of allauth's own making."""

from __future__ import annotations

from typing import Any, override

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from base.clock import real_now
from identity.actors import client_ip
from identity.models import SignIn, User
from identity.signin import proving, sessions
from identity.signin.entra import tenant
from identity.signin.problems import CALLBACK_BROKEN, UNREACHABLE, SignInError, from_entra
from identity.signin.provider import PROVIDER_ID
from identity.signin.welcome import welcome


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Django's login, with the portal's session row and event."""

    @override
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    @override
    def get_login_stages(self) -> list[str]:
        """None: Entra has asked for everything that the organisation wants asked."""
        return []

    @override
    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request) or "unknown"

    @override
    def login(self, request: HttpRequest, user: User) -> None:
        login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])

    @override
    def logout(self, request: HttpRequest) -> None:
        """Before somebody who is signed in signs in once more: the old session goes, and its row with it."""
        SignIn.objects.filter(session_key=request.session.session_key or "").delete()
        super().logout(request)

    @override
    def post_login(
        self,
        request: HttpRequest,
        user: User,
        *,
        signal_kwargs: dict[str, Any] | None,
        redirect_url: str | None,
        **unused: Any,
    ) -> HttpResponse:
        social: SocialLogin = (signal_kwargs or {})["sociallogin"]
        sessions.begin(
            request,
            user,
            sid=social.claims.sid,
            at_entra={
                "end_session": tenant().metadata().end_session_endpoint,
                "login_hint": social.claims.login_hint,
            },
            first_time=social.first_time,
            refresh_token=social.refresh_token,
        )
        proving.note(request.session, social.claims, social.carried, now=real_now())
        return HttpResponseRedirect(redirect_url or settings.LOGIN_REDIRECT_URL)


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Users are made by `welcome`, before allauth could think of signing anybody up."""

    @override
    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The one application of the settings; rows in allauth's table change nothing."""
        if provider not in (None, PROVIDER_ID, "openid_connect"):
            return []
        return [
            SocialApp(
                provider="openid_connect",
                provider_id=PROVIDER_ID,
                name="Microsoft Entra",
                client_id=settings.ENTRA_SIGNIN_CLIENT_ID,
                secret=settings.ENTRA_SIGNIN_CLIENT_SECRET,
                settings={"server_url": tenant().issuer, "token_auth_method": "client_secret_post"},
            )
        ]

    @override
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    @override
    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: Any) -> User:
        """Leave it: this user object is thrown away for the one that `welcome` gives."""
        user: User = sociallogin.user
        return user

    @override
    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        user, sociallogin.first_time = welcome(sociallogin.claims, ip=client_ip(request))
        account, _ = SocialAccount.objects.get_or_create(
            provider=sociallogin.account.provider, uid=sociallogin.account.uid, defaults={"user": user}
        )
        if account.user_id != user.pk:  # the person decides, never the row of allauth
            account.user = user
            account.save()
        sociallogin.account, sociallogin.user = account, user
        # Before allauth ends the old session, also when it is the same person's.
        same = isinstance(request.user, User) and request.user.pk == user.pk
        sociallogin.carried = proving.carried(request.session) if same else {}
        if isinstance(request.user, User) and not same:
            sessions.give_way(request, request.user)

    @override
    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: dict[str, Any] | None = None,
    ) -> None:
        """Raises SignInError always; the callback view turns it into a page."""
        if exception is not None:
            raise SignInError(UNREACHABLE) from exception
        if (extra_context or {}).get("state") is None:
            raise SignInError(CALLBACK_BROKEN)
        raise from_entra(request.GET.get("error", ""), request.GET.get("error_description", ""))
