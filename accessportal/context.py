"""What every template may use: the `portal` of this request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from base.clock import business_clock, business_now
from base.words import duration_words
from catalog.freshness import ProvisioningHealth, provisioning_health, read_at
from identity.models import Person, User
from oversight.rules.models import RuleChange
from oversight.rules.seconds import waiting_for
from oversight.selectors import alert_count
from oversight.tabs import Entry, tabs_for
from requests_app.freezes.holding import held, own_freeze
from requests_app.freezes.models import Freeze
from requests_app.selectors import waiting_count, waits_for
from reviews.selectors import is_reviewing

# Freezes that a banner names.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the navigation."""

    address: str
    name: str
    shape: str
    current: str  # aria-current: "page" on its own address, "true" below it
    count: int = 0
    key: str = ""  # after "g", where shortcuts are on


class Portal:
    """This installation and whoever is signed in. Nothing is read before a template asks for it."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def now(self) -> datetime:
        """The business clock, as of this page."""
        return business_now()

    @property
    def factor(self) -> str:
        """How fast the business clock runs, as scripts read it."""
        return f"{business_clock().factor:g}"

    @property
    def hour_words(self) -> str:
        """How long an hour of business time takes in front of the screen."""
        return duration_words(business_clock().real_duration(timedelta(hours=1)))

    @property
    def demo(self) -> bool:
        return settings.PORTAL_MODE == "demo"

    @cached_property
    def user(self) -> User | None:
        user = getattr(self._request, "user", None)
        return user if isinstance(user, User) and user.is_active else None

    @property
    def signed_in(self) -> bool:
        return self.user is not None

    @property
    def person(self) -> Person | None:
        return self.user.person if self.user else None

    @property
    def shortcuts(self) -> bool:
        """Whether single keys act on pages for this person."""
        return self.user is not None and self.user.shortcuts

    @property
    def initials(self) -> str:
        names = self.person.display_name.split() if self.person else []
        return "".join(name[0] for name in (names[:1] + names[1:][-1:])).upper()

    @property
    def powers(self) -> list[str]:
        """What Entra's app roles add to an employee."""
        if self.user is None:
            return []
        return [str(name) for name in self.user.app_roles]

    @cached_property
    def waiting(self) -> int:
        """How many requests wait for this person's decision."""
        counted: int | None = getattr(self._request, "waiting_count", None)
        if counted is not None:
            return counted
        return waiting_count(waits_for(self.person)) if self.person else 0

    @cached_property
    def reviewing(self) -> bool:
        """Whether eligibilities wait for this person's review; asked for by the page of approvals only."""
        return self.person is not None and is_reviewing(self.person)

    @cached_property
    def data_read_at(self) -> datetime | None:
        """When the oldest part of the catalogue was last read."""
        return read_at()

    @cached_property
    def provisioning(self) -> ProvisioningHealth:
        """Whether anything is carried to AWS now; pages that are concerned show its sentence."""
        return provisioning_health()

    @cached_property
    def own_freeze(self) -> Freeze | None:
        """The incident in which this person is frozen."""
        return own_freeze(self.person) if self.person else None

    @property
    def freezes(self) -> Sequence[Freeze]:
        """What operators are told on every page."""
        return held()[:MOST_NAMED] if self.user is not None and self.user.is_operator else []

    @property
    def more_freezes(self) -> bool:
        return len(held()) > MOST_NAMED

    @cached_property
    def rule_changes(self) -> Sequence[RuleChange]:
        """Proposed changes of the rules on which this operator can be the second one; Home lists them."""
        if self.person is None or self.user is None or not self.user.is_operator:
            return []
        return waiting_for(self.person)

    @cached_property
    def sections(self) -> list[Section]:
        """The navigation of this person."""
        entries = [
            self._section("/", "Home", "home", key="h"),
            self._section("/access/", "Access", "key", key="c"),
            self._section("/requests/", "Requests", "queue-list", key="r"),
            self._section("/approvals/", "Approvals", "check-badge", key="i", count=self.waiting),
        ]
        if self.user and self.user.is_auditor:
            entries.append(self._section("/audit/", "Audit", "document-magnifying-glass", key="a"))
        if self.user and self.user.is_operator:
            entries.append(
                self._section(
                    "/operations/", "Operations", "wrench-screwdriver", key="o", count=alert_count()
                )
            )
        return entries

    @cached_property
    def operations(self) -> Sequence[Entry]:
        """The tabs of the operator's pages that this person may open."""
        return tabs_for(self.user, self._request.path) if self.user else []

    def _section(self, address: str, name: str, shape: str, *, key: str, count: int = 0) -> Section:
        path = self._request.path
        below = address != "/" and path.startswith(address)
        current = "page" if path == address else "true" if below else ""
        return Section(address=address, name=name, shape=shape, current=current, count=count, key=key)


def portal(request: HttpRequest) -> dict[str, Any]:
    """Context processor."""
    return {"portal": Portal(request), "portal_mode": settings.PORTAL_MODE}
