"""Addresses of the API and of its tokens. Everything of the API is below /api/v1/."""

from __future__ import annotations

from django.urls import path

from audit.api import views

urlpatterns = [
    path("api/v1/events", views.events, name="api_events"),
    path("api/v1/cases/<uuid:request_id>", views.one_case, name="api_case"),
    path("api/v1/as-of", views.access_as_of, name="api_as_of"),
    path("api/v1/openapi.json", views.openapi, name="api_description"),
    path("audit/tokens/", views.token_page, name="audit_tokens"),
    path("audit/tokens/<int:token_id>/revoke/", views.revoke, name="audit_token_revoke"),
]
