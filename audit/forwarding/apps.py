from django.apps import AppConfig


class ForwardingConfig(AppConfig):
    name = "audit.forwarding"
    label = "forwarding"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit.forwarding import checks

        checks.register_all()
