"""The two clocks.

*Business time* governs everything that belongs to access: starts, ends, PIM's minima,
provisioning cycles. In production it is real time; the demo and the tests may scale or step
it, together with the simulated clouds. *Real time* governs everything that belongs to
machines: leases, back-off, Retry-After, tokens, TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class BusinessClock:
    """An anchor on both clocks and the factor between them."""

    factor: float
    anchor_real: datetime
    anchor_business: datetime

    @property
    def plain(self) -> bool:
        """Whether it is the machine's own clock, as in production."""
        return self.factor == 1.0 and self.anchor_business == self.anchor_real

    def at(self, real: datetime) -> datetime:
        """The business instant that corresponds to a real one."""
        return self.anchor_business + (real - self.anchor_real) * self.factor

    def real_duration(self, business: timedelta) -> timedelta:
        """How long a span of business time takes in front of the screen."""
        return business / self.factor


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_clock = BusinessClock(factor=1.0, anchor_real=_EPOCH, anchor_business=_EPOCH)
_real: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731 - replaced as a whole by tests


def real_now() -> datetime:
    """Now on the machine's clock, aware, in UTC."""
    return _real()


def business_now() -> datetime:
    """Now on the business clock, aware, in UTC. Pass it to SQL as a parameter; never use now() there."""
    return _clock.at(_real())


def business_clock() -> BusinessClock:
    """The clock in force, for those who must translate spans (progress bars, the demo's banner)."""
    return _clock


def configure(clock: BusinessClock) -> None:
    """Set the process's business clock; called once from the settings, and by tests."""
    global _clock
    _clock = clock


def replace_real_clock(source: Callable[[], datetime] | None) -> None:
    """Let a test step real time as well; None restores the machine's clock."""
    global _real
    _real = source or (lambda: datetime.now(UTC))
