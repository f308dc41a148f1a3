"""Addresses of the operator's pages."""

from __future__ import annotations

from django.urls import path

from oversight.views import drift, health, incidents, metrics, rules, settings_in_force

urlpatterns = [
    path("operations/", health.page, name="operations"),
    path("metrics", metrics.page, name="metrics"),
    path("operations/ends/", health.record_end, name="operations_record_end"),
    path("operations/remove/<uuid:grant_id>/", health.remove_from_aws, name="operations_remove"),
    path("operations/alerts/", health.alerts, name="operations_alerts"),
    path("operations/drift/", drift.page, name="operations_drift"),
    path("operations/drift/<uuid:finding_id>/", drift.finding, name="operations_finding"),
    path("operations/drift/<uuid:finding_id>/resolve/", drift.resolve, name="operations_resolve"),
    path("operations/incidents/", incidents.page, name="operations_incidents"),
    path("operations/incidents/new/", incidents.new, name="operations_incident_new"),
    path("operations/incidents/new/confirm/", incidents.confirm, name="operations_incident_confirm"),
    path("operations/incidents/<uuid:freeze_id>/", incidents.incident, name="operations_incident"),
    path("operations/incidents/<uuid:freeze_id>/lift/", incidents.lift_it, name="operations_lift"),
    path("operations/rules/", rules.page, name="operations_rules"),
    path("operations/rules/history/", rules.history, name="operations_rule_history"),
    path("operations/rules/propose/", rules.new, name="operations_rule_propose"),
    path("operations/rules/<int:rule_id>/", rules.rule, name="operations_rule"),
    path("operations/rules/changes/<uuid:change_id>/", rules.change, name="operations_rule_change"),
    path("operations/rules/changes/<uuid:change_id>/decide/", rules.decide, name="operations_rule_decide"),
    path("operations/settings/", settings_in_force.page, name="operations_settings"),
]
