"""Places outside the database that keep seals: whether the bucket locks what it takes, whether time stamps verify.

They are the sealer's, so these checks run where the sealer's settings are. Nothing is put anywhere; of a time-stamping
authority a stamp of a line that is no seal is asked for, of which it keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from cryptography import x509
from django.conf import settings

from audit.forwarding import locked_objects
from audit.ledger import tsa_anchor
from audit.ledger.anchors import KINDS, AnchorError
from audit.ledger.canonical import instant
from audit.ledger.tsa_anchor import StampError, TsaAnchor, load_roots, stamp_of
from clients.ports import ObjectStore
from clients.types import Reading, Receipt, StoredObject
from oversight.doctor.ends import end_finding
from oversight.doctor.findings import Finding, Level, Stop, ask, good

BUCKET, STAMPS, PLACES = "anchors.bucket", "anchors.time-stamps", "anchors.places"
KEPT = "Seals aren't kept there: whoever administers the database and has the sealing key could rewrite the trail."
LINE = b"access-portal doctor"  # no seal, so that its stamp can't be taken for one
MOST_VERSIONS = 100
NOTABLE_SKEW = timedelta(minutes=1)  # a stamp says the second, and came over the network


def places(*, now: datetime) -> Iterator[Finding]:
    """Each place that AUDIT_ANCHORS names. `now` is real time."""
    if not settings.AUDIT_ANCHORS:
        yield Finding(
            PLACES,
            Level.WARNING,
            "the anchors",
            "AUDIT_ANCHORS names no place outside the database.",
            KEPT,
            "Choose places that the database's administrator can't write to (docs/audit-trail.md, Anchors).",
        )
    for kind in (kind for kind in KINDS if kind in settings.AUDIT_ANCHORS):
        look = _LOOKS.get(kind)
        try:
            yield from look(now) if look else _unlooked(kind)
        except Stop as stop:
            yield stop.finding


def elsewhere() -> Iterator[Finding]:
    """What another process than the sealer can say: that the sealer has to be asked."""
    if named := " and ".join(kind for kind in KINDS if kind in settings.AUDIT_ANCHORS):
        yield Finding(
            PLACES,
            Level.UNKNOWN,
            "the anchors",
            f"Seals go to {named}, of which the sealer alone knows more.",
            KEPT,
            "Run the command with the sealer's settings, too.",
        )


def _unlooked(kind: str) -> Iterator[Finding]:
    what = "Only taking a seal shows whether it does; the health page has its newest receipt."
    yield Finding(PLACES, Level.UNKNOWN, f"the place {kind}", what)


def _bucket(now: datetime) -> Iterator[Finding]:
    del now
    name = settings.AUDIT_ANCHOR_BUCKET
    about = f"the bucket {name}"
    try:
        place = locked_objects.anchor()
    except ValueError as error:
        mend = (
            "Give the sealer a whole key, or none where the platform hands out a role (docs/permissions.md)."
        )
        yield Finding(BUCKET, Level.BROKEN, about, str(error), KEPT, mend)
        return
    needs = "s3:GetBucketObjectLockConfiguration"
    if not ask(BUCKET, about, place.store.locks, needs=needs, why=KEPT):
        yield Finding(
            BUCKET,
            Level.BROKEN,
            about,
            "It has no Object Lock.",
            KEPT,
            "Switch Object Lock on for it, or name a bucket that has it in AUDIT_ANCHOR_BUCKET.",
        )
        return
    needs = "s3:ListBucketVersions, s3:GetObjectVersion and s3:GetObjectRetention"
    kept = ask(BUCKET, about, lambda: _oldest(place.store, place.prefix), needs=needs, why=KEPT)
    if kept is not None and kept.locked_until is None:
        yield Finding(
            BUCKET,
            Level.BROKEN,
            about,
            f"{kept.key} isn't locked in the mode COMPLIANCE.",
            "Whoever may delete objects there could take it away.",
            "Find out who put it there, and run `manage.py audit_verify --objects`.",
        )
        return
    until = kept.locked_until if kept else None
    locked = f"{kept.key} is locked until {instant(until)}." if kept and until else "It holds no seal yet."
    yield good(BUCKET, about, f"It has Object Lock. {locked}")


def _oldest(store: ObjectStore, prefix: str) -> Reading[StoredObject | None]:
    """The first object among the bucket's first versions and delete markers; None when there is none."""
    for version in islice(store.versions(prefix), MOST_VERSIONS):
        if not version.marker:
            found = store.read(version.key, version.version_id)
            return Reading(found.value, found.receipt)
    return Reading(None, Receipt(""))


def _authority(now: datetime) -> Iterator[Finding]:
    about = f"the time-stamping authority {settings.AUDIT_ANCHOR_TSA_URL}"
    place = TsaAnchor(settings.AUDIT_ANCHOR_TSA_URL, Path(settings.AUDIT_ANCHOR_TSA_ROOTS))
    try:
        stamped, answer = place.stamp(LINE)
    except AnchorError as error:
        mend = (
            "Compare AUDIT_ANCHOR_TSA_URL and AUDIT_ANCHOR_TSA_ROOTS with what the authority publishes, and see that "
            "the sealer can reach it."
        )
        yield Finding(STAMPS, Level.BROKEN, about, str(error), KEPT, mend)
        return
    yield good(STAMPS, about, "Its time stamp verifies up to a configured root.")
    off = stamped.at - now
    side = "ahead of" if off > timedelta(0) else "behind"
    if abs(off) > NOTABLE_SKEW:
        yield Finding(
            STAMPS,
            Level.WARNING,
            about,
            f"Its clock is {abs(off.total_seconds()):.0f} s {side} this machine's.",
            "Stamps and events of the same moment say different times, and an auditor asks which is right.",
            "Let this machine follow a time server; if it does, ask the authority.",
        )
    for root in _leading(answer, load_roots(place.roots)):
        yield end_finding(
            STAMPS,
            f"the root {root.subject.rfc4514_string()}",
            root.not_valid_after_utc.astimezone(UTC),
            now=now,
            why="When it ends, no new time stamp verifies, and seals get none.",
            mend="Add the authority's next root to AUDIT_ANCHOR_TSA_ROOTS, and keep this one for the stamps there are.",
        )


def _leading(answer: bytes, roots: list[x509.Certificate]) -> Iterator[x509.Certificate]:
    """Those of the roots to which this answer leads."""
    for root in roots:
        try:
            stamp_of(answer, LINE, [root])
        except StampError:
            continue
        yield root


_LOOKS: Mapping[str, Callable[[datetime], Iterator[Finding]]] = {
    locked_objects.NAME: _bucket,
    tsa_anchor.NAME: _authority,
}
