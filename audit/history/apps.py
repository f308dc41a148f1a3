"""What auditors see: the timeline and the case page, read from the ledger together with the rest."""

from django.apps import AppConfig


class HistoryConfig(AppConfig):
    name = "audit.history"
    label = "history"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit.history import events, unexplained

        events.register_all()
        unexplained.register_all()
