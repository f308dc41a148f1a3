"""Evidence packs: events with their seals and the paths to them, to read and to verify without the portal.

docs/verifying.md says what is in one and what it proves.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection
from django.template.loader import render_to_string

from audit.exporting import offline
from audit.history.presentation import rows
from audit.ledger import tsa_anchor
from audit.ledger.anchoring import pace
from audit.ledger.anchors import KINDS, SignedSeal
from audit.ledger.canonical import instant
from audit.ledger.merkle import Tree
from audit.ledger.models import AnchorReceipt, Event, Leaf, PersonalWords, Seal
from audit.ledger.reading import Entry
from base.clock import real_now
from base.visible import visible

FORMAT = 1
# Of as many, a page to read takes most of some nine seconds and 80 MB: what a request may take of the web process.
MOST_EVENTS = 10_000
# Of what they say, in bytes: several times as much as so many events have, though each may be as long as 256 KB.
MOST_BYTES = 32_000_000
# From a batch to the next anchored one are the seals of a place's pace, unless it was away; so much longer it is looked for.
LATE_LINKS = 100
MOST_LINKS = 100_000
_LEAVES_AT_ONCE = 20_000
_EVENTS_AT_ONCE = 500
_NOTHING: Mapping[str, bytes] = {}
VERIFIER = Path(offline.__file__).with_name("access_portal_verify.py")


@dataclass(frozen=True, slots=True)
class Pack:
    """A finished pack, to be read from its beginning."""

    file: io.BytesIO
    events: int
    sha256: str


def make_pack(
    entries: Sequence[Entry],
    *,
    title: str,
    about: Sequence[str] = (),
    beside: Mapping[str, bytes] = _NOTHING,
    also: Sequence[Entry] = (),
) -> Pack:
    """A pack of these events, at most MOST_EVENTS, oldest first. Raises ValueError for more.

    `about` says in sentences which events these are, so that nobody takes them for others or for all. `beside` are further
    files by name, which no seal covers; the manifest does. `also` are events that the others rest on, as the wordings of
    rules, and aren't counted against the bound.
    """
    if len(entries) > MOST_EVENTS:
        raise ValueError(f"A pack holds at most {MOST_EVENTS} events.")
    unique = {entry.event.id: entry for entry in (*entries, *also)}
    # Names of people and groups are in it, and it is a line of a text file and the head of a page.
    title, *about = (visible(" ".join(each.split())) for each in (title, *about))
    entries = sorted(unique.values(), key=lambda entry: (entry.event.at, entry.event.id))
    proofs, seals = _proofs([entry.event.id for entry in entries])
    shown = rows(entries)
    page = {
        "title": title,
        "about": about,
        "rows": shown,
        "made_at": real_now(),
        "unsealed": len(entries) - len(proofs),
        "beside": beside,
        "stamps": (stamps := _stamps(seals)),
    }
    files = {
        "seals.jsonl": _lines(_seal(seal) for seal in seals),
        "case.html": render_to_string("audit/pack.html", page).encode(),
        "README.txt": render_to_string("audit/pack.txt", page).encode(),
        VERIFIER.name: VERIFIER.read_bytes(),
        **stamps,
        **beside,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        texts = _write_events(pack, _events(entries, proofs))
        manifest = {
            "format": FORMAT,
            "title": title,
            "about": about,
            "made_at": instant(real_now()),
            "events": len(entries),
            "files": {
                "events.jsonl": texts,
                **{name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
            },
        }
        for name, data in {**files, "manifest.json": json.dumps(manifest, indent=1).encode()}.items():
            pack.writestr(name, data)
    file.seek(0)
    return Pack(file, len(entries), hashlib.sha256(file.getbuffer()).hexdigest())


def _write_events(pack: zipfile.ZipFile, events: Iterator[Mapping[str, Any]]) -> str:
    """The texts of events, line by line, so that they are never in memory together; gives the file's SHA-256."""
    digest = hashlib.sha256()
    kept = zipfile.ZipInfo("events.jsonl", date_time=time.localtime()[:6])
    kept.compress_type, kept.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
    with pack.open(kept, "w") as file:
        for event in events:
            line = _line(event)
            digest.update(line)
            file.write(line)
    return digest.hexdigest()


