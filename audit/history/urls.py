"""Addresses of the auditor's pages."""

from __future__ import annotations

from django.urls import path

from audit.history import views

urlpatterns = [
    path("audit/", views.history, name="audit_timeline"),
    path("audit/as-of/", views.access_as_of, name="audit_as_of"),
    path("audit/requests/<uuid:request_id>/", views.request_case, name="audit_case"),
    path("audit/requests/<uuid:request_id>/activity/", views.request_activity, name="audit_activity"),
    path("requests/<uuid:request_id>/activity/", views.request_own_activity, name="own_activity"),
]
