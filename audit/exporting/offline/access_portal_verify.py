#!/usr/bin/env python3
"""Checks an evidence pack of Access Portal offline, without the portal and without its database.

    python3 access_portal_verify.py PACK.zip --public-key sealing-key.pem.pub

It needs Python 3.11 or newer and the package `cryptography`, nothing else, and reads nothing but the files it is
given. The public key must come from whoever keeps it outside the portal: what comes with a pack proves nothing.

Exit code 0: everything is proven. 1: something isn't; each thing is named. 2: the pack can't be read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import zipfile
import zlib
from bisect import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

FORMAT = 1
CONTEXT = b"access-portal audit seal 1\n"
ANCHOR_FORMAT = "access-portal audit seal 1"
NO_SEAL = "00" * 32  # before the first
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_BYTES = 1_000_000_000  # of all files in a pack, unpacked
SALT_BYTES = 16
# A time can differ by so much from what comes before or after it: an event's by the length of its transaction, which is
# seconds, a seal's by how far a database's clock was put right.
LATE_AFTER = timedelta(hours=1)
INSTANT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z")
# What comes of a file that isn't what it should be; the first three are of the ZIP itself.
BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError),
    *(LookupError, ValueError, TypeError, AttributeError, ArithmeticError),
)


class Unreadable(Exception):
    """The pack, or a file in it, isn't what it should be."""


# --- One way to write each thing: what is hashed together has boundaries that nobody can move


def loads(text: str) -> Any:
    """JSON that every reader reads alike. Raises ValueError when a name stands twice in an object, or for NaN."""
    return json.loads(text, object_pairs_hook=_each_once, parse_constant=_refused)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands twice in an object")
        found[name] = value
    return found


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def octets(text: Any, size: int = 32) -> bytes:
    """That many bytes, written in lower-case hex. Raises ValueError for anything else."""
    if not isinstance(text, str) or not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", text):
        raise ValueError(f"{text!r} isn't {size} bytes in hex")
    return bytes.fromhex(text)


def whole(number: Any, least: int = 0) -> int:
    """A whole number of at least that. Raises ValueError for anything else: 0.5, \"1\" and true could pass for another."""
    if type(number) is not int or not least <= number < 2**63:
        raise ValueError(f"{number!r} isn't a number from {least} on")
    return number


def time_of(text: Any) -> datetime:
    """A time as the portal writes it, in UTC and with microseconds. Raises ValueError for anything else."""
    if not isinstance(text, str) or not INSTANT.fullmatch(text):
        raise ValueError(f"{text!r} isn't a time like 2026-05-01T12:00:00.000000Z")
    return instant_of(text)


# --- Hashes: what a leaf, a batch and a seal are the digest of


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def leaf_of(event: dict[str, Any]) -> bytes:
    """SHA-256(0x00, id, LF, time, LF, text). Raises ValueError when id or time could reach into what follows them."""
    whole(event["id"], 1)
    time_of(event["at"])
    return sha256(b"\x00" + f"{event['id']}\n{event['at']}\n{event['canon']}".encode())


