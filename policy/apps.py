from django.apps import AppConfig


class PolicyConfig(AppConfig):
    name = "policy"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from policy import events, interests, unexplained

        events.register_all()
        interests.register_all()
        unexplained.register_all()
