"""Looking at somebody's activity is an event of its own: once for each viewer, request and hour."""

from __future__ import annotations

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from identity.models import Person
from requests_app.activity.models import ActivityView
from requests_app.models import AccessRequest


def note_view(request: AccessRequest, *, viewer: Person, actor: Actor) -> bool:
    """Record that `viewer` looks; False where that was recorded within this hour. Nothing may be shown before."""
    hour = real_now().replace(minute=0, second=0, microsecond=0)
    with transaction():
        _, first = ActivityView.objects.get_or_create(person=viewer, request=request, hour=hour)
        if first:
            about = request.requester
            record(
                "activity.viewed",
                actor=actor,
                about_oid=about.object_id,
                about_name=about.display_name,
                request_id=request.pk,
            )
    return first