def root_of(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes | None:
    """The head of the RFC 6962 tree of `count` leaves that has `leaf` at `index`, or None when the path doesn't fit."""
    left = list(path)
    if not 0 <= index < count:
        return None
    while count > 1:
        if index % 2 == 1 or index + 1 < count:
            if not left:
                return None
            other = left.pop(0)
            leaf = sha256(b"\x01" + other + leaf) if index % 2 else sha256(b"\x01" + leaf + other)
        index, count = index // 2, (count + 1) // 2
    return None if left else leaf


def seal_of(seal: dict[str, Any]) -> bytes:
    """SHA-256(previous seal, root, number of events, batch, microseconds since 1970). Raises ValueError."""
    since = time_of(seal["at"]) - EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    counted = (whole(seal["n"]), whole(seal["batch"], 1), micros)
    numbers = b"".join(n.to_bytes(8, "big", signed=True) for n in counted)
    return sha256(octets(seal["prev_seal"]) + octets(seal["root"]) + numbers)


# --- Reading a pack


def read_pack(
    path: str,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str], dict[str, bytes]]:
    """Events and seals, with every file compared with the manifest; what is wrong; and the files beside the two."""
    wrong: list[str] = []
    try:
        with zipfile.ZipFile(path) as pack:
            names = pack.namelist()
            if len(names) != len(set(names)):
                raise Unreadable("A file is in the pack twice.")
            if sum(info.file_size for info in pack.infolist()) > MOST_BYTES:
                raise Unreadable("The pack is larger than any that the portal makes.")
            files = {name: pack.read(name) for name in names}
        manifest = loads(files["manifest.json"].decode())
        if manifest["format"] != FORMAT:
            raise Unreadable(f"The pack has format {manifest['format']}; this program reads format {FORMAT}.")
        for name, digest in manifest["files"].items():
            if name not in files:
                wrong.append(f"{name} is missing from the pack.")
            elif sha256(files[name]).hex() != digest:
                wrong.append(f"{name} isn't the file that was packed.")
        added = sorted(set(files) - set(manifest["files"]) - {"manifest.json"})
        wrong += [f"{name} was added to the pack." for name in added]
        events, seals = (
            [loads(line) for line in files[name].decode().split("\n") if line]
            for name in ("events.jsonl", "seals.jsonl")
        )
        if len(events) != manifest["events"]:
            wrong.append(f"The pack was made of {manifest['events']} events and holds {len(events)}.")
    except BROKEN as error:
        raise Unreadable(f"The pack can't be read: {type(error).__name__}: {error}") from error
    beside = {name: data for name, data in files.items() if name not in ("events.jsonl", "seals.jsonl")}
    return events, seals, wrong, beside


# --- Seals, and the keys that signed them


class Key:
    """A public key, and the seals that it is trusted for: between two batches or instants, both included."""

    def __init__(
        self, public: Ed25519PublicKey, since: int | datetime | None, until: int | datetime | None
    ) -> None:
        self.public, self.since, self.until = public, since, until

    def covers(self, batch: int, at: datetime) -> bool:
        early = self.since is not None and (
            at < self.since if isinstance(self.since, datetime) else batch < self.since
        )
        late = self.until is not None and (
            at > self.until if isinstance(self.until, datetime) else batch > self.until
        )
        return not early and not late


def instant_of(text: str) -> datetime:
    """A time in UTC, with or without microseconds. Raises ValueError."""
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if "." in text else "%Y-%m-%dT%H:%M:%SZ"
    return datetime.strptime(text, form).replace(tzinfo=UTC)


def doubt(seal: dict[str, Any], keys: dict[str, Key]) -> str:
    """What is wrong with a seal's signature; nothing when a trusted key made it."""
    batch, value = seal["batch"], octets(seal["seal"])
    key = keys.get(seal["key_id"])
    if key is None:
        return f"Seal {batch} was signed with key {seal['key_id']}, which wasn't given as trusted."
    try:
        key.public.verify(octets(seal["signature"], 64), CONTEXT + value)
    except InvalidSignature:
        return f"The signature of seal {batch} is wrong."
    if not key.covers(batch, instant_of(seal["at"])):
        return f"Seal {batch} was signed with key {seal['key_id']}, which isn't trusted for it."
    return ""


def check_seals(
    seals: Sequence[dict[str, Any]], keys: dict[str, Key], held: Collection[int]
) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """The seals by batch, and what is wrong with them; `held` are the batches of the pack's events.

    A seal that merely stands before one of those needs no trusted key: the next, which a trusted key signed, holds its hash.
    """
    wrong: list[str] = []
    found: dict[int, dict[str, Any]] = {}
    for seal in seals:
        batch, value = seal["batch"], octets(seal["seal"])
        if batch in found:
            wrong.append(f"Seal {batch} is in the pack twice.")
        if seal_of(seal) != value:
            wrong.append(f"Seal {batch} isn't the hash of what it seals.")
        if (batch in held or batch + 1 not in held) and (doubted := doubt(seal, keys)):
            wrong.append(doubted)
        found[batch] = seal
    # When all are there: whoever makes a pack writes them in any order.
    for batch, seal in sorted(found.items()):
        before = found[batch - 1]["seal"] if batch - 1 in found else NO_SEAL if batch == 1 else None
        if before not in (None, seal["prev_seal"]):
            wrong.append(f"Seal {batch} doesn't follow seal {batch - 1}.")
    return found, wrong


