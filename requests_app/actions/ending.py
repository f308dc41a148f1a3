"""“I'm done”: the holder gives access back before its window is over."""

from __future__ import annotations

from uuid import UUID

from django_subatomic.db import run_after_commit, transaction

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.errors import Conflict
from requests_app import nudges
from requests_app.actions.fetching import lock_grant
from requests_app.actions.moving import move
from requests_app.lifecycle import EndReason, GrantStatus
from requests_app.permissions import check_holds_grant

_ENDABLE = frozenset({GrantStatus.ACTIVATING, GrantStatus.PROVISIONING, GrantStatus.ACTIVE})


def end_early(*, grant_id: UUID, person_id: int, actor: Actor) -> None:
    """The holder ends their access; a worker carries it out, not before PIM's first five minutes are over.

    Raises:
        Missing: no such grant of this person.
        Conflict: it is ending or has ended already.
    """
    with transaction():
        grant = lock_grant(grant_id)
        check_holds_grant(person_id, grant)
        now = business_now()
        fields = {"group_name": grant.group.display_name, "reason": EndReason.ENDED_EARLY.label}
        if grant.status == GrantStatus.SCHEDULED:
            move(
                grant,
                GrantStatus.CANCELLED,
                actor=actor,
                fields=fields,
                end_reason=EndReason.ENDED_EARLY,
                ended_at=now,
                next_action_at=None,
            )
        elif grant.status in _ENDABLE:
            move(
                grant,
                GrantStatus.REMOVING,
                actor=actor,
                fields=fields,
                end_reason=EndReason.ENDED_EARLY,
                removal_started_at=now,
                next_action_at=now,
                retry_at=None,
            )
        else:
            raise Conflict(
                "grant.not_endable", "This access is ending or has ended already. Nothing is left to do."
            )
        run_after_commit(lambda: nudges.grant(grant.pk))
