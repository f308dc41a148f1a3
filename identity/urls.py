"""Signing in and out. These are the only addresses behind which allauth stands."""

from __future__ import annotations

from django.urls import path

from identity.signin import views
from identity.signin.provider import PROVIDER_ID

urlpatterns = [
    path("signin/", views.signin, name="signin"),
    path("signin/start/", views.start, name="signin_start"),
    # The name and its argument are allauth's.
    path("signin/callback/", views.callback, {"provider_id": PROVIDER_ID}, name="openid_connect_callback"),
    path("signin/front-channel-logout", views.front_channel_logout, name="front_channel_logout"),
    path("signout/", views.signout, name="signout"),
    path("signed-out/", views.signed_out, name="signed_out"),
]