# --- Events


def check_events(events: Sequence[dict[str, Any]], seals: dict[int, dict[str, Any]]) -> list[str]:
    """What is wrong with the events."""
    wrong: list[str] = []
    seen: set[int] = set()
    places: set[tuple[int, int]] = set()
    for event in events:
        name = f"Event {event['id']}"
        if event["id"] in seen:
            wrong.append(f"{name} is in the pack twice.")
        seen.add(event["id"])
        try:
            said = loads(event["canon"])
        except ValueError as error:
            wrong.append(f"{name} isn't what every reader reads alike: {error}.")
            continue
        for field, kept in event["words"].items():
            if not opens(kept, said.get("commitments", {}).get(field)):
                wrong.append(f"The words {field!r} of event {event['id']} aren't those that were written.")
        place = event.get("proof")
        if place is None:
            wrong.append(f"{name} had no seal yet when the pack was made. Make the pack again.")
            continue
        seal = seals.get(place["batch"])
        if seal is None:
            wrong.append(f"{name} is of batch {place['batch']}, whose seal is missing from the pack.")
            continue
        index = whole(place["index"])
        if (place["batch"], index) in places:
            wrong.append(f"{name} claims the place of another event.")
        places.add((place["batch"], index))
        path = [octets(each) for each in place["path"]]
        root = root_of(leaf_of(event), index, seal["n"], path)
        if root is None or root.hex() != seal["root"]:
            wrong.append(f"{name} isn't what batch {place['batch']} sealed: it was altered.")
        wrong += misdated(event, seal, seals.get(place["batch"] - 1))
    return wrong


def misdated(event: dict[str, Any], seal: dict[str, Any], previous: dict[str, Any] | None) -> list[str]:
    """Whether an event is of another time than that between the seal before its own, where that is here, and its own."""
    at = time_of(event["at"])
    if previous is not None and at < time_of(previous["at"]) - LATE_AFTER:
        found = f"seal {previous['batch']} is of {previous['at']}"
        return [f"Event {event['id']} claims a time at which the sealer didn't find it: {found}."]
    if at > time_of(seal["at"]) + LATE_AFTER:
        return [f"Event {event['id']} claims a time after the seal that holds it was made, at {seal['at']}."]
    return []


def not_dated(events: Sequence[dict[str, Any]], seals: dict[int, dict[str, Any]]) -> list[int]:
    """The events whose time can't be held against the seal before theirs, because the pack lacks it."""
    return [
        event["id"]
        for event in events
        if (event.get("proof") or {}).get("batch", 1) > 1 and event["proof"]["batch"] - 1 not in seals
    ]


def opens(kept: dict[str, Any], promised: Any) -> bool:
    """Whether the words are those of the commitment SHA-256(salt, words).

    A salt of any other length is none: words that were moved into it, or out of it, have the same hash.
    """
    try:
        salt = octets(kept["salt"], SALT_BYTES)
    except ValueError:
        return False
    return bool(sha256(salt + kept["text"].encode()).hex() == promised)


