"""The settings that decide how access comes and goes, with what each one means. An allow-list: no secret is on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from base.clock import business_clock
from base.words import duration_words


@dataclass(frozen=True, slots=True)
class InForce:
    """One setting: its name, its value in words, and what it decides."""

    name: str
    value: str
    meaning: str


# Title, and name with meaning. Only names of this list are ever shown.
SHOWN: Sequence[tuple[str, Sequence[tuple[str, str]]]] = (
    (
        "Installation",
        (
            ("PORTAL_MODE", "production, demo or test"),
            ("PORTAL_ORIGIN", "the address in people's browsers"),
            ("ENTRA_TENANT_ID", "the tenant whose people may sign in"),
            ("ENTRA_AWS_SERVICE_PRINCIPAL_ID", "the enterprise application that carries memberships to AWS"),
            ("AWS_ACCESS_PORTAL_URL", "where people open their access"),
            ("AWS_SSO_REGION", "the region of IAM Identity Center"),
        ),
    ),
    (
        "Access",
        (
            ("PIM_MINIMUM", "PIM refuses shorter assignments, and removals of younger ones"),
            ("SHORTEST_ACCESS", "for how long new access is asked for at least"),
            ("PROVISIONING_CYCLE", "how long one provisioning cycle is taken to be"),
            ("AWS_SESSION_CACHE", "until when AWS may open sessions after a membership is gone"),
            ("OVERDUE_ENTRA", "how long after its end a membership may be in Entra before it is overdue"),
            ("OVERDUE_AWS", "how long it may be in AWS after that before it is overdue"),
            ("EMERGENCY_PROCEDURE", "what people are told to do in an emergency when the portal is too slow"),
            ("EMERGENCY_PROCEDURE_URL", "where that is written"),
            ("LATEST_START", "how far ahead a request may ask to start"),
            ("DECISION_TARGET", "within which a decision is wanted; none: half of the time that it waits"),
            ("NARROW_PATH_PLACES", "calls that leave at most for the enterprise application's narrow path"),
            ("NARROW_PATH_SPAN", "in any span of this length"),
            ("NARROW_PATH_SHARED_WITH_PIM", "whether PIM's assignments draw on the narrow path too"),
            ("LATE_ARRIVAL_WATCH", "how long a grant that never arrived is watched"),
            (
                "FAST_REMOVAL",
                "off, or how a membership that is over leaves AWS before the provisioning cycle",
            ),
            ("SESSION_SEVERING", "whether open AWS sessions of access that is over are denied"),
            ("SESSION_SEVERING_PLACES", "where those denials may be written"),
            ("ACTIVITY", "whether what was done with access is read from CloudTrail"),
            ("ACTIVITY_SOURCE", "where it is read: each account's event history, CloudTrail Lake, or Athena"),
            ("ACTIVITY_REGIONS", "the Regions that are read"),
            ("ACTIVITY_KEEP", "how long summaries of it are kept"),
        ),
    ),
    (
        "Work",
        (
            ("SWEEP_EVERY", "how often owed work is looked for"),
            ("LEASE", "how long one worker's claim on a row holds"),
            ("CATALOG_SYNC_CONCURRENCY", "calls that the catalogue sync has under way at once"),
            ("SESSION_IDLE_LIMIT", "when an idle browser session ends"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together."""

    title: str
    rows: Sequence[InForce]


def settings_in_force() -> Sequence[Group]:
    """What the web process was started with. Workers read the same environment file."""
    groups = [
        Group(
            title, [InForce(name, _words(getattr(settings, name, None)), meaning) for name, meaning in rows]
        )
        for title, rows in SHOWN
    ]
    factor = InForce(
        "BUSINESS_CLOCK_FACTOR", f"{business_clock().factor:g}", "how fast the business clock runs"
    )
    return [*groups, Group("Clock", [factor])]


def _words(value: object) -> str:
    match value:
        case None | "":
            return "not set"
        case bool():
            return "on" if value else "off"
        case list():
            return ", ".join(map(str, value)) or "not set"
        case timedelta():
            return duration_words(value)
        case _:
            return str(value)
