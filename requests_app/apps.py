import os

from django.apps import AppConfig
from django.conf import settings

from base import crash


class RequestsAppConfig(AppConfig):
    name = "requests_app"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from requests_app import events, unexplained
        from requests_app.activity import events as activity_events
        from requests_app.cutting import events as cutting_events
        from requests_app.deliberation import events as deliberation_events
        from requests_app.freezes import events as freeze_events
        from requests_app.waivers import events as waiver_events

        events.register_all()
        activity_events.register_all()
        cutting_events.register_all()
        deliberation_events.register_all()
        freeze_events.register_all()
        waiver_events.register_all()
        unexplained.register_all()
        crash.obey(os.environ, mode=settings.PORTAL_MODE)