def not_kept(events: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """How many texts the events promise that aren't in the pack, and of how many events: erased before it was made."""
    missing = [
        set(json.loads(event["canon"]).get("commitments", {})) - set(event["words"]) for event in events
    ]
    return sum(map(len, missing)), sum(map(bool, missing))


def removed_in(events: Sequence[dict[str, Any]]) -> list[str]:
    """What events of the pack say was removed from the trail, with the seals that still stand for it."""
    told: list[str] = []
    for event in events:
        said = json.loads(event["canon"])
        if said.get("type") == "ledger.month_removed":
            fields = said["fields"]
            told.append(
                f"The {fields['events']} events of {fields['month']} were removed, as event {event['id']} says; seals "
                f"{fields['first_batch']} to {fields['last_batch']} sealed them."
            )
    return told


# --- What was noted or anchored outside


def check_noted(noted: Sequence[str], seals: dict[int, dict[str, Any]]) -> list[str]:
    """Seals that were noted elsewhere, as batch=hash, must be those of the pack."""
    wrong: list[str] = []
    for text in noted:
        batch, _, value = text.partition("=")
        seal = seals.get(int(batch)) if batch.isdecimal() else None
        if seal is None:
            wrong.append(f"Seal {batch}, noted elsewhere, isn't in the pack.")
        elif seal["seal"] != value.lower():
            wrong.append(f"Seal {batch} isn't the one that was noted elsewhere: the trail was rewritten.")
    return wrong


class Anchored(NamedTuple):
    """Which of the pack's seals lead to one that was anchored, and what is wrong."""

    leading: set[int]
    wrong: list[str]
    astray: list[int]  # those that don't, although a later one was anchored


def check_anchors(lines: Iterable[str], seals: dict[int, dict[str, Any]], keys: dict[str, Key]) -> Anchored:
    """Hold the pack's seals against lines that were kept elsewhere.

    A seal leads to the next when that is in the pack too and follows it. A line that can't be read is forgiven when a
    sound one follows it: a machine that died while writing leaves such a line.
    """
    wrong: list[str] = []
    anchored: set[int] = set()
    times: dict[int, datetime] = {}
    unreadable = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            kept = loads(line)
            if kept["anchor"] != ANCHOR_FORMAT:
                raise ValueError
            genuine = seal_of(kept).hex() == kept["seal"] and not doubt(kept, keys)
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            unreadable = unreadable or number
            continue
        batch = kept["batch"]
        if not genuine:
            wrong.append(f"Line {number} of the anchors holds a seal {batch} that no trusted key signed.")
            continue
        unreadable, times[batch] = 0, time_of(kept["at"])
        if batch not in seals:
            continue
        if seals[batch]["seal"] == kept["seal"]:
            anchored.add(batch)
        else:
            wrong.append(
                f"Seal {batch} isn't the one that was anchored (line {number}): the trail was rewritten, or an older "
                "backup was put back."
            )
    if unreadable:
        wrong.append(f"Line {unreadable} of the anchors can't be read, and no sound one follows it.")
    wrong += out_of_order(seals, times)
    newest = max(times, default=0)
    leading: set[int] = set()
    for batch in sorted(seals, reverse=True):
        following = seals.get(batch + 1)
        if batch in anchored or (
            following is not None and batch + 1 in leading and following["prev_seal"] == seals[batch]["seal"]
        ):
            leading.add(batch)
    return Anchored(
        leading, wrong, [batch for batch in sorted(seals) if batch < newest and batch not in leading]
    )


def out_of_order(seals: dict[int, dict[str, Any]], times: Mapping[int, datetime]) -> list[str]:
    """Seals whose time isn't between those of the anchored seals next to them: who has the key can sign any time."""
    wrong: list[str] = []
    anchored = sorted(times)
    for batch, seal in sorted(seals.items()):
        place, at = bisect(anchored, batch), time_of(seal["at"])
        before, after = anchored[max(place - 1, 0) : place], anchored[place : place + 1]
        wrong += [
            f"Seal {batch} claims to be of {seal['at']}, before seal {each}, which was anchored and comes before it."
            for each in before
            if at < times[each] - LATE_AFTER
        ]
        wrong += [
            f"Seal {batch} claims to be of {seal['at']}, after seal {each}, which was anchored and comes after it."
            for each in after
            if at > times[each] + LATE_AFTER
        ]
    return wrong


# --- Time stamps (RFC 3161): the answer of an authority, in DER

TST_INFO, MESSAGE_DIGEST = (
    "2a864886f70d0109100104",
    "2a864886f70d010904",
)  # object identifiers as DER has them
DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "608648016503040201": hashes.SHA256(),
    "608648016503040202": hashes.SHA384(),
    "608648016503040203": hashes.SHA512(),
}
LONGEST_CHAIN = 8
# What comes of an answer that isn't as it should be.
UNREAD = (LookupError, ValueError, TypeError, ArithmeticError, x509.InvalidVersion, UnsupportedAlgorithm)


class Node(NamedTuple):
    """One value of DER."""

    tag: int
    body: bytes
    whole: bytes


