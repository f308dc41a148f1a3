"""One row per outside call. Writes also leave two audit events.

The row of a write is committed before the call and completed after it: its id is the client-request-id that travels with
the call, so that a crash between the two halves leaves the same id here and at the vendor. A read changes nothing
outside: its row is written when it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django_subatomic.db import transaction

from base.clock import real_now
from base.crash import crash_point, register
from base.readymade import insert, set_columns
from clients import errors
from clients.breaker import CircuitOpen
from clients.registry import clients
from clients.types import Reading, Receipt
from requests_app.actions.claiming import Claim, LeaseLost, Superseded, note, settle
from requests_app.actions.freezing import stop_if_frozen
from requests_app.actions.pathing import (
    Place,
    Wait,
    give_back,
    keep_if_slow,
    never_left,
    take_place,
    take_place_again,
)
from requests_app.actions.recording import record_of
from requests_app.models import Attempt, Grant
from requests_app.narrow_path import NOT_SENT
from requests_app.path_models import PathKind

log = structlog.get_logger(__name__)

KEEP_READS = timedelta(days=7)
KEEP_WRITES = timedelta(days=400)

register("write.intent_recorded", "write.answered")

_EVENTS = {
    Attempt.Kind.ASSIGN: "outside.assignment",
    Attempt.Kind.EXTEND: "outside.extension",
    Attempt.Kind.REMOVE: "outside.removal",
    Attempt.Kind.ON_DEMAND: "outside.provisioning",
    Attempt.Kind.PASS_ON: "outside.approval",
    Attempt.Kind.WITHDRAW: "outside.withdrawal",
}
# What gives access: not sent while an incident has frozen it.
_GIVING = frozenset({Attempt.Kind.ASSIGN, Attempt.Kind.EXTEND, Attempt.Kind.PASS_ON})


@dataclass(frozen=True, slots=True)
class Answer[T]:
    """What a call brought back: a value, or the error that stands in its place."""

    value: T | None
    error: errors.ClientError | None
    receipt: Receipt


def read[T](grant: Grant, kind: Attempt.Kind, call: Callable[[], Reading[T]]) -> Reading[T]:
    """Make a reading call, and leave its attempt row. Raises what the port raises, after recording it."""
    attempt = _begun(grant, kind, KEEP_READS)
    try:
        reading = call()
    except errors.ClientError as error:
        _leave(attempt, _result(Attempt.Outcome.RETRY, error.receipt, error))
        raise
    _leave(attempt, _result(Attempt.Outcome.DONE, reading.receipt))
    return reading


def _leave(attempt: Attempt, result: dict[str, Any]) -> None:
    for name, value in result.items():
        setattr(attempt, name, value)
    insert(attempt)


def place_for(grant: Grant, path: PathKind) -> Place | Wait:
    """A place on the narrow path for one of the writes below, or in its queue; as `pathing.take_place`.

    Raises:
        CircuitOpen: the cloud is known to be away. No place is taken, and whoever waits already keeps theirs.
    """
    _ask_whether_away(Attempt.Kind.ASSIGN if path == PathKind.ASSIGN else Attempt.Kind.ON_DEMAND)
    return take_place(grant, path)


def place_to_complete(grant: Grant, path: PathKind) -> Place | Wait:
    """The same for a write that completes an earlier one; as `pathing.take_place_again`."""
    _ask_whether_away(Attempt.Kind.PASS_ON)
    return take_place_again(grant, path)


def write[T](
    claim: Claim,
    kind: Attempt.Kind,
    call: Callable[[str], Reading[T]],
    *,
    sent: dict[str, Any],
    place: Place | None = None,
    **facts: Any,
) -> Answer[T]:
    """Make a state-changing call: intent committed before, outcome committed after. Raises no port error but one.

    `sent` are the fields of the intent's event; `facts` are columns of the grant to set with the intent. When its
    `place` on the narrow path is over the call isn't made: the answer is then a `Throttled` with the code NOT_SENT.
    Whatever the reason, a call that isn't made gives its place back.

    Raises:
        LeaseLost: the lease is over, so nothing was sent. A worker that slept (its machine stood still) would
            otherwise assign anew what has been given back meanwhile.
        Superseded: somebody moved the grant on, or extended it, since it was claimed, or an incident has frozen what
            this call would give, so nothing was sent either.
        CircuitOpen: the cloud is known to be away, so nothing was written down and nothing sent.
    """
    with _given_back_unsent(place):
        _ask_whether_away(kind)
        attempt = _begin_write(claim, kind, sent, facts)
        crash_point("write.intent_recorded")
        if real_now() >= claim.until:
            raise LeaseLost(str(claim.grant.pk))
    answer = _send(str(attempt.pk), call, place)
    crash_point("write.answered")
    _finish_write(claim.grant, attempt, answer)
    return answer


def write_for_all[T](
    claims: Sequence[Claim],
    kind: Attempt.Kind,
    call: Callable[[str, Sequence[Grant]], Reading[T]],
    *,
    place: Place,
    **facts: Any,
) -> tuple[Answer[T], Sequence[Claim]]:
    """One state-changing call for several grants, each with its own intent and outcome under its own lease.

    The first claim's attempt gives the call its client-request-id; the events of all name it. Gives the answer
    and the claims that took part: a grant that was lost or moved on meanwhile stays behind.

    Raises:
        LeaseLost, Superseded, CircuitOpen: of the first claim, as in `write`; nothing was sent then.
    """
    with _given_back_unsent(place):
        _ask_whether_away(kind)
        first, *others = claims
        leading = _begin_write(first, kind, {"tag": first.grant.tag}, facts)
        taking = [(first, leading)]
        for claim in others:
            try:
                sent = {"tag": claim.grant.tag}
                taking.append((claim, _begin_write(claim, kind, sent, facts, call_id=str(leading.pk))))
            except (LeaseLost, Superseded) as reason:
                log.info("left_behind", grant=str(claim.grant.pk), reason=type(reason).__name__)
        crash_point("write.intent_recorded")
        if real_now() >= first.until:
            raise LeaseLost(str(first.grant.pk))
    grants = [claim.grant for claim, _ in taking]
    answer = _send(str(leading.pk), lambda call_id: call(call_id, grants), place)
    crash_point("write.answered")
    for claim, attempt in taking:
        _finish_write(claim.grant, attempt, answer, call_id=str(leading.pk))
    return answer, [claim for claim, _ in taking]


def _ask_whether_away(kind: Attempt.Kind) -> None:
    """A cloud that is known to be away gets no intent, so that an outage isn't told by two events for each retry."""
    clients().breaker.ask("provisioning" if kind == Attempt.Kind.ON_DEMAND else "graph")


