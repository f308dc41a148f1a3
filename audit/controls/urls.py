"""The address of the controls page."""

from __future__ import annotations

from django.urls import path

from audit.controls import views

urlpatterns = [path("audit/controls/", views.page, name="audit_controls")]
