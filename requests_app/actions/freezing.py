"""Incidents: an operator freezes a person, an account or a permission set; what is open there ends; a second one lifts it.

The browser stores the freeze alone, which holds from its commit. A worker ends what is open, one row a transaction,
and finds again what is left: the rows are the cursor. It goes on looking while the freeze holds, so that what slipped
in beside it (a decision that was being counted, a grant of a restored database) is ended too.
"""

from __future__ import annotations

from uuid import UUID

import structlog
from django.db import IntegrityError
from django.db.models import F
from django_subatomic.db import run_after_commit, savepoint, transaction, transaction_required

from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now
from base.crash import crash_point, register
from base.errors import Conflict, Denied, DomainError, Missing
from base.readymade import Readymade
from catalog.models import AwsAccount, PermissionSet
from identity.humans import same_human
from identity.models import Person
from requests_app import nudges
from requests_app.actions.claiming import Claim, Superseded, rest, settle
from requests_app.actions.ending import begin_end, clean_reason, record_revocation
from requests_app.actions.fetching import lock_grant
from requests_app.actions.leaving import close_item
from requests_app.freezes.holding import (
    begin_to_freeze,
    freeze_for_grant,
    grants_under,
    items_under,
    keep_freezes_out,
    standing,
)
from requests_app.freezes.models import Freeze
from requests_app.lifecycle import ENDABLE, EndReason
from requests_app.models import Grant
from requests_app.permissions import is_operator

log = structlog.get_logger(__name__)

register("freezing.ended", "freezing.closed", "freezing.before_carried")

# What one pass ends and closes for one freeze, and how many freezes it looks at; the next one follows in seconds.
MOST = 200
MOST_FREEZES = 100


def subject_of(kind: str, subject: str) -> Freeze:
    """An unstored freeze of something that the catalogue or the directory has, with its name as it is now.

    Raises:
        Missing: no such kind or subject.
    """
    match kind:
        case Freeze.Kind.PERSON:
            name = Person.objects.filter(object_id=subject).values_list("display_name", flat=True).first()
        case Freeze.Kind.ACCOUNT:
            name = AwsAccount.objects.filter(account_id=subject).values_list("name", flat=True).first()
        case Freeze.Kind.PERMISSION_SET:
            name = PermissionSet.objects.filter(arn=subject).values_list("name", flat=True).first()
        case _:
            name = None
    if name is None:
        raise Missing("freeze.subject_missing", "There is no such person, AWS account or permission set.")
    return Freeze(kind=kind, subject=subject, subject_name=name or subject)


def freeze(*, kind: str, subject: str, person_id: int, reason: str, actor: Actor) -> UUID:
    """Freeze a subject, from the commit on; gives the freeze's id. A worker then ends what is open there.

    Raises:
        Denied: not an operator.
        Missing: no such subject.
        Invalid: no reason, or one that can't be kept.
        Conflict: it is frozen already.
    """
    words = clean_reason(reason, "Say why: whoever loses access reads it, and it stays in the history.")
    with transaction():
        operator = _operator(person_id)
        begin_to_freeze()
        row = subject_of(kind, subject)
        row.frozen_by, row.frozen_at, row.reason = operator, business_now(), words
        try:
            with savepoint():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict("freeze.exists", "This is frozen already. Nothing was changed.") from error
        open_grants = grants_under(row)
        _tell(
            "incident.frozen",
            row,
            actor,
            {
                "grants": open_grants.count(),
                "people": open_grants.values("person").distinct().count(),
                "requests": items_under(row).count(),
            },
            words,
        )
        run_after_commit(nudges.freezes)
    return row.pk


def lift(*, freeze_id: UUID, person_id: int, reason: str, actor: Actor) -> None:
    """A second operator lets it go. Nothing comes back by itself: whoever needs access asks again.

    Raises:
        Missing: no such freeze.
        Denied: not an operator, or the human who froze it or is frozen, by any account.
        Invalid: no reason, or one that can't be kept.
        Conflict: it is lifted already, or what was open is still being ended.
    """
    words = clean_reason(reason, "Say why it can be lifted: it stays in the history.")
    with transaction():
        operator = _operator(person_id)
        row = (
            Freeze.objects.select_for_update(of=("self",))
            .select_related("frozen_by")
            .filter(pk=freeze_id)
            .first()
        )
        if row is None:
            raise Missing("freeze.missing", "There is no such incident.")
        if row.lifted_at is not None:
            raise Conflict("freeze.lifted", "This freeze is lifted already. Reload the page to see by whom.")
        if refusal := lift_refusal(row, operator):
            raise Denied("freeze.second_operator", refusal)
        if row.carried_at is None:
            raise Conflict(
                "freeze.not_carried",
                "A worker is still ending what was open. Lift it when the page says that this is done.",
            )
        row.version, row.lifted_by, row.lifted_at, row.lift_reason = 2, operator, business_now(), words
        Freeze.objects.filter(pk=row.pk).update(
            version=row.version, lifted_by=operator, lifted_at=row.lifted_at, lift_reason=words
        )
        _tell("incident.lifted", row, actor, _counts(row), words)