@contextmanager
def _given_back_unsent(place: Place | None) -> Iterator[None]:
    """Until the call leaves: what keeps it here leaves its place on the narrow path to others."""
    try:
        yield
    except (CircuitOpen, LeaseLost, Superseded):
        if place is not None:
            give_back(place)
        raise


def _send[T](call_id: str, call: Callable[[str], Reading[T]], place: Place | None) -> Answer[T]:
    if place is not None and place.is_over():
        give_back(place)
        error = errors.Throttled(
            "The call could not leave in its turn; it waits for the next one.",
            retry_after=timedelta(0),
            code=NOT_SENT,
        )
        return Answer(None, error, Receipt(client_request_id=call_id))
    unsent = False
    try:
        reading = call(call_id)
        return Answer(reading.value, None, reading.receipt)
    except errors.ClientError as error:
        unsent = never_left(error)
        return Answer(None, error, error.receipt or Receipt(client_request_id=call_id))
    finally:
        if place is not None and unsent:
            give_back(place)
        elif place is not None:
            keep_if_slow(place)


def _begun(grant: Grant, kind: Attempt.Kind, keep: timedelta) -> Attempt:
    """The row of a call that begins now, not stored yet."""
    now = real_now()
    return Attempt(grant=grant, kind=kind, started_at=now, expires_at=now + keep)


def _begin_write(
    claim: Claim, kind: Attempt.Kind, sent: dict[str, Any], facts: dict[str, Any], *, call_id: str = ""
) -> Attempt:
    with settle(claim) as grant:
        if (grant.status, grant.revision) != (claim.grant.status, claim.grant.revision):
            raise Superseded(str(grant.pk))
        if kind in _GIVING:
            stop_if_frozen(grant)
        attempt = _begun(grant, kind, KEEP_WRITES)
        insert(attempt)
        if facts:
            note(grant, **facts)
        _record(grant, f"{_EVENTS[kind]}_sent", call_id or str(attempt.pk), sent)
    return attempt


def _finish_write[T](grant: Grant, attempt: Attempt, answer: Answer[T], *, call_id: str = "") -> None:
    outcome = outcome_of(answer.error)
    with transaction():
        result = _result(outcome, answer.receipt, answer.error)
        set_columns(Attempt, {"pk": attempt.pk}, result)
        _record(
            grant,
            f"{_EVENTS[Attempt.Kind(attempt.kind)]}_answered",
            call_id or str(attempt.pk),
            {
                "outcome": outcome.label.lower(),
                "vendor_request_id": answer.receipt.vendor_request_id,
                "code": answer.error.code if answer.error else "",
                "answer": answer.error.sentence if answer.error else "",
            },
        )


def outcome_of(error: errors.ClientError | None) -> Attempt.Outcome:
    """Which of the few outcomes an error amounts to."""
    match error:
        case None:
            return Attempt.Outcome.DONE
        case errors.OutcomeUnknown():
            return Attempt.Outcome.UNKNOWN
        case errors.Refused():
            return Attempt.Outcome.REFUSED
        case _:
            return Attempt.Outcome.RETRY


def _result(
    outcome: Attempt.Outcome, receipt: Receipt | None, error: errors.ClientError | None = None
) -> dict[str, Any]:
    """The columns that say what came of a call that is over now."""
    return {
        "outcome": outcome,
        "finished_at": real_now(),
        "vendor_request_id": receipt.vendor_request_id if receipt else "",
        "code": error.code[:64] if error else "",
        "sentence": error.sentence if error else "",
    }


def _record(grant: Grant, event: str, call_id: str, fields: dict[str, Any]) -> None:
    record_of(grant, event, {"client_request_id": call_id, **fields})
