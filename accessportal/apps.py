from django.apps import AppConfig


class AccessPortalConfig(AppConfig):
    name = "accessportal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accessportal import checks, events, logs

        events.register_all()
        checks.register_all()
        logs.configure()
