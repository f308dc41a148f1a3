from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "audit.ledger"
    label = "ledger"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit.ledger import checks, events

        events.register_all()
        checks.register_all()
