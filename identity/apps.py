from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "identity"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from identity import events
        from identity.absences import events as absence_events

        events.register_all()
        absence_events.register_all()
