from django.apps import AppConfig


class HistoryConfig(AppConfig):
    name = "audit.history"
    label = "history"
    default_auto_field = "django.db.models.BigAutoField"
