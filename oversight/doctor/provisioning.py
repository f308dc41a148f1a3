"""The enterprise application and its provisioning job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from clients.registry import Clients
from clients.types import ProvisioningCode, ProvisioningJob
from oversight.doctor.findings import Finding, Level, ask, good

NEEDS = "Application.ReadWrite.OwnedBy as an owner of the enterprise application"
LATE = 3  # cycles; one that is skipped or slow is nobody's business
ABOUT = "the provisioning job"


def assigned_groups(clients: Clients) -> frozenset[str]:
    """The groups that SCIM carries, in lower case. Raises Stop."""
    found = ask(
        "application.groups",
        "the enterprise application",
        clients.directory.application_groups,
        needs=NEEDS,
        why="Which groups are provisioned stays unknown, so no group can be asked for.",
    )
    return frozenset(each.lower() for each in found)


def job(clients: Clients, *, now: datetime) -> Iterator[Finding]:
    """Whether the job runs, and its cycles complete. `now` is business time, the vendor's."""
    found = ask(
        "provisioning.job",
        ABOUT,
        clients.provisioning.job,
        needs=NEEDS,
        why="Whether provisioning runs stays unknown, so requests are refused.",
    )
    yield from _state(found)
    yield from _cycles(found, now)


def _state(found: ProvisioningJob) -> Iterator[Finding]:
    if found.code is ProvisioningCode.ACTIVE:
        yield good("provisioning.job", ABOUT, "It is active.")
        return
    mends = {
        ProvisioningCode.QUARANTINE: "Open the enterprise application's provisioning page, mend what it names (often the "
        "SCIM token), and restart provisioning.",
        ProvisioningCode.PAUSED: "Start provisioning on the enterprise application's provisioning page.",
    }
    reason = f" ({found.quarantine_reason})" if found.quarantine_reason else ""
    yield Finding(
        "provisioning.job",
        Level.BROKEN,
        ABOUT,
        f"Its state is {found.code.value}{reason}.",
        "Nothing is carried to AWS: access doesn't arrive, and access that ended in Entra stays in AWS.",
        mends.get(found.code, "Set provisioning up, as AWS's and Microsoft's guides describe."),
    )


def _cycles(found: ProvisioningJob, now: datetime) -> Iterator[Finding]:
    interval = found.interval or timedelta(minutes=40)
    ended = found.last_cycle_ended_at
    why = "A removal is carried by a cycle only; until then access stays in AWS."
    mend = "Look at the provisioning log; restart provisioning if no cycle begins."
    if found.code is not ProvisioningCode.ACTIVE:
        return
    if ended is None or now - ended > LATE * interval:
        what = (
            "No cycle has ended yet."
            if ended is None
            else f"The last cycle ended at {ended:%Y-%m-%d %H:%M} UTC."
        )
        yield Finding("provisioning.cycles", Level.BROKEN, ABOUT, what, why, mend)
    elif not found.last_cycle_completed:
        yield Finding("provisioning.cycles", Level.WARNING, ABOUT, "The last cycle failed.", why, mend)
    else:
        yield good("provisioning.cycles", ABOUT, f"The last cycle ended at {ended:%Y-%m-%d %H:%M} UTC.")
