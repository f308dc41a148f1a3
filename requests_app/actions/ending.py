"""Ending access before its window is over: by its holder (“I'm done”), or revoked by somebody who may.

The browser stores the wish as the step that begins the end; a worker carries it out at once, though not before PIM's
first five minutes are over.
"""

from __future__ import annotations

from uuid import UUID

from django_subatomic.db import run_after_commit, transaction, transaction_required

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.errors import Conflict, Invalid
from identity.models import Person
from requests_app import nudges
from requests_app.actions.fetching import lock_grant
from requests_app.actions.moving import move
from requests_app.actions.recording import record_of
from requests_app.freezes.models import Freeze
from requests_app.lifecycle import ENDABLE, EndReason, GrantStatus
from requests_app.models import Grant, Revocation
from requests_app.permissions import check_holds_grant, check_may_revoke
from requests_app.texts import clean_words

LONGEST_REASON = 2000


def end_early(*, grant_id: UUID, person_id: int, actor: Actor) -> None:
    """The holder ends their access.

    Raises:
        Missing: no such grant of this person.
        Conflict: it is ending or has ended already.
    """
    with transaction():
        grant = lock_grant(grant_id)
        check_holds_grant(person_id, grant)
        begin_end(grant, EndReason.ENDED_EARLY, actor=actor)
        run_after_commit(lambda: nudges.grant(grant.pk))


def revoke(*, grant_id: UUID, person_id: int, reason: str, actor: Actor) -> None:
    """Somebody who may decide under the rule of the grant's request, or an operator, ends it, and says why.

    Raises:
        Missing: no such grant, or not this person's to revoke; deliberately the same.
        Invalid: no reason, or one that can't be kept.
        Conflict: it is ending or has ended already.
    """
    words = clean_reason(reason, "Say why: its holder reads it, and it stays in the history.")
    with transaction():
        grant = lock_grant(grant_id)
        person = Person.objects.get(pk=person_id)
        office = check_may_revoke(person, grant)
        record_revocation(grant, EndReason.REVOKED, by=person, reason=words, acting_as=office, actor=actor)
        begin_end(grant, EndReason.REVOKED, actor=actor)
        run_after_commit(lambda: nudges.grant(grant.pk))


def clean_reason(reason: str, missing: str) -> str:
    """A reason's words. Raises Invalid, with the sentence `missing` when there are none."""
    words = clean_words(reason, longest=LONGEST_REASON, field="reason")
    if not words:
        raise Invalid("reason.missing", missing, field="reason")
    return words


@transaction_required
def record_revocation(
    grant: Grant,
    kind: EndReason,
    *,
    by: Person | None,
    reason: str,
    acting_as: str,
    actor: Actor,
    freeze: Freeze | None = None,
) -> None:
    """Write down who ends a locked grant and why, for its pages and for the trail. `by` None: a worker.

    `freeze` is what it is ended under, in an incident.

    Raises:
        Conflict: it is ending or has ended already.
    """
    _check_endable(grant)
    Revocation.objects.create(
        grant=grant, kind=kind, by=by, reason=reason, revoked_at=business_now(), freeze=freeze
    )
    record_of(
        grant,
        "grant.revoked",
        {"kind": kind.label, "end_reason": kind.value, "acting_as": acting_as},
        words={"reason": reason},
        actor=actor,
    )


@transaction_required
def begin_end(grant: Grant, reason: EndReason, *, actor: Actor) -> None:
    """Put a locked grant on its way out: cancelled while nothing was sent, else to be removed, due at once.

    Raises:
        Conflict: it is ending or has ended already.
    """
    _check_endable(grant)
    now = business_now()
    fields = {"group_name": grant.group.display_name, "reason": reason.label}
    if grant.status == GrantStatus.SCHEDULED:
        move(
            grant,
            GrantStatus.CANCELLED,
            actor=actor,
            fields=fields,
            end_reason=reason,
            ended_at=now,
            next_action_at=None,
        )
    else:
        move(
            grant,
            GrantStatus.REMOVING,
            actor=actor,
            fields=fields,
            end_reason=reason,
            removal_started_at=now,
            next_action_at=now,
            retry_at=None,
        )


def _check_endable(grant: Grant) -> None:
    if grant.status not in ENDABLE:
        raise Conflict(
            "grant.not_endable", "This access is ending or has ended already. Nothing is left to do."
        )
