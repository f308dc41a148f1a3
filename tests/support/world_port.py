"""What every port over a simulated world shares: one call at a time, faults, receipts, errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import unquote

from clients import errors
from clients.types import Reading, Receipt
from simulator.world.errors import WorldError
from simulator.world.world import World


@dataclass
class Calls:
    """How often each operation took effect, and the writes one by one; what a test counts.

    `pause` lets time pass (seconds) while an answer is held back; a test with a stepped clock sets it.
    """

    made: dict[str, int]
    # Operation, client-request-id, and the clouds' time.
    writes: list[tuple[str, str, datetime]] = field(default_factory=list)
    pause: Callable[[float], None] = lambda _: None

    def count(self, operation: str) -> int:
        return self.made.get(operation, 0)


class WorldPort:
    """One at a time goes through to the world, as through the simulator's fronts."""

    _one_at_a_time = threading.RLock()

    def __init__(self, world: World, calls: Calls) -> None:
        self._world = world
        self._calls = calls
        self._numbers = 0

    def _read[T](self, operation: str, answer: Callable[[], T], *, where: str = "") -> Reading[T]:
        return self._call(operation, answer, client_request_id="", writes=False, where=where)

    def _write[T](self, operation: str, answer: Callable[[], T], client_request_id: str) -> Reading[T]:
        return self._call(operation, answer, client_request_id=client_request_id, writes=True)

    def _call[T](
        self,
        operation: str,
        answer: Callable[[], T],
        *,
        client_request_id: str,
        writes: bool,
        where: str = "",
    ) -> Reading[T]:
        with self._one_at_a_time:
            return self._answer(operation, answer, client_request_id, writes=writes, where=where)

    def _answer[T](
        self, operation: str, answer: Callable[[], T], client_request_id: str, *, writes: bool, where: str
    ) -> Reading[T]:
        self._world.advance()
        self._numbers += 1
        receipt = Receipt(
            client_request_id=client_request_id, vendor_request_id=f"{operation}#{self._numbers}"
        )
        fault = self._world.faults.take(operation, where)
        lost: type[errors.ClientError] = errors.OutcomeUnknown if writes else errors.Unreachable
        if fault is not None:
            match fault.kind:
                case "lose_request":
                    raise lost("Entra did not answer in time.", code="timeout", receipt=receipt)
                case "throttle":
                    wait = timedelta(seconds=fault.retry_after or 10)
                    raise errors.Throttled(
                        "Entra asks to wait.", retry_after=wait, code="429", receipt=receipt
                    )
                case "error" if fault.status < 500:
                    refusal = WorldError(fault.status, fault.code, fault.message)
                    raise _translated(refusal, receipt)
                case "error":
                    raise lost("Entra had an error of its own.", code=str(fault.status), receipt=receipt)
                case "delay":
                    self._calls.pause(fault.seconds)
                    self._world.advance()
                case _:
                    pass
        try:
            value = answer()
        except WorldError as error:
            raise _translated(error, receipt) from error
        self._calls.made[operation] = self._calls.made.get(operation, 0) + 1
        if writes:
            self._calls.writes.append((operation, client_request_id, self._world.now()))
        if fault is not None and fault.kind in {"lose_answer", "error_after"}:
            raise lost("Entra's answer was lost.", code="timeout", receipt=receipt)
        return Reading(value, receipt)


def _translated(error: WorldError, receipt: Receipt) -> errors.ClientError:
    sentence = f"The cloud refused: {error.message}"
    if error.status == 429:
        wait = timedelta(seconds=error.retry_after or 10)
        return errors.Throttled(sentence, retry_after=wait, code=error.code, receipt=receipt)
    known: dict[str, type[errors.ClientError]] = {
        "RoleAssignmentExists": errors.AlreadyAssigned,
        "RoleAssignmentDoesNotExist": errors.NothingToRemove,
        "ActiveDurationTooShort": errors.TooYoungToRemove,
        "SubjectNotFound": errors.Unreachable,  # somebody who was just made may be known a moment later
    }
    if error.status == 400 and "claims=" in error.message:
        claims = unquote(error.message.partition("claims=")[2])
        rules = ("AuthenticationContextRule",)
        return errors.StepUpRequired(sentence, claims=claims, rules=rules, code=error.code, receipt=receipt)
    if error.code == "RoleAssignmentRequestPolicyValidationFailed":
        rules = tuple(json.loads(error.message[error.message.index("[") :]))
        return errors.PolicyRefused(sentence, rules=rules, code=error.code, receipt=receipt)
    if error.code in known:
        return known[error.code](sentence, code=error.code, receipt=receipt)
    if error.status == 404 or error.code.endswith("NotFoundException"):
        return errors.NotFound(sentence, code=error.code, receipt=receipt)
    if error.status == 409 and error.code == "Conflict":
        return errors.Conflicting(sentence, code=error.code, receipt=receipt)
    if error.status == 403:
        return errors.NotPermitted(sentence, code=error.code, receipt=receipt)
    return errors.Refused(sentence, code=error.code, receipt=receipt)
