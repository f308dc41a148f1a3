"""The trail in a bucket: names in the order of the seals, nothing lacking after a death, and the same bytes again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from audit.forwarding import carrying
from audit.forwarding.carrying import carry, stream_states
from audit.forwarding.models import Stream
from base import crash
from tests.audit.forwarding.conftest import Seal
from tests.audit.forwarding.test_carrying import again
from tests.support.buckets import REGION, Buckets, simulated_buckets
from tests.support.stage import Died


@pytest.fixture(scope="module")
def buckets() -> Iterator[Buckets]:
    with simulated_buckets() as found:
        yield found


@pytest.fixture
def bucket(buckets: Buckets, settings: Settings) -> str:
    settings.AUDIT_STREAMS = ["s3"]
    settings.AUDIT_STREAM_BUCKET = buckets.make(locks=False)
    settings.AUDIT_STREAM_BUCKET_REGION = REGION
    return str(settings.AUDIT_STREAM_BUCKET)


def objects(buckets: Buckets, bucket: str) -> dict[str, list[int]]:
    """The ids of the events in each object, by name, in the order of the names."""
    found = buckets.administrator.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {each["Key"]: ids(buckets, bucket, each["Key"]) for each in found}


def ids(buckets: Buckets, bucket: str, key: str) -> list[int]:
    kept = buckets.administrator.get_object(Bucket=bucket, Key=key)
    assert (kept["ContentType"], kept["ContentEncoding"]) == ("application/x-ndjson", "gzip")
    lines = gzip.decompress(kept["Body"].read()).decode().splitlines()
    return [int(json.loads(line)["metadata"]["uid"]) for line in lines]


def test_what_is_sealed_arrives_in_the_order_of_the_names(
    seal: Seal, bucket: str, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [*seal(2), *seal(3)]
    monkeypatch.setattr(carrying, "MOST_AT_ONCE", 4)
    assert carry("s3") == 5
    assert objects(buckets, bucket) == {
        "events/000000000001.000000-000000000002.000001.jsonl.gz": wanted[:4],
        "events/000000000002.000002-000000000002.000002.jsonl.gz": wanted[4:],
    }
    [state] = stream_states(["s3"])
    assert (state.sent, state.problem, state.lag.total_seconds()) == (5, "", 0)


def test_a_death_makes_the_same_object_again_or_a_longer_one_behind_it(
    seal: Seal, bucket: str, buckets: Buckets
) -> None:
    first = seal(2)

    def die(name: str) -> None:
        if name == "forwarding.before_noted":
            raise Died

    for _ in range(2):
        crash.install(die)
        try:
            with pytest.raises(Died):
                carry("s3")
        finally:
            crash.install(None)
    [(name, kept)] = objects(buckets, bucket).items()
    assert kept == first, "the very same twice is one"
    etag = buckets.administrator.head_object(Bucket=bucket, Key=name)["ETag"]
    more = seal(1)
    assert carry("s3") == 3
    found = objects(buckets, bucket)
    assert list(found.values()) == [first, first + more]
    assert next(iter(found)) == name, "whoever has read it finds everything else behind it"
    assert buckets.administrator.head_object(Bucket=bucket, Key=name)["ETag"] == etag


def test_a_bucket_that_refuses_keeps_the_place_and_says_why(
    seal: Seal, bucket: str, buckets: Buckets, settings: Settings
) -> None:
    wanted = seal(2)
    settings.AUDIT_STREAM_BUCKET = "absent"
    assert carry("s3") == 0
    [state] = stream_states(["s3"])
    assert state.problem == "The bucket absent took nothing: AWS knows no bucket absent."
    assert Stream.objects.get().idx == -1
    settings.AUDIT_STREAM_BUCKET = bucket
    again()
    assert carry("s3") == 2
    assert list(objects(buckets, bucket).values()) == [wanted]
