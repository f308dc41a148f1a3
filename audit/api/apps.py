from django.apps import AppConfig


class AuditApiConfig(AppConfig):
    name = "audit.api"
    label = "audit_api"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit.api import events

        events.register_all()
