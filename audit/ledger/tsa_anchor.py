"""Time-stamping authorities (RFC 3161) as a place that keeps seals: each signs that it saw a seal at a time.

The authority keeps nothing: its answer, signed by it, is the receipt, and proves by itself that the seal is no younger.
Whoever rewrites the trail afterwards gets no answer of the past. An answer counts only when it verifies against the
roots that are configured; one that doesn't is no receipt.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from django.db import connection
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from audit.ledger.anchors import TIMEOUT_SECONDS, AnchorError, SignedSeal
from audit.ledger.canonical import instant
from audit.ledger.findings import Finding
from base.exchange import open_without_redirects

NAME = "tsa"
MOST_ANSWER = 24 * 1024  # bytes; a token with its certificates has 3 to 8 thousand
_CHUNK = 500  # receipts read at once


class RootsError(Exception):
    """The file of roots is missing, unreadable or holds none; the message says which."""


def load_roots(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file. Raises RootsError."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RootsError(f"The roots of time-stamping authorities {path} can't be read: {error}") from error
    return found


@dataclass(frozen=True, slots=True)
class TsaAnchor:
    """One request a seal; the receipt is the time, the serial number and the whole answer in base64."""

    url: str
    roots: Path
    name: str = NAME

    def put(self, seal: SignedSeal) -> str:
        """See Anchor. The answer has to verify before it is a receipt."""
        stamped, answer = self.stamp(seal.line().encode())
        token = base64.b64encode(answer).decode()
        return f"stamped at {instant(stamped.at)}, serial {stamped.serial}; {token}"

    def stamp(self, line: bytes) -> tuple[Stamp, bytes]:
        """A time stamp of any line, and the whole answer that proves it. Raises AnchorError."""
        asked = (
            TimestampRequestBuilder()
            .data(line)
            .hash_algorithm(HashAlgorithm.SHA256)
            .nonce(nonce=True)
            .cert_request(cert_request=True)
            .build()
        )
        try:
            roots = load_roots(self.roots)
        except RootsError as error:
            raise AnchorError(str(error)) from error
        answer = self._post(asked.as_bytes())
        try:
            return stamp_of(answer, line, roots, nonce=asked.nonce), answer
        except StampError as error:
            raise AnchorError(str(error)) from error

    def _post(self, body: bytes) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked when the process starts
            self.url,
            data=body,
            headers={
                "Content-Type": "application/timestamp-query",
                "Accept": "application/timestamp-reply",
                "User-Agent": "access-portal",
            },
            method="POST",
        )
        try:
            with open_without_redirects(request, TIMEOUT_SECONDS) as answer:
                said = answer.read(MOST_ANSWER + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise AnchorError(f"The time-stamping authority answered {error.code}.") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AnchorError(
                f"The time-stamping authority can't be reached ({type(error).__name__})."
            ) from error
        if len(said) > MOST_ANSWER:
            raise AnchorError("The time-stamping authority's answer is longer than any token.")
        return said


class StampError(Exception):
    """The answer isn't a time stamp of this seal by a trusted authority; the message says why."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a verified answer says."""

    at: datetime
    serial: int


def stamp_of(
    answer: bytes, line: bytes, roots: Iterable[x509.Certificate], *, nonce: int | None = None
) -> Stamp:
    """The time stamp of this line, verified up to one of the roots. Raises StampError."""
    try:
        response = decode_timestamp_response(answer)
        if response.status not in (0, 1):
            raise StampError(f"The time-stamping authority refuses: {_refusal(response)}.")
        builder = VerifierBuilder(roots=list(roots), nonce=nonce)
        builder.build().verify_message(response, line)
        info = response.tst_info
        return Stamp(info.gen_time.astimezone(UTC), info.serial_number)
    except VerificationError as error:
        raise StampError(f"The time stamp doesn't verify: {error}.") from error
    except ValueError as error:
        raise StampError(f"The answer is no time stamp: {error}.") from error


def _refusal(response: TimeStampResponse) -> str:
    return ", ".join(response.status_string) or f"status {response.status}"


def answer_in(receipt: str) -> bytes:
    """The authority's answer in a receipt of ours. Raises StampError."""
    try:
        return base64.b64decode(receipt.rpartition(" ")[2], validate=True)
    except (ValueError, binascii.Error) as error:
        raise StampError("The receipt holds no time stamp.") from error


def stamp_findings(roots: Iterable[x509.Certificate]) -> Iterator[Finding]:
    """Every receipt of an authority must be a time stamp of the seal that is here, by one of these roots."""
    trusted, after = list(roots), 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_RECEIPTS, [NAME, after, _CHUNK])
            rows = cursor.fetchall()
        for batch, n, root, prev, value, key_id, signature, at, receipt in rows:
            seal = SignedSeal(batch, n, bytes(root), bytes(prev), bytes(value), key_id, bytes(signature), at)
            try:
                stamp_of(answer_in(receipt), seal.line().encode(), trusted)
            except StampError as error:
                sentence = f"The time stamp of seal {batch} proves nothing: {error}"
                yield Finding("stamp_wrong", sentence, batch)
        if len(rows) < _CHUNK:
            return
        after = rows[-1][0]


_RECEIPTS = """
SELECT seal.batch, n, root, prev_seal, seal.seal, key_id, signature, seal.at, kept.receipt
FROM audit_anchor kept JOIN audit_seal seal ON seal.batch = kept.batch
WHERE kept.place = %s AND kept.batch > %s ORDER BY kept.batch LIMIT %s
"""
