"""Faults that somebody asked for. Fronts take them by the name of the operation and act on them."""

import fnmatch
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from simulator.world.world import World

type Kind = Literal["lose_request", "lose_answer", "delay", "throttle", "error", "error_after", "stale"]
KINDS: tuple[str, ...] = get_args(Kind.__value__)


@dataclass
class Fault:
    """One fault: `count` times (None: until removed) for operations that match `operation` (fnmatch).

    With a `rate` below one it meets that share of the calls that it fits, drawn from `seed`.
    """

    id: int
    operation: str
    kind: Kind
    count: int | None = 1
    seconds: float = 0.0
    status: int = 500
    code: str = ""
    message: str = ""
    retry_after: int | None = None
    retry_after_date: bool = False
    rate: float = 1.0
    seed: int = 0
    fitted: int = 0  # calls that it fits, met by it or not
    taken: int = 0

    def meets(self, operation: str, where: str = "") -> bool:
        """Whether this call is met by it: the operation fits (or `operation@where` does), and the dice fall so."""
        names = [operation, f"{operation}@{where}"] if where else [operation]
        if self.kind == "stale" or not any(fnmatch.fnmatchcase(each, self.operation) for each in names):
            return False
        self.fitted += 1
        return self.rate >= 1 or random.Random(f"{self.seed} {self.id} {self.fitted}").random() < self.rate


class Faults:
    """The faults that are waiting. They are not saved with the world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._faults: list[Fault] = []
        self._counter = 0

    def add(
        self,
        operation: str,
        kind: str,
        *,
        count: int | None = 1,
        seconds: float = 0.0,
        status: int = 500,
        code: str = "",
        message: str = "",
        retry_after: int | None = None,
        retry_after_date: bool = False,
        rate: float = 1.0,
        seed: int = 0,
    ) -> Fault:
        """Ask for a fault.

        Raises:
            ValueError: an unknown kind, a count below one, or a rate that isn't above 0 and at most 1.
        """
        known: dict[str, Kind] = {
            "lose_request": "lose_request",
            "lose_answer": "lose_answer",
            "delay": "delay",
            "throttle": "throttle",
            "error": "error",
            "error_after": "error_after",
            "stale": "stale",
        }
        if kind not in known:
            raise ValueError(f"unknown kind of fault '{kind}'; one of {', '.join(KINDS)}")
        if count is not None and count < 1:
            raise ValueError("a fault happens at least once")
        if not 0 < rate <= 1:
            raise ValueError("the rate of a fault is above 0 and at most 1")
        self._counter += 1
        fault = Fault(
            id=self._counter,
            operation=operation,
            kind=known[kind],
            count=count,
            seconds=seconds,
            status=429 if kind == "throttle" and status == 500 else status,
            code=code,
            message=message,
            retry_after=retry_after,
            retry_after_date=retry_after_date,
            rate=rate,
            seed=seed,
        )
        self._faults.append(fault)
        self._world.journal("fault asked for", f"{kind} on {operation}", count=str(count))
        return fault

    def take(self, operation: str, where: str = "") -> Fault | None:
        """The oldest waiting fault for this operation, used up by one; None when none meets it.

        `where` is the account and Region (`222233334444/eu-west-1`) of a service that has one of each for itself.
        """
        for fault in self._faults:
            if fault.meets(operation, where):
                fault.taken += 1
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count == 0:
                        self._faults.remove(fault)
                self._world.journal("fault", f"{fault.kind} on {operation}")
                return fault
        return None

    def staleness(self, operation: str) -> timedelta:
        """How old the world is that this read shows: the worst of the stale faults and the switch."""
        lag = self._world.switches.replication_seconds
        for fault in self._faults:
            if fault.kind == "stale" and fnmatch.fnmatchcase(operation, fault.operation):
                lag = max(lag, fault.seconds)
        return timedelta(seconds=lag)

    def list(self) -> list[Fault]:
        """What is waiting, oldest first."""
        return list(self._faults)

    def remove(self, fault_id: int) -> bool:
        """Forget one; False when there is none of this id."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != fault_id]
        return len(self._faults) < before

    def clear(self) -> None:
        """Forget all."""
        self._faults.clear()
