"""Places outside the database that keep seals, so that whoever administers it can't rewrite all of them.

A place takes one line of text a seal and gives a receipt. `syslog_anchor` and `tsa_anchor` have one more each, and
`audit.forwarding.locked_objects` has S3; another needs one class with `name` and `put`, and a line in `places`.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self

from audit.ledger.canonical import clean, instant
from base.exchange import open_without_redirects

FORMAT = "access-portal audit seal 1"
KINDS = ("file", "webhook", "syslog", "s3", "tsa")
TIMEOUT_SECONDS = 10.0  # for all of one exchange with a place
MOST_RECEIPT = 500  # characters that are kept of what a place answers


class AnchorError(Exception):
    """The place didn't take the seal; the message says why, without any secret."""


@dataclass(frozen=True, slots=True)
class SignedSeal:
    """A row of audit_seal."""

    batch: int
    n: int
    root: bytes
    prev_seal: bytes
    seal: bytes
    key_id: str
    signature: bytes
    at: datetime

    def line(self) -> str:
        """The seal as one line of JSON without its line feed, always the same for the same seal."""
        document = {
            "anchor": FORMAT,
            "batch": self.batch,
            "n": self.n,
            "root": self.root.hex(),
            "prev_seal": self.prev_seal.hex(),
            "seal": self.seal.hex(),
            "key_id": self.key_id,
            "signature": self.signature.hex(),
            "at": instant(self.at),
        }
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def parse(cls, line: str) -> Self:
        """The seal that `line` wrote, whether or not it is genuine. Raises ValueError for anything else."""
        try:
            said = json.loads(line)
            if said["anchor"] != FORMAT:
                raise ValueError("The line has another format.")
            n, batch = said["n"], said["batch"]
            if not (type(n) is int and type(batch) is int and 0 <= n < 2**31 and 0 < batch < 2**63):
                raise ValueError("The line counts wrongly.")
            hashes = {name: bytes.fromhex(said[name]) for name in ("root", "prev_seal", "seal", "signature")}
            at = datetime.strptime(said["at"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
            return cls(batch, n, key_id=str(said["key_id"]), at=at, **hashes)
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError("The line is no anchored seal.") from error


class Anchor(Protocol):
    """A place that keeps seals."""

    @property
    def name(self) -> str:
        """What the place is called in receipts and on pages: one of KINDS."""

    def put(self, seal: SignedSeal) -> str:
        """Keep the seal, durably before this returns; gives a receipt. The same seal may come twice.

        Raises AnchorError.
        """


@dataclass(frozen=True, slots=True)
class FileAnchor:
    """One line a seal at the end of a file, on its disk before it counts."""

    path: Path
    name: str = "file"

    def put(self, seal: SignedSeal) -> str:
        """See Anchor. The receipt says where the line ends and what its SHA-256 is."""
        data = seal.line().encode() + b"\n"
        try:
            with self.path.open("ab+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                end = file.seek(0, os.SEEK_END)
                # A line that a crash or a full disk cut off stays by itself: the file is only ever added to.
                if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                    data = b"\n" + data
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                if not end:
                    _sync_folder(self.path.parent)  # or the new file's name could be lost
        except OSError as error:
            raise AnchorError(f"The anchor file can't be written: {error.strerror or error}.") from error
        return f"ends at byte {end + len(data)}, SHA-256 {hashlib.sha256(data.strip()).hexdigest()}"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class WebhookAnchor:
    """One POST a seal, the line as its body; an answer of 2xx means kept."""

    url: str
    secret: str
    name: str = "webhook"

    def put(self, seal: SignedSeal) -> str:
        """See Anchor. The receipt is the status and the beginning of what was answered."""
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked when the process starts
            self.url,
            data=seal.line().encode(),
            headers={
                "Content-Type": "application/json",
                "User-Agent": "access-portal",
                "Authorization": f"Bearer {self.secret}",
                # The same seal may be sent again; whoever wants each once knows it by this.
                "Idempotency-Key": seal.seal.hex(),
            },
            method="POST",
        )
        try:
            with open_without_redirects(request, TIMEOUT_SECONDS) as answer:
                said = _beginning(answer).decode("utf-8", "replace")
                return clean(f"{answer.status} {said}")[:MOST_RECEIPT].strip()
        except urllib.error.HTTPError as error:
            with error:
                raise AnchorError(f"The webhook answered {error.code}.") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AnchorError(f"The webhook can't be reached ({type(error).__name__}).") from error


def _beginning(answer: http.client.HTTPResponse) -> bytes:
    """What a place says of what it has kept already: its status counts, also when the rest is late or torn."""
    try:
        return answer.read(4 * MOST_RECEIPT)
    except (OSError, http.client.HTTPException, ValueError):
        return b""
