"""Buckets of S3: versions, delete markers, and Object Lock, which keeps what is locked from everybody until its date.

Facts used here, from the S3 user guide and API reference: a bucket that is made with Object Lock has versioning; a
DELETE without a version leaves a delete marker there, and takes the only version away where there is no versioning;
versions are listed by key, the newest first; what is locked in the mode COMPLIANCE can't be deleted by anybody.
"""

import base64
import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from simulator.world.aws_state import Bucket, ObjectVersion
from simulator.world.errors import WorldError

if TYPE_CHECKING:
    from simulator.world.world import World

NO_VERSION = "null"  # the id of the only version where there is no versioning


class Objects:
    """What S3 keeps. Every refusal is a WorldError with S3's own code."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def make_bucket(self, name: str, region: str, *, locks: bool = False) -> Bucket:
        """A new one, with versioning where it locks. Raises WorldError BucketAlreadyOwnedByYou."""
        buckets = self._world.state.buckets
        if name in buckets:
            message = "Your previous request to create the named bucket succeeded and you already own it."
            raise WorldError(409, "BucketAlreadyOwnedByYou", message)
        buckets[name] = Bucket(name, region, locks=locks)
        return buckets[name]

    def bucket(self, name: str) -> Bucket:
        """Raises WorldError NoSuchBucket."""
        found = self._world.state.buckets.get(name)
        if found is None:
            raise WorldError(404, "NoSuchBucket", "The specified bucket does not exist")
        return found

    def put(
        self,
        name: str,
        key: str,
        body: bytes,
        *,
        headers: dict[str, str],
        checksums: dict[str, str],
        lock: tuple[str, datetime] | None = None,
    ) -> ObjectVersion:
        """Another version, or the only one. Raises WorldError InvalidRequest where it can't be locked, InvalidArgument."""
        bucket = self.bucket(name)
        if lock is not None:
            self._check_lock(bucket, lock[1])
        put = ObjectVersion(
            id=self._fresh_id(bucket),
            key=key,
            at=self._world.now(),
            body=base64.b64encode(body).decode(),
            etag=f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"',
            headers=headers,
            checksums=checksums,
            lock_mode=lock[0] if lock else None,
            locked_until=lock[1] if lock else None,
        )
        self._add(bucket, put)
        return put

    def find(self, name: str, key: str, version_id: str | None = None) -> ObjectVersion:
        """That version, or the newest. Raises WorldError NoSuchKey, NoSuchVersion, MethodNotAllowed for a marker."""
        found = self.bucket(name).objects.get(key, [])
        if version_id is None:
            if not found or found[0].marker:
                raise WorldError(404, "NoSuchKey", "The specified key does not exist.", details={"Key": key})
            return found[0]
        version = next((each for each in found if each.id == version_id), None)
        if version is None:
            raise WorldError(404, "NoSuchVersion", "The specified version does not exist.")
        if version.marker:
            message = "The specified method is not allowed against this resource."
            raise WorldError(405, "MethodNotAllowed", message)
        return version

    def delete(self, name: str, key: str, version_id: str | None = None) -> ObjectVersion | None:
        """Take a version away, or put a delete marker above them all: gives which. Raises WorldError AccessDenied."""
        bucket = self.bucket(name)
        found = bucket.objects.get(key, [])
        if version_id is None and bucket.locks:
            marker = ObjectVersion(self._fresh_id(bucket), key, self._world.now(), marker=True)
            self._add(bucket, marker)
            return marker
        gone = next((each for each in found if version_id in (None, each.id)), None)
        if gone is None:
            return None
        if gone.locked_until is not None and gone.locked_until > self._world.now():
            raise WorldError(403, "AccessDenied", "Access Denied because object protected by object lock.")
        found.remove(gone)
        return gone

    def versions(self, name: str, prefix: str = "") -> Iterator[tuple[ObjectVersion, bool]]:
        """Every version and delete marker by key, the newest first, and whether it is its key's newest."""
        objects = self.bucket(name).objects
        for key in sorted(each for each in objects if each.startswith(prefix)):
            for place, version in enumerate(objects[key]):
                yield version, place == 0

    def body(self, version: ObjectVersion) -> bytes:
        """What was put."""
        return base64.b64decode(version.body)

    def _check_lock(self, bucket: Bucket, until: datetime) -> None:
        if not bucket.locks:
            raise WorldError(400, "InvalidRequest", "Bucket is missing Object Lock Configuration")
        if until <= self._world.now():
            raise WorldError(400, "InvalidArgument", "The retain until date must be in the future!")

    def _fresh_id(self, bucket: Bucket) -> str:
        return self._world.dice.hex(32) if bucket.locks else NO_VERSION

    def _add(self, bucket: Bucket, version: ObjectVersion) -> None:
        held = bucket.objects.setdefault(version.key, [])
        if not bucket.locks:
            held.clear()
        held.insert(0, version)
