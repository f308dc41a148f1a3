"""Objects over real HTTP, through boto3: locked ones stay, a bucket says whether it locks, failures are the port's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError as AwsError

from clients.errors import NotFound, NotPermitted, Refused, Unreachable
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
