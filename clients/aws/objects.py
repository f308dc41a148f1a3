"""Objects in one bucket of S3: written once, perhaps under a lock, and read back with their versions.

Facts used here, from the S3 user guide and API reference: an object that is put with Object Lock in the mode COMPLIANCE
can't be overwritten or deleted by anybody, the account's root included, until its date ("Using S3 Object Lock"); it
works in buckets with versioning only, where a plain DELETE leaves the version and puts a delete marker above it; a put
with a lock needs a checksum (PutObject), which boto3 computes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from clients.aws.caller import AwsCaller
from clients.aws.config import AwsConfig
from clients.aws.cutting import own_credentials
from clients.errors import ClientError, NotFound, Refused
from clients.limits import Limiter, build_limiter
from clients.types import ObjectVersion, Reading, StoredObject

_NO_LOCK = "ObjectLockConfigurationNotFoundError"
_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion"})
_MOST_BYTES = 64 * 1024 * 1024


class Boto3Objects:
    """Implements clients.ports.ObjectStore. Safe between threads."""

    def __init__(self, caller: AwsCaller, bucket: str) -> None:
        self._caller = caller
        self._bucket = bucket

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str,
        encoding: str = "",
        locked_until: datetime | None = None,
    ) -> Reading[ObjectVersion]:
        """See the port."""
        more: dict[str, Any] = {"ContentEncoding": encoding} if encoding else {}
        if locked_until is not None:
            more |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": locked_until}
        answer = self._call(
            "put_object",
            Key=key,
            Body=body,
            ContentType=content_type,
            ChecksumAlgorithm="SHA256",
            **more,
        )
        return Reading(ObjectVersion(key, str(answer.value.get("VersionId") or "")), answer.receipt)

    def locks(self) -> Reading[bool]:
        """See the port."""
        try:
            answer = self._call("get_object_lock_configuration")
        except ClientError as error:
            if error.code == _NO_LOCK and error.receipt is not None:
                return Reading(value=False, receipt=error.receipt)
            raise
        found = answer.value.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled")
        return Reading(found == "Enabled", answer.receipt)

    def versions(self, prefix: str, *, after: str = "") -> Iterator[ObjectVersion]:
        """See the port."""
        marker: dict[str, str] = {"KeyMarker": after} if after else {}
        while True:
            answer = self._call("list_object_versions", Prefix=prefix, **marker).value
            found = [
                ObjectVersion(str(each["Key"]), str(each["VersionId"]), marker=is_marker)
                for name, is_marker in (("Versions", False), ("DeleteMarkers", True))
                for each in answer.get(name) or ()
            ]
            yield from sorted(found, key=lambda each: (each.key, each.marker))
            if not answer.get("IsTruncated"):
                return
            marker = {
                name: str(answer[f"Next{name}"])
                for name in ("KeyMarker", "VersionIdMarker")
                if answer.get(f"Next{name}")
            }

    def read(self, key: str, version_id: str) -> Reading[StoredObject]:
        """See the port."""
        try:
            answer = self._call("get_object", Key=key, VersionId=version_id)
        except ClientError as error:
            if error.code in _ABSENT:
                raise NotFound(error.sentence, code=error.code, receipt=error.receipt) from error
            raise
        with answer.value["Body"] as stream:
            body: bytes = stream.read(_MOST_BYTES)
        until = answer.value.get("ObjectLockRetainUntilDate")
        if answer.value.get("ObjectLockMode") != "COMPLIANCE" or not isinstance(until, datetime):
            until = None
        found = StoredObject(key, version_id, body, until.astimezone(UTC) if until else None)
        return Reading(found, answer.receipt)

    def _call(self, method: str, **arguments: Any) -> Reading[dict[str, Any]]:
        try:
            return self._caller.one("s3", method, Bucket=self._bucket, **arguments)
        except Refused as error:
            if error.code == "NoSuchBucket":
                raise NotFound(
                    f"AWS knows no bucket {self._bucket}.", code=error.code, receipt=error.receipt
                ) from error
            raise


def build_objects(
    bucket: str,
    region: str,
    *,
    owner: str = "",
    environ: Mapping[str, str] | None = None,
    limiter: Limiter | None = None,
) -> Boto3Objects:
    """The adapter of one bucket, with the key of OWNER_AWS_… or, without an owner, the process's own.

    Raises NotPermitted when only a part of a key is there.
    """
    environ = os.environ if environ is None else environ
    caller = AwsCaller(
        AwsConfig(region),
        limiter or build_limiter(environ),
        attempts=2,
        credentials=own_credentials(environ, owner) if owner else None,
        bucket="object-store",
        circuit="Amazon S3",
    )
    return Boto3Objects(caller, bucket)
