"""What a check says: how bad it is, what is so, why that matters, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from clients.errors import ClientError, NotPermitted, Throttled, Unreachable
from clients.types import Reading


class Level(StrEnum):
    """From harmless to what breaks a grant."""

    GOOD = "good"
    UNKNOWN = "unknown"  # nothing tells it, or nobody has recorded it
    WARNING = "warning"  # grants work; something is worth mending
    BROKEN = (
        "broken"  # a grant would fail or couldn't be proven to have ended, or a seal would be kept nowhere
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `check` is the name of what was looked at, `about` the object's own."""

    check: str
    level: Level
    about: str
    what: str
    why: str = ""
    mend: str = ""


def good(check: str, about: str, what: str) -> Finding:
    """All is as it should be."""
    return Finding(check, Level.GOOD, about, what)


class Stop(Exception):
    """A call failed; nothing that builds on it can be checked."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


def ask[T](check: str, about: str, call: Callable[[], Reading[T]], *, needs: str, why: str) -> T:
    """The answer of one documented read. `needs` names the permission, `why` what fails without the answer.

    Raises:
        Stop: the call failed; the finding says how, and what to do.
    """
    try:
        return call().value
    except NotPermitted as error:
        mend = f"Grant {needs} (docs/permissions.md), with admin consent where Entra asks for it."
        raise Stop(Finding(check, Level.BROKEN, about, error.sentence, why, mend)) from error
    except (Throttled, Unreachable) as error:
        mend = "Run the command again; if it stays so, look at the network and the vendor's status page."
        raise Stop(Finding(check, Level.BROKEN, about, error.sentence, why, mend)) from error
    except ClientError as error:
        mend = (
            f"Compare the portal's settings with the tenant; the vendor's word is {error.code or 'missing'}."
        )
        raise Stop(Finding(check, Level.BROKEN, about, error.sentence, why, mend)) from error
