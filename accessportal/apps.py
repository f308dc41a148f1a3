from django.apps import AppConfig


class AccessPortalConfig(AppConfig):
    name = "accessportal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accessportal import checks, events, logs, recorded_settings
        from audit.ledger import sealing, unexplained
        from requests_app.cutting import looping

        events.register_all()
        checks.register_all()
        looping.at_each_pass(recorded_settings.record_once)
        sealing.at_each_pass(recorded_settings.note_once)
        unexplained.register_further(recorded_settings.unexplained_settings)
        logs.configure()
