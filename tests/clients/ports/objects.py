"""Cases of ObjectStore."""

from __future__ import annotations

from datetime import timedelta

import pytest

from clients import errors
from tests.clients.ports.cloud import Cloud, case

BUCKETS = (("locking", True), ("loose", False))


@case("ObjectStore.put", "ObjectStore.read", "ObjectStore.locks", "ObjectStore.versions")
def what_is_put_is_read_back_with_its_lock(cloud: Cloud) -> None:
    world = cloud.small.world
    for name, locks in BUCKETS:
        world.objects.make_bucket(name, "eu-west-1", locks=locks)
    store, loose = cloud.store("locking"), cloud.store("loose")
    assert (store.locks().value, loose.locks().value) == (True, False)
    until = world.now() + timedelta(days=1)
    locked = store.put("a/1", b"one", content_type="text/plain", locked_until=until).value
    again = store.put("a/1", b"two", content_type="text/plain", encoding="gzip").value
    assert "" != locked.version_id != again.version_id != ""
    for put, body, end in ((locked, b"one", until), (again, b"two", None)):
        found = store.read("a/1", put.version_id).value
        assert (found.key, found.body, found.locked_until) == ("a/1", body, end)
    assert loose.put("a/1", b"one", content_type="text/plain").value.version_id == ""
    with pytest.raises(errors.Refused):
        loose.put("a/1", b"one", content_type="text/plain", locked_until=until)
    with pytest.raises(errors.NotFound):
        store.read("a/1", "0")
    with pytest.raises(errors.NotFound):
        cloud.store("absent").put("a/1", b"one", content_type="text/plain")


@case("ObjectStore.versions")
def versions_come_by_key_with_what_was_taken_away(cloud: Cloud) -> None:
    objects, store = cloud.small.world.objects, cloud.store("locking")
    objects.make_bucket("locking", "eu-west-1", locks=True)
    for key in ("a/2", "a/1", "b/1"):
        store.put(key, b"", content_type="text/plain")
    objects.delete("locking", "a/1")
    found = [(each.key, each.marker) for each in store.versions("a/")]
    assert found == [("a/1", False), ("a/1", True), ("a/2", False)]
    assert [each.key for each in store.versions("", after="a/1")] == ["a/2", "b/1"]
