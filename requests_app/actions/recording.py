"""Events about a grant: whose it is, through which PIM group, of which request, said in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django_subatomic.db import transaction_required

from audit.ledger.recorder import Actor, Subject, record
from requests_app.models import Grant

_WORKER = Actor.worker()


@transaction_required
def record_of(
    grant: Grant,
    event: str,
    fields: Mapping[str, Any],
    *,
    actor: Actor = _WORKER,
    words: Mapping[str, str] | None = None,
    subject: Subject | None = None,
    request_id: UUID | None = None,
) -> None:
    """Write one event about the grant in the caller's transaction; `fields` without the group's name, which each has.

    It is of the request that the grant began with, unless `request_id` names another. Raises LedgerError when the event
    isn't as its type declares.
    """
    record(
        event,
        actor=actor,
        subject=subject,
        fields={"group_name": grant.group.display_name, **fields},
        words=words or {},
        about_oid=grant.person.object_id,
        about_name=grant.person.display_name,
        group_oid=grant.group.object_id,
        request_id=request_id or grant.first_request_id,
        grant_id=grant.pk,
    )
