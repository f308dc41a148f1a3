"""Rows of activity as a reading leaves them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from requests_app.activity.models import ActivityLook, ActivityPlace, ActivityUse
from requests_app.cutting.scopes import Scope, scopes_of
from requests_app.models import Grant


def activity(grant: Grant, *, complete: bool = True, **place: Any) -> ActivityPlace:
    """The first scope of the grant was opened once and used for two actions; the others were read, and not used."""
    ends = grant.ends_at
    look = ActivityLook.objects.create(
        grant=grant, complete=complete, read_until=ends, read_at=ends + timedelta(minutes=15)
    )
    scopes = {scope: what.name for scope, what in scopes_of([grant])[grant.pk].items()}
    first, *others = sorted(scopes, key=lambda scope: (scope.account_id, scope.permission_set_arn))
    opened = _place(look, "111122223333", "Federate")
    _place(look, "111122223333", "GetRoleCredentials")
    _use(opened, first, scopes[first], "sso.amazonaws.com", "Federate", count=1)
    newest = {"id": "0f0f", "at": ends.isoformat(), "permission_set": scopes[first], "error": "AccessDenied"}
    newest |= {"service": "ec2.amazonaws.com", "action": "StopInstances"}
    read = _place(look, first.account_id, "", events=7, newest=[newest], **place)
    _use(read, first, scopes[first], "ec2.amazonaws.com", "StopInstances", count=5, errors=2, denied=1)
    _use(read, first, scopes[first], "iam.amazonaws.com", "ListRoles", count=2)
    for account_id in sorted({scope.account_id for scope in others} - {first.account_id}):
        _place(look, account_id, "")
    return read


def _place(look: ActivityLook, account_id: str, event_name: str, **values: Any) -> ActivityPlace:
    return ActivityPlace.objects.create(
        look=look,
        account_id=account_id,
        region="eu-west-1",
        event_name=event_name,
        **{"read_until": look.read_until, **values},
    )


def _use(place: ActivityPlace, scope: Scope, name: str, service: str, action: str, **counts: int) -> None:
    ends = place.look.grant.ends_at
    ActivityUse.objects.create(
        place=place,
        account_id=scope.account_id,
        permission_set_name=name,
        service=service,
        action=action,
        first_at=ends - timedelta(minutes=30),
        last_at=ends - timedelta(minutes=5),
        **counts,
    )
