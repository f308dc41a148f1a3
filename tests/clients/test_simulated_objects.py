"""Objects over real HTTP, through boto3: locked ones stay, a bucket says whether it locks, failures are the port's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError as AwsError

from clients.errors import NotFound, NotPermitted, Refused, Unreachable
from simulator.aws import s3
from simulator.world.world import World
from tests.simulator.world.factory import small_world
from tests.support.buckets import Buckets, simulated_buckets

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


@pytest.fixture(scope="module")
def buckets() -> Iterator[Buckets]:
    with simulated_buckets() as found:
        yield found


def test_what_is_locked_stays_for_everybody(buckets: Buckets) -> None:
    name = buckets.make()
    store = buckets.store(name)
    assert store.locks().value
    put = store.put("a/1", b"one", content_type="text/plain", locked_until=UNTIL)
    assert put.value.version_id
    assert put.receipt.vendor_request_id
    with pytest.raises(AwsError, match="AccessDenied"):
        buckets.administrator.delete_object(Bucket=name, Key="a/1", VersionId=put.value.version_id)
    buckets.administrator.delete_object(Bucket=name, Key="a/1")
    found = list(store.versions("a/"))
    assert [(each.key, each.marker) for each in found] == [("a/1", False), ("a/1", True)]
    read = store.read("a/1", put.value.version_id).value
    assert (read.body, read.locked_until) == (b"one", UNTIL)


def test_versions_come_in_the_order_of_their_keys_from_a_place_on(buckets: Buckets) -> None:
    name = buckets.make()
    store = buckets.store(name)
    for key in ("a/3", "a/1", "b/1", "a/2"):
        store.put(key, key.encode(), content_type="text/plain")
    assert [each.key for each in store.versions("a/", after="a/1")] == ["a/2", "a/3"]
    [loose] = [each for each in store.versions("a/") if each.key == "a/2"]
    assert store.read("a/2", loose.version_id).value.locked_until is None
    buckets.administrator.delete_object(Bucket=name, Key="a/2", VersionId=loose.version_id)
    with pytest.raises(NotFound):
        store.read("a/2", loose.version_id)


def test_a_lock_ends_with_the_worlds_time(buckets: Buckets) -> None:
    name, world = buckets.make(), buckets.world
    until = world.now() + timedelta(days=1)
    put = buckets.store(name).put("a/1", b"one", content_type="text/plain", locked_until=until).value
    gone = {"Bucket": name, "Key": "a/1", "VersionId": put.version_id}
    world.step(timedelta(hours=23))
    with pytest.raises(AwsError, match="protected by object lock"):
        buckets.administrator.delete_object(**gone)
    world.step(timedelta(hours=1))
    buckets.administrator.delete_object(**gone)
    assert list(buckets.store(name).versions("")) == []
    with pytest.raises(Refused, match="InvalidArgument"):
        buckets.store(name).put("a/1", b"one", content_type="text/plain", locked_until=until)


def test_buckets_are_the_worlds_and_kept_with_it(buckets: Buckets, tmp_path: Path) -> None:
    name = buckets.make()
    put = buckets.store(name).put("a/1", b"\xff", content_type="text/plain", locked_until=UNTIL).value
    assert small_world().world.state.buckets == {}
    buckets.world.save(tmp_path / "world.json")
    again = World.load(tmp_path / "world.json", buckets.world.clock)
    found = again.objects.find(name, "a/1", put.version_id)
    assert (again.objects.body(found), found.locked_until) == (b"\xff", UNTIL)


def test_lists_come_in_pages(buckets: Buckets) -> None:
    name, client = buckets.make(), buckets.administrator
    for _ in range(2):
        for key in ("a/1", "a/\u00fc 2", "b"):
            client.put_object(Bucket=name, Key=key, Body=b"")
    versions = client.get_paginator("list_object_versions").paginate(
        Bucket=name, PaginationConfig={"PageSize": 1}
    )
    rows = [row for page in versions for row in page.get("Versions", ())]
    newest = [(row["Key"], row["IsLatest"]) for row in rows]
    assert newest == [(key, latest) for key in ("a/1", "a/\u00fc 2", "b") for latest in (True, False)]
    assert len({row["VersionId"] for row in rows}) == 6
    current = client.get_paginator("list_objects_v2").paginate(Bucket=name, PaginationConfig={"PageSize": 2})
    assert [row["Key"] for page in current for row in page["Contents"]] == ["a/1", "a/\u00fc 2", "b"]


def test_what_is_not_simulated_or_not_whole_is_refused(buckets: Buckets) -> None:
    client, name = buckets.administrator, buckets.make()
    put = {"Bucket": name, "Key": "a/1", "Body": b"one"}
    client.put_object(**put)
    for call, arguments, code in (
        (client.put_object, {**put, "Tagging": "a=b"}, "NotImplemented"),
        (client.get_object, {"Bucket": name, "Key": "a/1", "Range": "bytes=0-1"}, "NotImplemented"),
        (client.get_object_tagging, {"Bucket": name, "Key": "a/1"}, "NotImplemented"),
        (client.list_buckets, {}, "NotImplemented"),
        (client.list_object_versions, {"Bucket": name, "Delimiter": "/"}, "NotImplemented"),
        (client.put_object, {**put, "ChecksumSHA256": "AAAA"}, "BadDigest"),
        (client.put_object, {**put, "ObjectLockMode": "COMPLIANCE"}, "InvalidArgument"),
        (client.get_object, {"Bucket": name, "Key": "b"}, "NoSuchKey"),
        (client.get_object, {"Bucket": name, "Key": "a/1", "VersionId": "0"}, "NoSuchVersion"),
        (client.create_bucket, {"Bucket": name}, "BucketAlreadyOwnedByYou"),
    ):
        with pytest.raises(AwsError) as refused:
            call(**arguments)
        assert refused.value.response["Error"]["Code"] == code
        assert refused.value.response["ResponseMetadata"]["RequestId"]


def test_a_role_needs_each_permission_of_its_own(buckets: Buckets) -> None:
    name = buckets.make()
    put = buckets.store(name).put("a/1", b"one", content_type="text/plain", locked_until=UNTIL).value
    with pytest.raises(NotPermitted):
        buckets.store(name, "WORKER").put("a/2", b"", content_type="text/plain", locked_until=UNTIL)
    assert buckets.store(name, "WORKER").put("a/2", b"", content_type="text/plain").value.version_id
    with pytest.raises(NotPermitted):
        buckets.store(name, "WORKER").read("a/1", put.version_id)


def test_an_answer_that_the_model_does_not_know_is_a_defect(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Perhaps"}}
    wrong = replace(s3.OPERATIONS["GetObjectLockConfiguration"], respond=lambda _: lock)
    monkeypatch.setitem(s3.OPERATIONS, "GetObjectLockConfiguration", wrong)
    with pytest.raises(AwsError, match=r"SimulatorDefect.*ObjectLockEnabled: 'Perhaps'"):
        buckets.administrator.get_object_lock_configuration(Bucket=buckets.make())


def test_a_bucket_without_locks_says_so_and_takes_none(buckets: Buckets) -> None:
    name = buckets.make(locks=False)
    store = buckets.store(name)
    assert not store.locks().value
    with pytest.raises(Refused, match="InvalidRequest"):
        store.put("a/1", b"one", content_type="text/plain", locked_until=UNTIL)


def test_what_goes_wrong_is_one_of_the_ports_errors(buckets: Buckets) -> None:
    name = buckets.make()
    with pytest.raises(NotFound, match="knows no bucket absent"):
        buckets.store("absent").put("a/1", b"one", content_type="text/plain")
    with pytest.raises(NotPermitted):
        buckets.store(name, "REMOVER").locks()
    for kind in ("lose_answer", "lose_answer", "error", "error", "error_after", "error_after"):
        buckets.world.faults.add("aws.s3.PUT", kind, status=503, code="SlowDown")
    for _ in range(3):
        with pytest.raises(Unreachable):
            buckets.store(name).put("a/1", b"one", content_type="text/plain")
    assert len([*buckets.store(name).versions("a/")]) == 4, (
        "refused before its effect twice, four times after it"
    )
    half = Buckets(
        buckets.world, buckets.administrator, {**buckets.environ, "SEALER_AWS_SECRET_ACCESS_KEY": ""}
    )
    with pytest.raises(NotPermitted, match="belong together"):
        half.store(name)
