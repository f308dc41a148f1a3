"""Addresses from which copies of the audit trail are taken."""

from __future__ import annotations

from django.urls import path

from audit.exporting import views

urlpatterns = [
    path("audit/export/", views.export, name="audit_export"),
    path("audit/exports/", views.exports, name="audit_exports"),
    path("audit/exports/live/", views.exports_live, name="audit_exports_live"),
    path("audit/exports/<uuid:export_id>/cancel/", views.cancel_export, name="audit_cancel_export"),
    path("audit/requests/<uuid:request_id>/evidence/", views.case_evidence, name="audit_evidence"),
]
