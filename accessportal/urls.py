"""Every address of the portal. Of allauth only the callback is mounted, by `identity.urls`."""

from __future__ import annotations

from django.urls import include, path

from accessportal.components import components

urlpatterns = [
    path("", include("identity.urls")),
    path("", include("requests_app.urls")),
    path("", include("audit.history.urls")),
    path("", include("audit.controls.urls")),
    path("", include("audit.exporting.urls")),
    path("", include("audit.api.urls")),
    path("", include("oversight.urls")),
    path("", include("notifications.urls")),
    path("", include("reviews.urls")),
    path("components/", components, name="components"),
]

handler400 = "accessportal.views.bad_request"
handler403 = "accessportal.views.forbidden"
handler404 = "accessportal.views.not_found"
handler500 = "accessportal.views.server_error"
