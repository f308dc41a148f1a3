"""Signing in and out, behind which alone allauth stands, and being away."""

from __future__ import annotations

from django.urls import path

from identity import views as own
from identity.absences import views as absences
from identity.signin import views
from identity.signin.provider import PROVIDER_ID

urlpatterns = [
    path("signin/", views.signin, name="signin"),
    path("signin/start/", views.start, name="signin_start"),
    # Path, name and argument are those of allauth's own; it is the redirect URI to register in Entra.
    path(
        "accounts/oidc/entra/login/callback/",
        views.callback,
        {"provider_id": PROVIDER_ID},
        name="openid_connect_callback",
    ),
    path("signin/front-channel-logout", views.front_channel_logout, name="front_channel_logout"),
    path("signout/", views.signout, name="signout"),
    path("signed-out/", views.signed_out, name="signed_out"),
    path("preferences/keyboard/", own.keyboard, name="keyboard"),
    path("me/absence/", absences.own, name="absence"),
    path("operations/absences/", absences.everybody, name="operations_absences"),
    path("operations/absences/<uuid:person_id>/", absences.of_somebody, name="operations_absence"),
]
