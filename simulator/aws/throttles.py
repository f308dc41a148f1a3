"""AWS's request limits as token buckets. They count in real time, because clients wait in real time."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# (per second, burst). sso-admin counts all its calls together, identitystore and organizations each operation alone;
# the numbers of organizations are guesses around what tools report, but for ListRoots (AWS contract 1.1-1.3).
VENDOR: Mapping[str, tuple[float, float]] = {
    "sso-admin": (20, 20),
    "identitystore.*": (20, 20),
    "organizations.*": (5, 10),
    "organizations.ListRoots": (1, 2),
    "cloudtrail.LookupEvents": (2, 2),  # for each account and Region
}
BY_ACCOUNT_AND_REGION = {"cloudtrail"}


@dataclass
class Throttles:
    """`rates` by service, `service.*` (each operation alone) or `service.Operation`; an empty one never throttles."""

    rates: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(VENDOR))
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(
        self,
        service: str,
        operation: str,
        *,
        account: str = "",
        caller: str = "",
        region: str = "",
        rate: float | None = None,
    ) -> bool:
        """Whether this call may go ahead. Services that count by account and Region use `account` and `region`.

        The others count for the instance, or by `caller` when one is given. `rate` takes the place of the number for
        each operation, with twice as much at once.
        """
        whose = f"{account}/{region}" if service in BY_ACCOUNT_AND_REGION else caller
        for key, rule in (
            (f"{service}.{operation}", f"{service}.{operation}"),
            (f"{service}.{operation}", f"{service}.*"),
            (service, service),
        ):
            if rule in self.rates:
                given, burst = self.rates[rule]
                if rate is not None and rule.endswith("*"):
                    given, burst = rate, 2 * rate
                return self.draw(f"{key}@{whose}", given, burst)
        return True

    def draw(self, key: str, rate: float, burst: float, amount: float = 1) -> bool:
        """Take `amount` out of a bucket that fills by `rate` a second up to `burst`; False when it holds less."""
        now = self.clock()
        tokens, last = self._buckets.get(key, (burst, now))
        tokens = min(burst, tokens + (now - last) * rate)
        allowed = tokens >= amount
        self._buckets[key] = (tokens - amount if allowed else tokens, now)
        return allowed


NEVER = Throttles(rates={})
