"""The port of objects over a simulated world in the same process."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from clients.types import ObjectVersion, Reading, StoredObject
from simulator.world.world import World
from tests.support.world_port import Calls, WorldPort


class WorldObjects(WorldPort):
    """Implements clients.ports.ObjectStore for one bucket."""

    def __init__(self, world: World, calls: Calls, bucket: str) -> None:
        super().__init__(world, calls)
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
        described = {"ContentType": content_type} | ({"ContentEncoding": encoding} if encoding else {})
        lock = ("COMPLIANCE", locked_until) if locked_until else None

        def answer() -> ObjectVersion:
            objects = self._world.objects
            made = objects.put(self._bucket, key, body, headers=described, checksums={}, lock=lock)
            return ObjectVersion(key, made.id if objects.bucket(self._bucket).locks else "")

        # Putting again does no harm, so that an unknown outcome is none to settle.
        return self._read("aws.s3.PUT", answer)

    def locks(self) -> Reading[bool]:
        return self._read("aws.s3.GET", lambda: self._world.objects.bucket(self._bucket).locks)

    def versions(self, prefix: str, *, after: str = "") -> Iterator[ObjectVersion]:
        def answer() -> list[ObjectVersion]:
            found = [
                ObjectVersion(each.key, each.id, marker=each.marker)
                for each, _ in self._world.objects.versions(self._bucket, prefix)
                if each.key > after
            ]
            return sorted(found, key=lambda each: (each.key, each.marker))

        yield from self._read("aws.s3.GET", answer).value

    def read(self, key: str, version_id: str) -> Reading[StoredObject]:
        def answer() -> StoredObject:
            found = self._world.objects.find(self._bucket, key, version_id)
            until = found.locked_until if found.lock_mode == "COMPLIANCE" else None
            return StoredObject(key, version_id, self._world.objects.body(found), until)

        return self._read("aws.s3.GET", answer)
