from django.apps import AppConfig


class ForwardingConfig(AppConfig):
    name = "audit.forwarding"
    label = "forwarding"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit.forwarding import checks, locked_objects
        from audit.ledger.places import offer

        checks.register_all()
        offer(locked_objects.NAME, locked_objects.anchor)
