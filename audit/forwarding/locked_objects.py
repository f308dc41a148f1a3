"""A bucket of S3 with Object Lock as a place that keeps seals: one locked object a seal, which nobody can take back.

It stands here and not beside the other places, because it speaks to AWS through the ports, which the ledger doesn't know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from audit.ledger.anchors import AnchorError, SignedSeal
from audit.ledger.canonical import instant
from audit.ledger.read_back import Kept
from base.clock import real_now
from clients.errors import ClientError, NotFound, Refused
from clients.ports import ObjectStore
from clients.registry import object_store

NAME = "s3"
OWNER = "SEALER"
_MOST_LINE = 4_000


@dataclass(frozen=True, slots=True)
class ObjectAnchor:
    """PREFIX/000000000042-SEAL.json, locked in the mode COMPLIANCE for `kept_for` from when it is put."""

    store: ObjectStore
    bucket: str
    prefix: str
    kept_for: timedelta
    name: str = NAME

    def put(self, seal: SignedSeal) -> str:
        """See Anchor. The receipt names the object, its version and until when it is locked."""
        key, until = self._key(seal), (real_now() + self.kept_for).replace(microsecond=0)
        try:
            if not self.store.locks().value:
                raise AnchorError(f"The bucket {self.bucket} has no Object Lock, so it keeps nothing: {_HOW}")
            put = self.store.put(
                key, seal.line().encode(), content_type="application/json", locked_until=until
            ).value
        except Refused as error:
            raise AnchorError(f"The bucket {self.bucket} takes no locked object: {error.sentence}") from error
        except ClientError as error:
            raise AnchorError(f"The bucket {self.bucket} took no seal: {error.sentence}") from error
        if not put.version_id:
            raise AnchorError(f"The bucket {self.bucket} gave no version of what it took: {_HOW}")
        return f"{self._where(key, put.version_id)}, locked until {instant(until)}"

    def read_back(self, after: str) -> Iterator[Kept]:
        """See ReadablePlace. Delete markers, unlocked versions and what can't be read are problems of their own."""
        try:
            last = after.removeprefix(f"s3://{self.bucket}/").partition("?")[0]
            for version in self.store.versions(self.prefix, after=last):
                if version.marker:
                    where = self._where(version.key, version.version_id)
                    yield Kept(where, "", "is a delete marker: somebody tried to take an anchored seal away.")
                else:
                    yield self._read(version.key, version.version_id)
        except ClientError as error:
            raise AnchorError(f"The bucket {self.bucket} can't be read: {error.sentence}") from error

    def _read(self, key: str, version_id: str) -> Kept:
        where = self._where(key, version_id)
        try:
            found = self.store.read(key, version_id).value
        except NotFound:
            return Kept(where, "", "was deleted while the bucket was read.")
        line = found.body[:_MOST_LINE].decode("utf-8", "replace")
        return Kept(where, line, _looseness(found.locked_until))

    def _key(self, seal: SignedSeal) -> str:
        return f"{self.prefix}{seal.batch:012}-{seal.seal.hex()}.json"

    def _where(self, key: str, version_id: str) -> str:
        return f"s3://{self.bucket}/{key}?versionId={version_id}"


_HOW = "switch Object Lock on for it, or name a bucket that has it in AUDIT_ANCHOR_BUCKET."


def _looseness(locked_until: datetime | None) -> str:
    if locked_until is None:
        return "isn't locked in the mode COMPLIANCE: whoever may delete objects could take it away."
    return ""


def anchor() -> ObjectAnchor:
    """The place that the settings name. Raises ValueError when the sealer's key is half a key."""
    bucket, region = settings.AUDIT_ANCHOR_BUCKET, settings.AUDIT_ANCHOR_BUCKET_REGION
    try:
        store = object_store(bucket, region, owner=OWNER)
    except ClientError as error:
        raise ValueError(error.sentence) from error
    kept_for = timedelta(days=settings.AUDIT_ANCHOR_KEPT_DAYS)
    return ObjectAnchor(store, bucket, settings.AUDIT_ANCHOR_BUCKET_PREFIX, kept_for)
