"""Addresses of the operator's pages."""

from __future__ import annotations

from django.urls import path

from oversight.views import health, settings_in_force

urlpatterns = [
    path("operations/", health.page, name="operations"),
    path("operations/settings/", settings_in_force.page, name="operations_settings"),
]