def lift_refusal(row: Freeze, operator: Person) -> str:
    """Why this operator can't be the second one, "" when they can."""
    if same_human(operator, row.frozen_by):
        return "You froze this yourself. A second operator has to lift it."
    if row.kind == Freeze.Kind.PERSON:
        frozen = Person.objects.filter(object_id=row.subject).first()
        if operator.object_id == row.subject or (frozen is not None and same_human(operator, frozen)):
            return "You are the one who is frozen. Another operator has to lift it."
    return ""


def _operator(person_id: int) -> Person:
    person = Person.objects.get(pk=person_id)
    if not person.enabled or not is_operator(person):
        raise Denied("freeze.operators_only", "Only operators freeze and lift.")
    return person


# ------------------------------------------------------------ what a worker does


def carry_freezes() -> int:
    """End and close what is open under the freezes that hold; gives how much. Harmless when repeated or run twice."""
    done = 0
    for row in _STANDING.rows():
        try:
            done += _carry(row)
        except (DomainError, IntegrityError) as error:
            # One row keeps no other from being carried; the next pass tries it again.
            log.exception("freeze_not_carried", freeze=str(row.pk), error=type(error).__name__)
    return done


_STANDING = Readymade(
    lambda: standing().select_related("frozen_by").order_by("frozen_at", "pk")[:MOST_FREEZES]
)


def _carry(row: Freeze) -> int:
    grants = list(grants_under(row).order_by("pk").values_list("pk", flat=True)[:MOST])
    ended = sum(_end_one(row, grant_id) for grant_id in grants)
    items = list(items_under(row).select_related("requester").order_by("pk")[:MOST])
    closed = 0
    for item in items:
        closed += close_item(item, row.sentence, alongside=lambda: _add(row, "items_closed"))
        crash_point("freezing.closed")
    if row.carried_at is None and max(len(grants), len(items)) < MOST:
        crash_point("freezing.before_carried")
        _carried(row.pk)
    return ended + closed


def _end_one(row: Freeze, grant_id: UUID) -> int:
    try:
        with transaction():
            grant = lock_grant(grant_id)
            if grant.status not in ENDABLE:
                return 0
            end_under(row, grant)
            run_after_commit(lambda: nudges.grant(grant_id))
    except (DomainError, IntegrityError) as error:
        log.exception("grant_not_ended", grant=str(grant_id), error=type(error).__name__)
        return 0
    crash_point("freezing.ended")
    return 1


@transaction_required
def end_under(row: Freeze, grant: Grant) -> None:
    """Put a locked, endable grant on its way out under a freeze: the operator revokes it, a worker moves it."""
    operator = Actor.person(row.frozen_by.object_id, row.frozen_by.display_name)
    record_revocation(
        grant,
        EndReason.INCIDENT,
        by=row.frozen_by,
        reason=row.reason,
        acting_as="operator, in an incident",
        actor=operator,
        freeze=row,
    )
    begin_end(grant, EndReason.INCIDENT, actor=Actor.worker())
    _add(row, "grants_ended")


def _add(row: Freeze, counter: str) -> None:
    # A freeze that was lifted meanwhile keeps its counts.
    standing().filter(pk=row.pk).update(**{counter: F(counter) + 1})


def _carried(freeze_id: UUID) -> None:
    with transaction():
        row = standing().select_for_update().get(pk=freeze_id)
        left = grants_under(row).exists() or items_under(row).exists()
        if row.carried_at is not None or left:
            return
        Freeze.objects.filter(pk=row.pk).update(carried_at=business_now())
        _tell("incident.carried", row, Actor.worker(), _counts(row))


# ------------------------------------------------------------ the gates of a worker


def end_if_frozen(claim: Claim) -> bool:
    """Before a step: True when a freeze ended this grant and the lease was given back. No query while nothing is."""
    endable = claim.grant.status in ENDABLE and claim.anything_frozen
    if not endable or freeze_for_grant(claim.grant) is None:
        return False
    with settle(claim) as grant:
        row = freeze_for_grant(grant)
        if grant.status not in ENDABLE or row is None:
            return False
        end_under(row, grant)
        rest(grant)
    return True


@transaction_required
def stop_if_frozen(grant: Grant) -> None:
    """At the last moment, in the transaction that lets a locked grant start or be sent: nothing passes a freeze.

    Raises:
        Superseded: it is frozen; the next step ends it.
    """
    keep_freezes_out()
    if freeze_for_grant(grant) is not None:
        raise Superseded(str(grant.pk))


def _counts(row: Freeze) -> dict[str, int]:
    return {"grants": row.grants_ended, "requests": row.items_closed}


def _tell(event: str, row: Freeze, actor: Actor, counts: dict[str, int], reason: str = "") -> None:
    person = row.kind == Freeze.Kind.PERSON
    record(
        event,
        actor=actor,
        # What a worker did is no version of its own: the freeze holds on.
        subject=None if event == "incident.carried" else Subject("freeze", row.pk, row.version),
        fields={"kind": row.get_kind_display(), "subject": row.subject, "what": row.what, **counts},
        words={"reason": reason} if reason else {},
        about_oid=row.subject if person else "",
        about_name=row.subject_name if person else "",
    )
