"""Verification: everything is read again, hashed again and compared with what was sealed.

What it can't see by itself: that the newest events were cut off together with their seals, or that everything was
rewritten with a stolen key. For that, it compares the seals with those that are kept elsewhere (`anchored`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Self

from cryptography.x509 import Certificate
from django.conf import settings
from django.db import connection
from django_subatomic.db import transaction

from audit.ledger.anchored import Compared
from audit.ledger.anchors import SignedSeal
from audit.ledger.canonical import instant
from audit.ledger.events import KEY_ANNOUNCED
from audit.ledger.findings import Finding
from audit.ledger.keys import Trust, TrustedKey, judge
from audit.ledger.merkle import NO_SEAL, leaf_hash, root_hash, seal_hash
from audit.ledger.retirement import NOTHING, Removed, removal_findings, removed
from audit.ledger.tsa_anchor import stamp_findings
from audit.ledger.unexplained import Further, unexplained
from audit.ledger.verifying_words import words_are_readable, words_findings
from audit.ledger.watched import unexplained_rows
from base.clock import business_clock

# The sealer needs a second; after this long an event without a seal is worth a finding.
UNSEALED_AFTER = timedelta(minutes=15)
# An event can be older than a seal that doesn't hold it by the length of its transaction, which is seconds.
LATE_AFTER = timedelta(hours=1)
_CHUNK = 10  # batches read at once
_MOST = 10_000  # events that one question names


@dataclass(slots=True)
class Report:
    """What was verified, and everything that was found."""

    events: int = 0
    batches: int = 0
    unsealed: int = 0  # recent events that the sealer hasn't come to yet
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0  # beyond those that are listed
    by_code: dict[str, tuple[int, Finding]] = field(default_factory=dict)  # how many of all, and the first
    anchored: Compared | None = None  # the comparison with anchors, if there was one
    removed: Removed = NOTHING  # months whose events are gone, and told to be
    words_read: bool = True  # whether what people wrote was compared with what was promised of it

    @property
    def sound(self) -> bool:
        return not self.findings

    @property
    def first_bad_batch(self) -> int | None:
        """The earliest sealed batch that something is wrong with."""
        return min((finding.batch for finding in self.findings if finding.batch is not None), default=None)


@dataclass(frozen=True, slots=True)
class Reached:
    """The seal up to which the chain was verified: what the next one has to follow."""

    batch: int
    seal: bytes
    key_id: str
    at: datetime

    def document(self) -> dict[str, Any]:
        """For a row."""
        return {
            "batch": self.batch,
            "seal": self.seal.hex(),
            "key_id": self.key_id,
            "at": self.at.isoformat(),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """As `document` wrote it."""
        at = datetime.fromisoformat(document["at"])
        return cls(int(document["batch"]), bytes.fromhex(document["seal"]), document["key_id"], at)


@dataclass(slots=True)
class Walk:
    """How far the chain was verified, and when one part of the way is enough."""

    reached: Reached | None = None
    ended: bool = False
    enough: Callable[[], bool] = lambda: False


type Step = Callable[[Report], Iterator[Finding]]
type Keys = Mapping[str, TrustedKey]
CHAIN = "chain"


def verify(
    keys: Keys,
    *,
    anchors: Iterable[str] | None = None,
    roots: Sequence[Certificate] = (),
    found_before: Iterable[Finding] = (),
    beside: Iterable[Further] = (),
    most_findings: int = 100,
) -> Report:
    """Verify the whole trail, streaming, in one snapshot of the database.

    `keys` are the public keys that are trusted, by key id; `anchors` lines that were kept elsewhere, read no later
    than this call; `roots` those of time-stamping authorities, without which their receipts are compared and not
    verified; `found_before` what reading an anchor has shown already; `beside` what else is held to the trail. Lists the
    first `most_findings`, counts the rest.
    """
    report = Report(anchored=Compared() if anchors is not None else None)
    with _snapshot():
        found = (
            _everything(keys, report, anchors, roots),
            *(step(report) for step in _besides(beside).values()),
        )
        _collect(report, chain(found_before, *found), most_findings)
    return report


def verify_step(
    name: str,
    keys: Keys | None,
    walk: Walk,
    *,
    beside: Iterable[Further] = (),
    most_findings: int = 100,
    limit: timedelta = timedelta(0),
) -> Report:
    """One of `step_names`, in a snapshot of its own; of the chain, what follows `walk` until that has enough.

    Without `keys` no signature is looked at. No statement takes longer than `limit`, if there is one.
    """
    report = Report()
    with _snapshot(limit):
        unreadable = list(_read_removed(report))
        steps = {**_steps(keys, walk), **_besides(beside)}
        first = name == next(iter(steps))
        _collect(report, chain(unreadable if first else (), steps[name](report)), most_findings)
    return report


def step_names(beside: Iterable[Further] = ()) -> list[str]:
    """What a verification consists of, in its order; all but comparing with what is kept outside."""
    return [*_steps(None, Walk()), *_besides(beside)]


@contextmanager
def _snapshot(limit: timedelta = timedelta(0)) -> Iterator[None]:
    """One state of the database for everything that is read, whatever the role's own limit of a statement is.

    A statement ends soon after its client does, so that a process that is killed leaves nothing running.
    """
    with transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute(f"SET LOCAL statement_timeout = {round(limit.total_seconds() * 1000)}")
        cursor.execute("SET LOCAL client_connection_check_interval = '10s'")
        yield


def _collect(report: Report, found: Iterable[Finding], most: int) -> None:
    for finding in found:
        many, first = report.by_code.get(finding.code, (0, finding))
        report.by_code[finding.code] = many + 1, first
        if len(report.findings) < most:
            report.findings.append(finding)
        else:
            report.more_findings += 1


def _everything(
    keys: Keys,
    report: Report,
    anchors: Iterable[str] | None,
    roots: Sequence[Certificate] = (),
) -> Iterator[Finding]:
    yield from _read_removed(report)
    # The anchors first: what they say must not get lost among many findings.
    if report.anchored is not None and anchors is not None:
        yield from report.anchored.compare(anchors, keys)
    if roots:
        yield from stamp_findings(roots)
    for step in _steps(keys, Walk()).values():
        yield from step(report)


def _read_removed(report: Report) -> Iterator[Finding]:
    try:
        report.removed = removed()
    except ValueError as error:
        yield Finding("removal_unreadable", str(error))


def _steps(keys: Keys | None, walk: Walk) -> dict[str, Step]:
    """The parts of a verification. Each stands by itself: none needs what another has read."""

    def words(report: Report) -> Iterator[Finding]:
        report.words_read = words_are_readable()
        yield from words_findings()

    return {
        "receipts": lambda _: _verify_receipts(),
        CHAIN: lambda report: _verify_chain(keys, report, walk),
        "removals": lambda report: removal_findings(report.removed),
        "unsealed": _verify_unsealed,
        "versions": lambda report: _verify_versions(report.removed.until),
        "kinds": lambda _: unexplained(),
        "rows": lambda _: unexplained_rows(),
        "words": words,
    }


def _besides(checks: Iterable[Further]) -> dict[str, Step]:
    def step(check: Further) -> Step:
        return lambda report: check(report.removed.until)

    return {f"{check.__module__}.{check.__name__}": step(check) for check in checks}


def _rows(statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _verify_receipts() -> Iterator[Finding]:
    """Every place was given the seal that is here. A receipt without it shows a cut or a rewriting by itself."""
    statement = """
        SELECT kept.place, kept.batch FROM audit_anchor kept LEFT JOIN audit_seal seal ON seal.batch = kept.batch
        WHERE seal.seal IS DISTINCT FROM kept.seal ORDER BY kept.batch, kept.place LIMIT %s
    """
    for place, batch in _rows(statement, [_MOST]):
        sentence = f"The anchor {place} has receipted a seal {batch} that isn't the one here."
        yield Finding("receipt_differs", sentence, batch)


def _verify_chain(keys: Keys | None, report: Report, walk: Walk) -> Iterator[Finding]:
    if walk.reached is None:
        # The first seal is number 1: what claims to be of a batch before that would be passed by below, and not be unsealed.
        for (batch,) in _rows(
            "SELECT DISTINCT batch FROM audit_leaf WHERE batch < 1 ORDER BY batch LIMIT %s", [_MOST]
        ):
            yield _no_seal(batch)
    while True:
        after = walk.reached.batch if walk.reached else 0
        chunk = [
            SignedSeal(batch, n, bytes(root), bytes(prev), bytes(seal), key_id, bytes(signature), at)
            for batch, n, root, prev, seal, key_id, signature, at in _rows(
                "SELECT batch, n, root, prev_seal, seal, key_id, signature, at FROM audit_seal "
                "WHERE batch > %s ORDER BY batch LIMIT %s",
                [after, _CHUNK],
            )
        ]
        leaves = _leaves(after, chunk[-1].batch if chunk else None)
        for seal in chunk:
            yield from _verify_seal(seal, walk.reached, keys, report.removed)
            yield from _verify_batch(seal, walk.reached, leaves.pop(seal.batch, []), report.removed)
            report.batches += 1
            report.events += seal.n
            walk.reached = Reached(seal.batch, seal.seal, seal.key_id, seal.at)
        for batch in sorted(leaves):
            yield _no_seal(batch)
        walk.ended = not chunk
        if walk.ended or walk.enough():
            return


def _no_seal(batch: int) -> Finding:
    return Finding("leaf_without_seal", f"Batch {batch} has leaves but no seal.", batch)


def _verify_seal(
    seal: SignedSeal, previous: Reached | None, keys: Keys | None, gone: Removed
) -> Iterator[Finding]:
    number = seal.batch
    expected = previous.batch + 1 if previous else 1
    if number != expected:
        missing = f"Seal {expected}" if number == expected + 1 else f"Seals {expected} to {number - 1}"
        yield Finding("seal_missing", f"{missing} of the chain: missing.", expected)
    elif seal.prev_seal != (previous.seal if previous else NO_SEAL):
        yield Finding("chain_broken", f"Seal {number} doesn't follow seal {number - 1}.", number)
    if seal.seal != seal_hash(seal.prev_seal, seal.root, seal.n, number, seal.at):
        yield Finding("seal_altered", f"Seal {number} isn't the hash of what it seals.", number)
    if keys is not None:
        yield from _verify_signature(seal, keys)
    if previous is not None and previous.key_id != seal.key_id and not _announced(seal, gone):
        sentence = f"Key {seal.key_id} signs from seal {number} on, and no event before it says so."
        yield Finding("rotation_unannounced", sentence, number)


def _verify_signature(seal: SignedSeal, keys: Keys) -> Iterator[Finding]:
    number = seal.batch
    match judge(keys, seal):
        case Trust.UNKNOWN:
            sentence = f"Seal {number} was signed with key {seal.key_id}: not trusted."
            yield Finding("key_unknown", sentence, number)
        case Trust.WRONG:
            yield Finding("signature_wrong", f"The signature of seal {number} is wrong.", number)
        case Trust.OUTSIDE:
            span = keys[seal.key_id].words
            sentence = f"Seal {number} was signed with key {seal.key_id}, which is trusted {span} only."
            yield Finding("key_outside", sentence, number)
        case Trust.GOOD:
            pass


def _announced(seal: SignedSeal, gone: Removed) -> bool:
    """Whether an event that this seal or an earlier one holds announced the key that it was signed with."""
    if seal.key_id in gone.keys:
        return True
    statement = (
        "SELECT EXISTS (SELECT FROM audit_event event JOIN audit_leaf leaf ON leaf.event_id = event.id "
        "WHERE event.type = %s AND event.data #>> '{fields,key}' = %s AND leaf.batch <= %s)"
    )
    return bool(_rows(statement, [KEY_ANNOUNCED.name, seal.key_id, seal.batch])[0][0])


@dataclass(frozen=True, slots=True)
class _Leaf:
    event_id: int
    idx: int
    leaf: bytes
    at: datetime
    canon: str | None  # None: the event isn't there
    agrees: bool  # its columns say what its text says
    business_at: datetime | None


COLUMNS = (
    *("id", "at", "canon", "data", "type", "outcome", "business_at", "actor_kind", "actor_oid"),
    *("about_oid", "group_oid", "request_id", "grant_id", "ip", "session"),
)


def _leaves(after: int, until: int | None) -> dict[int, list[_Leaf]]:
    """Leaves with their events, by batch; `until` None: all that follow."""
    found: dict[int, list[_Leaf]] = {}
    statement = (
        "SELECT leaf.batch, leaf.event_id, leaf.idx, leaf.leaf, leaf.at, "  # noqa: S608 - constants
        f"{', '.join(f'event.{name}' for name in COLUMNS)} FROM audit_leaf leaf "
        "LEFT JOIN audit_event event ON event.id = leaf.event_id AND event.at = leaf.at "
        "WHERE leaf.batch > %s AND leaf.batch <= %s ORDER BY leaf.batch, leaf.idx"
    )
    for batch, event_id, idx, leaf, at, *values in _rows(statement, [after, until or 2**62]):
        row = dict(zip(COLUMNS, values, strict=True))
        agrees = row["canon"] is None or columns_agree(row)
        found.setdefault(batch, []).append(
            _Leaf(event_id, idx, bytes(leaf), at, row["canon"], agrees, row["business_at"])
        )
    return found


def columns_agree(row: Mapping[str, Any]) -> bool:
    """Whether an event's COLUMNS say what its text says: Postgres derives them, but an owner could end that."""
    try:
        said, data = json.loads(row["canon"]), row["data"]
        actor = said["actor"]
        return bool(
            (json.loads(data) if isinstance(data, str) else data) == said
            and instant(row["business_at"]) == said["business_at"]
            and [row["type"], row["outcome"]] == [said["type"], said["outcome"]]
            and row["actor_kind"] == actor["kind"]
            and [row["actor_oid"], row["ip"], row["session"]]
            == [actor.get("oid", ""), actor.get("ip", ""), actor.get("session", "")]
            and [row["about_oid"], row["group_oid"]] == [said.get("about", ""), said.get("group", "")]
            and str(row["request_id"] or "") == said.get("request", "")
            and str(row["grant_id"] or "") == said.get("grant", "")
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def _verify_batch(
    seal: SignedSeal, previous: Reached | None, leaves: Sequence[_Leaf], gone: Removed
) -> Iterator[Finding]:
    batch = seal.batch
    # Whoever writes an event says its business time, by which searches go. The demo's clock is another than Postgres's.
    one_clock = settings.PORTAL_MODE == "production" and business_clock().plain
    in_order = [leaf.idx for leaf in leaves] == list(range(seal.n))
    if not in_order:
        yield Finding(
            "leaf_missing", f"Batch {batch} sealed {seal.n} events and has {len(leaves)} leaves.", batch
        )
    elif root_hash([leaf.leaf for leaf in leaves]) != seal.root:
        yield Finding("leaf_altered", f"The leaves of batch {batch} aren't those that were sealed.", batch)
    for leaf in leaves:
        event_id = leaf.event_id
        if gone.covers(leaf.at):
            pass  # its month is compared as a whole
        elif leaf.canon is None:
            yield Finding(
                "event_missing",
                f"Event {event_id} of batch {batch} is gone, or its id or time was altered.",
                batch,
                event_id,
            )
        elif leaf_hash(event_id, leaf.at, leaf.canon) != leaf.leaf:
            yield Finding("event_altered", f"Event {event_id} of batch {batch} was altered.", batch, event_id)
        elif not leaf.agrees:
            sentence = f"The columns of event {event_id} (batch {batch}) don't say what its text says."
            yield Finding("columns_differ", sentence, batch, event_id)
        if previous is not None and leaf.at < previous.at - LATE_AFTER:
            sentence = f"Event {event_id} claims a time at which the sealer didn't find it (batch {batch})."
            yield Finding("event_backdated", sentence, batch, event_id)
        elif leaf.at > seal.at + LATE_AFTER:
            sentence = (
                f"Event {event_id} claims a time after the seal that holds it was made (batch {batch})."
            )
            yield Finding("event_postdated", sentence, batch, event_id)
        if one_clock and leaf.business_at is not None and abs(leaf.business_at - leaf.at) > LATE_AFTER:
            sentence = (
                f"Event {event_id} was written at {instant(leaf.at)} and says that it was "
                f"{instant(leaf.business_at)} (batch {batch})."
            )
            yield Finding("business_time_astray", sentence, batch, event_id)


def _verify_unsealed(report: Report) -> Iterator[Finding]:
    statement = (
        "SELECT event.id, event.at < clock_timestamp() - %s::interval, leaf.event_id IS NOT NULL "
        "FROM audit_event event LEFT JOIN audit_leaf leaf ON leaf.event_id = event.id "
        "WHERE leaf.at IS DISTINCT FROM event.at ORDER BY event.id LIMIT %s"
    )
    for event_id, overdue, taken in _rows(statement, [UNSEALED_AFTER, _MOST]):
        if taken:
            yield Finding("event_doubled", f"A second event has the id {event_id}.", None, event_id)
        elif overdue:
            yield Finding("event_unsealed", f"Event {event_id} was never sealed.", None, event_id)
        else:
            report.unsealed += 1


def _verify_versions(gone_until: datetime | None) -> Iterator[Finding]:
    statement = """
        SELECT event.id, version.event_id, event.data -> 'subject'
        FROM (SELECT id, data FROM audit_event WHERE data ? 'subject') event
        FULL JOIN audit_version version ON version.event_id = event.id
        LEFT JOIN audit_leaf leaf ON leaf.event_id = version.event_id
        WHERE (event.id IS NOT NULL OR leaf.at IS NULL OR leaf.at >= coalesce(%s::timestamptz, '-infinity'))
          AND (version.event_id IS NULL OR event.id IS NULL
           OR version.subject_kind IS DISTINCT FROM event.data #>> '{subject,kind}'
           OR version.subject_id::text IS DISTINCT FROM event.data #>> '{subject,id}'
           OR version.version::text IS DISTINCT FROM event.data #>> '{subject,version}')
        ORDER BY coalesce(event.id, version.event_id) LIMIT %s
    """
    for event_id, version_event_id, subject in _rows(statement, [gone_until, _MOST]):
        if event_id is None:
            sentence = f"A version names event {version_event_id}, which tells of no such change."
            yield Finding("version_forged", sentence, None, version_event_id)
        else:
            sentence = f"Event {event_id} tells of a change ({subject}) that the versions don't know."
            yield Finding("version_missing", sentence, None, event_id)
