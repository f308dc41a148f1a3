"""A bucket of S3 as a receiver of the trail: compressed objects of JSON Lines, named by the places of their events.

A name is the place in the seals of its first and of its last event, so that names sort as the trail goes, the same events
make the very same object, and a repetition with more events makes another one behind it. Nothing is ever put over with
something else: whoever has read up to a name lacks nothing that sorts before it.
"""

from __future__ import annotations

import gzip
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from django.conf import settings

from audit.forwarding import ocsf
from audit.forwarding.receivers import Sealed, Undelivered
from clients.errors import ClientError
from clients.registry import object_store

NAME = "s3"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One object a delivery; AWS's answer to the put is the acknowledgement."""

    bucket: str
    region: str
    prefix: str
    name: str = NAME

    def deliver(self, events: Sequence[Sealed]) -> Generator[Sealed, None, None]:
        """See Receiver."""
        if not events:
            return
        lines = "".join(f"{ocsf.json_line(each.entry, each.batch, short=True)}\n" for each in events)
        try:
            object_store(self.bucket, self.region).put(
                self.key(events),
                gzip.compress(lines.encode(), mtime=0),  # no time in it: the same events, the same bytes
                content_type="application/x-ndjson",
                encoding="gzip",
            )
        except ClientError as error:
            raise Undelivered(f"The bucket {self.bucket} took nothing: {error.sentence}") from error
        yield events[-1]

    def key(self, events: Sequence[Sealed]) -> str:
        """PREFIX/000000000012.000000-000000000014.000003.jsonl.gz: batch and place of the first and of the last."""
        first, last = (f"{each.batch:012}.{each.idx:06}" for each in (events[0], events[-1]))
        return f"{self.prefix}{first}-{last}.jsonl.gz"


def receiver() -> Bucket:
    """The receiver that the settings name."""
    return Bucket(
        settings.AUDIT_STREAM_BUCKET, settings.AUDIT_STREAM_BUCKET_REGION, settings.AUDIT_STREAM_BUCKET_PREFIX
    )