def nodes(data: bytes) -> list[Node]:
    """The values that stand in `data` one after the other. Raises ValueError."""
    found, at = [], 0
    while at < len(data):
        start, length = at + 2, data[at + 1] if at + 1 < len(data) else 0x80
        if data[at] & 0x1F == 0x1F or length == 0x80:
            raise ValueError("it isn't DER")
        if length > 0x80:
            start, size = start + (length & 0x7F), length & 0x7F
            length = int.from_bytes(data[start - size : start], "big")
        if start + length > len(data):
            raise ValueError("it is cut off")
        found.append(Node(data[at], data[start : start + length], data[at : start + length]))
        at = start + length
    return found


class Stamp(NamedTuple):
    """What an authority's answer holds; nothing of it is proven yet."""

    at: datetime
    digest: hashes.HashAlgorithm
    imprint: bytes
    info: bytes  # what is signed, by way of the attributes
    certificates: list[x509.Certificate]
    signer: list[Node]


def read_stamp(answer: bytes) -> Stamp:
    """Take an answer apart. Raises ValueError, and IndexError where something is missing."""
    status, token = nodes(nodes(answer)[0].body)[:2]
    if int.from_bytes(nodes(status.body)[0].body, "big") not in (0, 1):
        raise ValueError("the authority refused")
    signed = nodes(nodes(nodes(token.body)[1].body)[0].body)
    content = nodes(signed[2].body)
    if content[0].body.hex() != TST_INFO:
        raise ValueError("it is no time stamp")
    info = nodes(content[1].body)[0].body
    said = nodes(nodes(info)[0].body)
    algorithm, imprint = nodes(said[2].body)[:2]
    digest = DIGESTS.get(nodes(algorithm.body)[0].body.hex())
    if digest is None:
        raise ValueError("its digest isn't one of SHA-256, SHA-384 and SHA-512")
    whole, _, part = said[4].body.decode("ascii").rstrip("Z").partition(".")
    at = datetime.strptime(f"{whole}.{part or 0}", "%Y%m%d%H%M%S.%f").replace(tzinfo=UTC)
    given = [node.body for node in signed[3:-1] if node.tag == 0xA0]
    certificates = [
        x509.load_der_x509_certificate(node.whole)
        for each in given
        for node in nodes(each)
        if node.tag == 0x30
    ]
    return Stamp(at, digest, imprint.body, info, certificates, nodes(nodes(signed[-1].body)[0].body))


def hashed(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    made = hashes.Hash(algorithm)
    made.update(data)
    return made.finalize()


def signed_by(certificate: x509.Certificate, stamp: Stamp) -> bool:
    """Whether this certificate, made for time stamps, signed it."""
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    _, _, algorithm, attributes, _, signature = stamp.signer[:6]
    digest = DIGESTS.get(nodes(algorithm.body)[0].body.hex())
    if ExtendedKeyUsageOID.TIME_STAMPING not in purposes or digest is None or attributes.tag != 0xA0:
        return False
    said = {key.body.hex(): nodes(values.body)[0].body for key, values in map(nodes, _bodies(attributes))}
    if said.get(MESSAGE_DIGEST) != hashed(digest, stamp.info):
        return False
    data, key = b"\x31" + attributes.whole[1:], certificate.public_key()  # signed as a set
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature.body, data, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature.body, data, ec.ECDSA(digest))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _bodies(node: Node) -> list[bytes]:
    return [each.body for each in nodes(node.body)]


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer, which may, signed the certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False


def leads_to(certificate: x509.Certificate, stamp: Stamp, roots: Sequence[x509.Certificate]) -> bool:
    """Whether a chain of certificates, all valid at the time of the stamp, leads to one of the roots."""
    for _ in range(LONGEST_CHAIN):
        if not certificate.not_valid_before_utc <= stamp.at <= certificate.not_valid_after_utc:
            return False
        if certificate in roots:
            return True
        above = [each for each in (*roots, *stamp.certificates) if issued(certificate, each)]
        if not above or above[0] == certificate:
            return False
        certificate = above[0]
    return False