def _events(entries: Sequence[Entry], proofs: Mapping[int, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for begin in range(0, len(entries), _EVENTS_AT_ONCE):
        yield from _some_events(entries[begin : begin + _EVENTS_AT_ONCE], proofs)


def _some_events(
    entries: Sequence[Entry], proofs: Mapping[int, Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    ids = [entry.event.id for entry in entries]
    times = [entry.event.at for entry in entries]
    found = Event.objects.filter(id__in=ids, at__gte=min(times), at__lte=max(times))
    texts = dict(found.values_list("id", "canon"))
    words: dict[int, dict[str, Any]] = {}
    for kept in PersonalWords.objects.filter(event_id__in=ids):
        words.setdefault(kept.event_id, {})[kept.field] = {"salt": bytes(kept.salt).hex(), "text": kept.words}
    for entry in entries:
        number = entry.event.id
        yield {
            "id": number,
            "at": instant(entry.event.at),
            "canon": texts[number],
            "words": words.get(number, {}),
            "proof": proofs.get(number),
        }


def _proofs(ids: Sequence[int]) -> tuple[dict[int, Mapping[str, Any]], list[Seal]]:
    """Each sealed event's place and path, and the seals that it takes to verify them. Each batch is read and hashed once."""
    places: dict[int, list[tuple[int, int]]] = {}
    for event_id, batch, index in Leaf.objects.filter(event_id__in=ids).values_list(
        "event_id", "batch", "idx"
    ):
        places.setdefault(batch, []).append((event_id, index))
    proofs: dict[int, Mapping[str, Any]] = {}
    for batch, leaves in _leaves(list(places)):
        tree = Tree(leaves)
        for event_id, index in places[batch]:
            # In a batch that lacks a leaf no way leads up from the last: whoever verifies the pack is told so.
            path = [each.hex() for each in tree.path(index)] if index < len(leaves) else []
            proofs[event_id] = {"batch": batch, "index": index, "path": path}
    # The seal before a batch too: no event of the batch is much older than that.
    batches = {*places, *(batch - 1 for batch in places), *_links(list(places))}
    return proofs, list(Seal.objects.filter(batch__in=batches).order_by("batch"))


def _leaves(batches: Sequence[int]) -> Iterator[tuple[int, list[bytes]]]:
    """Each batch's leaves: small batches, of which there may be thousands, many in a query, and a large one alone."""
    together: list[int] = []
    waiting = 0
    sizes = dict(Seal.objects.filter(batch__in=batches).values_list("batch", "n"))
    for batch in batches:
        size = sizes.get(batch, _LEAVES_AT_ONCE)
        if waiting + size > _LEAVES_AT_ONCE:
            yield from _leaves_of(together)
            together, waiting = [], 0
        together.append(batch)
        waiting += size
    yield from _leaves_of(together)


def _leaves_of(batches: Sequence[int]) -> Iterator[tuple[int, list[bytes]]]:
    found: dict[int, list[bytes]] = {}
    rows = Leaf.objects.filter(batch__in=batches).order_by("batch", "idx").values_list("batch", "leaf")
    for batch, leaf in rows:
        found.setdefault(batch, []).append(bytes(leaf))
    yield from found.items()


_NEXT_ANCHORED = """
SELECT paced.place, given.batch,
       (SELECT min(kept.batch) FROM audit_anchor kept
        WHERE kept.place = paced.place AND kept.batch BETWEEN given.batch AND given.batch + paced.most) AS anchored
FROM unnest(%s::bigint[]) AS given (batch) CROSS JOIN unnest(%s::text[], %s::bigint[]) AS paced (place, most)
ORDER BY paced.most, given.batch, paced.place
"""


def _most_links(place: str) -> int:
    """How far its next seal is looked for: with events in every second, there is a seal a second."""
    return int(pace(place).total_seconds()) + LATE_LINKS


def _links(batches: Sequence[int]) -> Sequence[int]:
    """The batches that lead from each of these to the next that each place was given, where one is near.

    Each place is given seals at its own pace, and whoever verifies a pack may have the file of any of them. The short ways
    come first: a place of a slow pace gets what they leave.
    """
    found: set[int] = set()
    walked: dict[str, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_ANCHORED, [list(batches), list(KINDS), [_most_links(place) for place in KINDS]])
        for place, batch, anchored in cursor.fetchall():
            start = max(batch, walked.get(place, 0) + 1)
            further = {*range(start, anchored + 1)} - found if anchored is not None else set()
            if len(found) + len(further) > MOST_LINKS:
                break
            found |= further
            walked[place] = max(walked.get(place, 0), anchored or 0)
    return sorted(found)


def _stamps(seals: Sequence[Seal]) -> dict[str, bytes]:
    """What time-stamping authorities signed of these seals: each line with its answer, as `openssl ts` reads them."""
    by_batch = {seal.batch: seal for seal in seals}
    found: dict[str, bytes] = {}
    for kept in AnchorReceipt.objects.filter(place=tsa_anchor.NAME, batch__in=by_batch).order_by("batch"):
        seal = by_batch[kept.batch]
        hashes = {name: bytes(getattr(seal, name)) for name in ("root", "prev_seal", "seal", "signature")}
        line = SignedSeal(batch=seal.batch, n=seal.n, key_id=seal.key_id, at=seal.at, **hashes).line()
        found[f"stamps/{seal.batch:012}.json"] = line.encode()
        found[f"stamps/{seal.batch:012}.tsr"] = tsa_anchor.answer_in(kept.receipt)
    return found


def _seal(seal: Seal) -> Mapping[str, Any]:
    hashes = {name: bytes(getattr(seal, name)).hex() for name in ("root", "prev_seal", "seal", "signature")}
    return {"batch": seal.batch, "n": seal.n, "at": instant(seal.at), "key_id": seal.key_id, **hashes}


def _lines(objects: Iterator[Mapping[str, Any]]) -> bytes:
    return b"".join(map(_line, objects))


def _line(of: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(of, sort_keys=True)}\n".encode()
