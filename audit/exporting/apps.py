from django.apps import AppConfig


class ExportingConfig(AppConfig):
    name = "audit.exporting"
    label = "exporting"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit.exporting import events

        events.register_all()