def check_stamps(
    stamps: dict[str, bytes], seals: dict[int, dict[str, Any]], roots: Sequence[x509.Certificate]
) -> tuple[list[tuple[str, str]], list[str]]:
    """What the time stamps say, each with the line that was stamped, and what is wrong. With roots, they verify."""
    told: list[tuple[str, str]] = []
    wrong: list[str] = []
    for name, answer in sorted(stamps.items()):
        number, _, kind = name.removeprefix("stamps/").partition(".")
        if kind != "tsr":
            continue
        try:
            line = stamps[f"stamps/{number}.json"]
            batch = int(number)
            stamped = loads(line.decode())
            if stamped["seal"] != seals[batch]["seal"] or seal_of(stamped).hex() != stamped["seal"]:
                raise ValueError("what was stamped isn't the pack's seal")
            stamp = read_stamp(answer)
            if stamp.imprint != hashed(stamp.digest, line):
                raise ValueError("the authority stamped something else")
            if roots and not any(
                signed_by(each, stamp) and leads_to(each, stamp, roots) for each in stamp.certificates
            ):
                raise ValueError("no authority under the given roots signed it")
        except UNREAD as error:
            wrong.append(f"The time stamp {name} proves nothing: {error}.")
            continue
        told.append((f"seal {batch} was there at {stamp.at:%Y-%m-%dT%H:%M:%SZ}", line.decode()))
    return told, wrong


def load_roots(path: str) -> list[x509.Certificate]:
    """Certificates of authorities in a PEM file."""
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise Unreadable(f"The roots {path} can't be read: {error}") from error


# --- The command line


SPAN = re.compile(r"(?P<path>.+)@(?P<since>[^@]*)\.\.(?P<until>[^@]*)")


def bound_of(text: str) -> int | datetime | None:
    """A batch, an instant, or nothing."""
    if not text or text.isdecimal():
        return int(text) if text else None
    try:
        return instant_of(text)
    except ValueError:
        raise Unreadable(f"{text!r} is neither a batch nor an instant like 2026-05-01T12:00:00Z.") from None


