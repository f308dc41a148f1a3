from django.apps import AppConfig


class OversightConfig(AppConfig):
    name = "oversight"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from oversight import events
        from oversight.rules import events as rule_events
        from oversight.rules import interests, telling, unexplained

        events.register_all()
        rule_events.register_all()
        interests.register_all()
        telling.register_all()
        unexplained.register_all()
