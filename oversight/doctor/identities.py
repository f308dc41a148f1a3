"""The worker's own identities: who it is at Entra and AWS, what it may do, and whether its clock agrees with theirs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from clients.registry import Clients
from clients.types import EntraIdentity
from oversight.doctor.ends import end_finding
from oversight.doctor.findings import Finding, Level, ask, good

# Each with those that include it (docs/permissions.md); without any of them no grant works.
NEEDED_ROLES: tuple[tuple[str, frozenset[str], str], ...] = (
    (
        "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
        frozenset(),
        "Without it nobody can be put into a group or taken out of one.",
    ),
    (
        "PrivilegedEligibilitySchedule.Read.AzureADGroup",
        frozenset({"PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup"}),
        "Without it the portal can't see who is eligible, so nobody can ask.",
    ),
    (
        "RoleManagementPolicy.Read.AzureADGroup",
        frozenset({"RoleManagementPolicy.ReadWrite.AzureADGroup"}),
        "Without it a group's PIM settings stay unknown, and it can't be asked for.",
    ),
    (
        "GroupMember.Read.All",
        frozenset(
            {"GroupMember.ReadWrite.All", "Group.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}
        ),
        "Without it groups and their members can't be read.",
    ),
    (
        "User.Read.All",
        frozenset({"Directory.Read.All", "Directory.ReadWrite.All"}),
        "Without it nobody's account can be checked before access starts, so none starts.",
    ),
)
# What does instead of the first where every group is activated as the person; the second lets the portal end it, too.
PIM_READ, PIM_REMOVE = (
    "PrivilegedAssignmentSchedule.Read.AzureADGroup",
    "PrivilegedAssignmentSchedule.Remove.AzureADGroup",
)
PIM_WRITE = NEEDED_ROLES[0][0]
OWNED, APPLICATIONS = "Application.ReadWrite.OwnedBy", "Application.Read.All"
SYNC_WRITE, SYNC_READ = "Synchronization.ReadWrite.All", "Synchronization.Read.All"
TOO_MUCH = {
    "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup": "make people eligible",
    "RoleManagementPolicy.ReadWrite.AzureADGroup": "change the rules of PIM",
    "GroupMember.ReadWrite.All": "put people into groups around PIM",
    "Directory.ReadWrite.All": "change nearly everything in the directory",
    "RoleManagement.ReadWrite.Directory": "give itself any role in the directory",
}
# AWS refuses a request that is signed with a clock five minutes off; Entra refuses an assertion likewise.
REFUSED_SKEW, NOTABLE_SKEW = timedelta(minutes=5), timedelta(seconds=30)


def entra(clients: Clients, *, tenant_id: str, now: datetime, as_person: bool = False) -> Iterator[Finding]:
    """Sign-in of the worker, its tenant, its permissions by its own token, its certificate, the clock."""
    about = "the worker's app registration"
    found = ask(
        "entra.sign-in",
        about,
        clients.entra_standing.identity,
        needs="a valid credential to the worker's app registration",
        why="Without a token of its own the worker can neither read nor change anything in Entra.",
    )
    yield good("entra.sign-in", about, f"Entra gives {found.application_id or 'the worker'} a token.")
    if found.tenant_id.lower() != tenant_id.lower():
        yield Finding(
            "entra.tenant",
            Level.BROKEN,
            about,
            f"The token is of tenant {found.tenant_id or 'unknown'}, the portal is set to {tenant_id or 'none'}.",
            "People and groups of two tenants would be taken for one.",
            "Correct ENTRA_TENANT_ID, or use the registration of that tenant.",
        )
    yield from roles(found, as_person=as_person)
    if found.credential_ends_at is not None:
        yield end_finding(
            "entra.worker-certificate", "the worker's certificate", found.credential_ends_at, now=now
        )
    yield skew("entra.clock", "Microsoft Graph", found.clock_skew)


def roles(found: EntraIdentity, *, as_person: bool = False) -> Iterator[Finding]:
    """The permissions in the worker's own token: what is missing, and what is more than it needs.

    `as_person`: every managed group is activated as the person.
    """
    about = "permissions of the worker"
    reads = frozenset({PIM_READ}) if as_person else frozenset()
    missing = [
        (name, why)
        for name, includes, why in NEEDED_ROLES
        if name not in found.roles
        and not (includes | (reads if name == PIM_WRITE else frozenset())) & found.roles
    ]
    for name, why in missing:
        mend = f"Add the application permission {name} and give admin consent."
        yield Finding(
            "entra.permissions", Level.BROKEN, about, f"The worker's token doesn't carry {name}.", why, mend
        )
    if not missing:
        yield good("entra.permissions", about, "The worker's token carries every permission that it needs.")
    if as_person and PIM_WRITE not in found.roles and PIM_REMOVE not in found.roles:
        yield Finding(
            "entra.permissions",
            Level.WARNING,
            about,
            f"The worker's token carries no {PIM_REMOVE}.",
            "A revocation waits for the holder's own sign-in, or for PIM's end.",
            f"Add {PIM_REMOVE}, which can only take away, unless you accept that.",
        )
    yield from _provisioning_roles(found, about)
    for name in sorted(TOO_MUCH.keys() & found.roles):
        yield Finding(
            "entra.permissions",
            Level.WARNING,
            about,
            f"The worker's token carries {name}, which it doesn't need.",
            f"Whoever takes the worker over could {TOO_MUCH[name]}.",
            f"Remove {name} from the app registration.",
        )


def _provisioning_roles(found: EntraIdentity, about: str) -> Iterator[Finding]:
    if OWNED in found.roles or {APPLICATIONS, SYNC_WRITE} <= found.roles:
        return
    if {APPLICATIONS, SYNC_READ} <= found.roles:
        yield Finding(
            "entra.permissions",
            Level.WARNING,
            about,
            "The worker may read the provisioning job, and may not provision on demand.",
            "Access arrives with the next cycle, up to forty minutes later.",
            f"Add {OWNED}, and make the worker's service principal an owner of the enterprise application.",
        )
        return
    yield Finding(
        "entra.permissions",
        Level.BROKEN,
        about,
        f"The worker's token carries neither {OWNED} nor {APPLICATIONS} with {SYNC_WRITE}.",
        "Which groups are provisioned, and whether provisioning runs, stays unknown: requests are refused.",
        f"Add {OWNED}, and make the worker's service principal an owner of the enterprise application.",
    )


def aws(clients: Clients) -> Iterator[Finding]:
    """Who the worker is at AWS, and the clock."""
    found = ask(
        "aws.sign-in",
        "the worker's AWS identity",
        clients.aws_standing.identity,
        needs="AWS credentials to the worker",
        why="Without them nothing shows that access arrived in AWS or left it.",
    )
    yield good("aws.sign-in", "the worker's AWS identity", f"AWS knows the worker as {found.arn}.")
    yield skew("aws.clock", "AWS", found.clock_skew)


def skew(check: str, vendor: str, off: timedelta | None) -> Finding:
    """How far the vendor's clock is from ours."""
    about = "this machine's clock"
    if off is None:
        return Finding(check, Level.UNKNOWN, about, f"No answer of {vendor} told its time.")
    seconds = off.total_seconds()
    what = (
        f"{vendor}'s clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's."
    )
    mend = "Let this machine follow a time server."
    if abs(off) >= REFUSED_SKEW:
        return Finding(
            check, Level.BROKEN, about, what, "Signed requests are refused when clocks differ so much.", mend
        )
    if abs(off) >= NOTABLE_SKEW:
        return Finding(
            check,
            Level.WARNING,
            about,
            what,
            "Access would start or end that much too late or too soon.",
            mend,
        )
    return good(check, about, f"{vendor}'s clock agrees with this machine's.")
