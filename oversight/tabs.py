"""The operator's pages, in the order of their tabs. A page of any room joins by its address's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from django.urls import reverse

from identity.models import User


@dataclass(frozen=True, slots=True)
class Tab:
    """One page below /operations/: the name of its address in a URLconf, and who besides operators may read it."""

    route: str
    name: str
    auditors: bool = False


TABS = (
    Tab("operations", "Health", auditors=True),
    Tab("operations_drift", "Drift", auditors=True),
    Tab("operations_queue", "Queue"),
    Tab("operations_incidents", "Incidents", auditors=True),
    Tab("operations_emergencies", "Emergencies", auditors=True),
    Tab("operations_absences", "Absences"),
    Tab("operations_reviews", "Reviews", auditors=True),
    Tab("operations_rules", "Rules", auditors=True),
    Tab("operations_alerts", "Alerts"),
    Tab("operations_notifications", "Messages"),
    Tab("operations_settings", "Settings in force"),
)


class Entry(TypedDict):
    """What `components/tabs.html` shows."""

    address: str
    name: str
    current: bool


def tabs_for(user: User, path: str) -> Sequence[Entry]:
    """The tabs that this person may open; the one with the longest address that holds `path` is the current one."""
    found = [
        (reverse(tab.route), tab) for tab in TABS if user.is_operator or (tab.auditors and user.is_auditor)
    ]
    holding = [address for address, _ in found if path.startswith(address)]
    current = max(holding, key=len, default="")
    return [{"address": address, "name": tab.name, "current": address == current} for address, tab in found]
