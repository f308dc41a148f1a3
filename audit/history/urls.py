"""Addresses of the auditor's pages."""

from __future__ import annotations

from django.urls import path

from audit.history import views

urlpatterns = [
    path("audit/", views.history, name="audit_timeline"),
    path("audit/as-of/", views.access_as_of, name="audit_as_of"),
    path("audit/changes/", views.access_changes, name="audit_changes"),
    path("audit/searches/", views.save, name="audit_save_search"),
    path("audit/searches/<uuid:search_id>/remove/", views.remove, name="audit_remove_search"),
    path("audit/events/<int:event_id>/", views.event_proof, name="audit_event"),
    path("audit/requests/<uuid:request_id>/", views.request_case, name="audit_case"),
    path("audit/requests/<uuid:request_id>/activity/", views.request_activity, name="audit_activity"),
    path("requests/<uuid:request_id>/activity/", views.request_own_activity, name="own_activity"),
]