def load_keys(named: Sequence[str]) -> dict[str, Key]:
    """Public keys by id: the first 16 hex digits of the SHA-256 of the 32 bytes. Each is PATH or PATH@SINCE..UNTIL."""
    found: dict[str, Key] = {}
    for each in named:
        path, since, until = each, None, None
        match = SPAN.fullmatch(each)
        if match:
            path, since, until = match["path"], bound_of(match["since"]), bound_of(match["until"])
        try:
            key = load_pem_public_key(Path(path).read_bytes())
        except (OSError, ValueError) as error:
            raise Unreadable(f"The public key {path} can't be read: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise Unreadable(f"{path} holds a public key, but not of the kind Ed25519.")
        found[sha256(key.public_bytes_raw()).hex()[:16]] = Key(key, since, until)
    return found


def safe(text: object) -> str:
    """Text for a terminal: what could move the cursor, hide or reorder is written as a number."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in str(text))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What the command line names."""
    parser = argparse.ArgumentParser(description="Check an evidence pack of Access Portal offline.")
    parser.add_argument("pack", help="the ZIP that the portal made")
    parser.add_argument(
        "--public-key",
        action="append",
        required=True,
        metavar="PATH[@SINCE..UNTIL]",
        help="PEM file, trusted for seals from SINCE to UNTIL (each a batch, an instant in UTC or nothing); "
        "may be given several times",
    )
    parser.add_argument(
        "--noted-seal", action="append", default=[], metavar="BATCH=HEX", help="a seal kept elsewhere"
    )
    parser.add_argument("--anchors", metavar="FILE", help="seals that were anchored elsewhere, one line each")
    parser.add_argument("--tsa-roots", metavar="FILE", help="PEM file, roots of time-stamping authorities")
    parser.add_argument(
        "--show", action="store_true", help="print the proven events, one a line, with the words"
    )
    return parser.parse_args(arguments)


class Verified(NamedTuple):
    """What a pack holds, what is wrong with it, and what is proven where nothing is."""

    events: list[dict[str, Any]]
    seals: dict[int, dict[str, Any]]
    wrong: list[str]
    told: list[str]


def verify(chosen: argparse.Namespace) -> Verified:
    """Hold a pack against everything that was given. Raises Unreadable."""
    keys = load_keys(chosen.public_key)
    events, given, wrong, beside = read_pack(chosen.pack)
    kept = {name: data for name, data in beside.items() if name.startswith("stamps/")}
    seals, wrong_seals = check_seals(
        given, keys, {event["proof"]["batch"] for event in events if event.get("proof")}
    )
    wrong += wrong_seals + check_events(events, seals) + check_noted(chosen.noted_seal, seals)
    told = [f"PROVEN: {len(events)} events are what {len(seals)} signed seals sealed."]
    if undated := not_dated(events, seals):
        told.append(
            f"NOT DATED: of {len(undated)} events, the first of them {undated[0]}, the seal before theirs isn't in the "
            "pack: they may have been written later than they say. Have the portal make the pack again."
        )
    texts, of_events = not_kept(events)
    if texts:
        told.append(
            f"ERASED: {texts} texts of {of_events} events aren't in the pack; of them nothing is proven."
        )
    told += [f"REMOVED: {sentence}" for sentence in removed_in(events)]
    told.append(
        f"NOT SEALED: what {', '.join(sorted({*beside} - {*kept}))} say; whoever makes a pack can write that. Read what "
        "--show prints."
    )
    if chosen.anchors:
        try:
            with Path(chosen.anchors).open(encoding="utf-8", errors="replace") as lines:
                compared = check_anchors(lines, seals, keys)
        except OSError as error:
            raise Unreadable(f"The anchors can't be read: {error}") from error
        wrong += compared.wrong
        told.append(
            f"ANCHORED: {len(compared.leading)} of {len(seals)} seals lead to seals that were anchored elsewhere."
        )
        if compared.astray:
            told.append(
                f"NOT ANCHORED: {len(compared.astray)} seals, the first of them {compared.astray[0]}, lead to none, though "
                "later ones were anchored: they may be of another trail, or the pack holds no links that far. Have the "
                "portal make the pack again."
            )
    roots = load_roots(chosen.tsa_roots) if chosen.tsa_roots else []
    stamped, wrong_stamps = check_stamps(kept, seals, roots)
    wrong += wrong_stamps
    if roots:
        compared = check_anchors([line for _, line in stamped], seals, keys)
        wrong += compared.wrong
        told += [f"STAMPED: an authority signed that {sentence}." for sentence, _ in stamped]
        told.append(f"STAMPED: {len(compared.leading)} of {len(seals)} seals lead to such a seal.")
        if unstamped := sorted({*seals} - compared.leading):
            told.append(
                f"NOT STAMPED: {len(unstamped)} seals, the first of them {unstamped[0]}, lead to none: no later one was "
                "stamped yet when the pack was made, or the pack holds no links that far. Have the portal make the "
                "pack again."
            )
    else:
        told += [
            f"NOT VERIFIED without --tsa-roots: a time stamp says that {sentence}." for sentence, _ in stamped
        ]
    return Verified(events, seals, wrong, told)


def shown(event: dict[str, Any], seals: dict[int, dict[str, Any]]) -> str:
    """A proven event for reading: number, times, what happened and how it ended; then all else, with the words."""
    seal = seals[event["proof"]["batch"]]
    said = json.loads(event["canon"])
    said["words"] = {name: kept["text"] for name, kept in event["words"].items()}
    first = ("business_at", "type", "outcome")
    rest = {
        name: said[name] for name in sorted(said) if said[name] and name not in {*first, "v", "commitments"}
    }
    happened_at, *what = (str(said[name]) for name in first)
    times = f"{happened_at} (written {event['at']}, sealed {seal['at']} with seal {seal['batch']})"
    return "  ".join([str(event["id"]), times, *what, json.dumps(rest, ensure_ascii=False)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the command line names; gives the exit code."""
    chosen = parsed(arguments)
    try:
        events, seals, wrong, told = verify(chosen)
    except Unreadable as error:
        print(f"UNREADABLE: {safe(error)}")
        return 2
    except BROKEN as error:
        print(f"UNREADABLE: a line of the pack isn't as it should be: {type(error).__name__}: {safe(error)}")
        return 2
    if chosen.show and not wrong:
        for event in events:
            print(safe(shown(event, seals)))
    for sentence in [f"WRONG: {each}" for each in wrong] or told:
        print(safe(sentence))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # whatever a terminal can't show
    sys.exit(main())
