"""Things that end at a date: what no API tells, an operator records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from oversight.doctor.findings import Finding, Level, good

SOON = timedelta(days=30)


def recorded(*, certificate_ends: str, token_ends: str, now: datetime) -> Iterator[Finding]:
    """The enterprise application's signing certificate and the SCIM token, as an operator recorded their ends."""
    yield _recorded(
        "application.certificate",
        "the enterprise application's SAML signing certificate",
        "ENTRA_AWS_CERTIFICATE_ENDS",
        certificate_ends,
        why="When it ends, nobody can sign in to the AWS access portal.",
        now=now,
    )
    yield _recorded(
        "provisioning.token",
        "the SCIM access token of IAM Identity Center",
        "AWS_SCIM_TOKEN_ENDS",
        token_ends,
        why="When it ends, provisioning goes into quarantine: access neither arrives in AWS nor leaves it.",
        now=now,
    )


def _recorded(check: str, about: str, variable: str, text: str, *, why: str, now: datetime) -> Finding:
    if not text:
        mend = f"Look it up, and record it in {variable} as a date, for example 2027-01-31."
        return Finding(check, Level.UNKNOWN, about, "Its end isn't recorded, and no API tells it.", why, mend)
    try:
        end = datetime.combine(date.fromisoformat(text), time.min, UTC)
    except ValueError:
        what = f"{variable} is {text!r}, which is no date."
        return Finding(check, Level.UNKNOWN, about, what, why, "Write it as 2027-01-31.")
    return end_finding(
        check, about, end, now=now, why=why, mend=f"Renew it, and record the new end in {variable}."
    )


def end_finding(
    check: str,
    about: str,
    end: datetime,
    *,
    now: datetime,
    why: str = "When it ends, the worker can't sign in: no access starts, and no end is proven.",
    mend: str = "Renew it (docs/operations.md, Rotating secrets).",
) -> Finding:
    """Over, over soon, or good until then. Real time."""
    day = f"{end:%Y-%m-%d}"
    if end <= now:
        return Finding(check, Level.BROKEN, about, f"It ended on {day}.", why, mend)
    if end - now <= SOON:
        return Finding(
            check, Level.WARNING, about, f"It ends on {day}, in {(end - now).days} days.", why, mend
        )
    return good(check, about, f"It is good until {day}.")
