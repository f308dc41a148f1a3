"""Seals in a bucket with Object Lock: what is taken away, hidden, altered or loose there is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from audit.forwarding.locked_objects import ObjectAnchor
from audit.ledger.anchoring import anchor_newest
from audit.ledger.anchors import AnchorError
from audit.ledger.keys import make_key, public_path
from audit.ledger.models import AnchorReceipt
from audit.ledger.places import configured, readable
from audit.ledger.read_back import read_back
from audit.ledger.sealing import seal_everything
from base.clock import real_now
from tests.audit.ledger.factories import note
from tests.audit.ledger.test_anchoring import seal_of
from tests.support.buckets import REGION, Buckets, simulated_buckets

type AsRole = Callable[[str], AbstractContextManager[None]]
NOW = timedelta(0)


@pytest.fixture(scope="module")
def buckets() -> Iterator[Buckets]:
    with simulated_buckets() as found:
        yield found


@pytest.fixture
def bucket(buckets: Buckets, settings: Settings) -> str:
    settings.AUDIT_ANCHORS = ["s3"]
    settings.AUDIT_ANCHOR_BUCKET = buckets.make()
    settings.AUDIT_ANCHOR_BUCKET_REGION = REGION
    return str(settings.AUDIT_ANCHOR_BUCKET)


def test_a_seal_is_one_locked_object_and_its_receipt_names_the_version(bucket: str, buckets: Buckets) -> None:
    [place] = configured()
    receipt = place.put(seal_of(1))
    assert receipt.startswith(f"s3://{bucket}/seals/000000000001-{'01' * 32}.json?versionId=")
    until = datetime.fromisoformat(receipt.rpartition(" ")[2])
    assert timedelta(days=2556) < until - real_now() < timedelta(days=2558)
    version = receipt.partition("versionId=")[2].partition(",")[0]
    key = f"seals/000000000001-{'01' * 32}.json"
    kept = buckets.administrator.get_object(Bucket=bucket, Key=key, VersionId=version)
    assert kept["Body"].read().decode() == seal_of(1).line()
    assert (kept["ObjectLockMode"], kept["ObjectLockRetainUntilDate"]) == ("COMPLIANCE", until)


def test_a_bucket_that_keeps_nothing_is_refused_with_what_to_do(buckets: Buckets) -> None:
    for name, said in ((buckets.make(locks=False), "has no Object Lock"), ("absent", "knows no bucket")):
        place = ObjectAnchor(buckets.store(name), name, "seals/", timedelta(days=1))
        with pytest.raises(AnchorError, match=said):
            place.put(seal_of(1))


def test_what_somebody_did_in_the_bucket_is_named(
    bucket: str, buckets: Buckets, as_role: AsRole, tmp_path: Path, committed_db: str
) -> None:
    key = make_key(tmp_path / "key")
    [place] = configured()
    for _ in range(3):
        note()
        with as_role("portal_sealer"):
            seal_everything(key)
            anchor_newest(place, every=NOW)
    words = {"public_key": [str(public_path(tmp_path / "key"))], "objects": 100}

    def verified() -> tuple[str, str]:
        out, err = StringIO(), StringIO()
        with as_role("portal_sealer"):
            try:
                call_command("audit_verify", stdout=out, stderr=err, **words)
            except CommandError:
                assert err.getvalue()
        return out.getvalue(), err.getvalue()

    out, err = verified()
    assert ("3 anchored seals are the ones here; the newest is seal 3" in out, err) == (True, "")

    [half] = [read_back(place, most=1) for place in readable()]
    assert ([json.loads(line)["batch"] for line in half.lines], half.findings) == ([3], []), (
        "no more than was asked for"
    )

    receipts = list(AnchorReceipt.objects.order_by("batch").values_list("receipt", flat=True))
    wheres = [each.partition(",")[0] for each in receipts]
    keys = [where.partition(f"{bucket}/")[2].partition("?")[0] for where in wheres]
    hidden = buckets.administrator.delete_object(Bucket=bucket, Key=keys[0])
    assert hidden["DeleteMarker"]
    buckets.administrator.put_object(Bucket=bucket, Key=keys[1], Body=b"{}")
    _, err = verified()
    assert "is a delete marker: somebody tried to take an anchored seal away." in err
    assert f"s3://{bucket}/{keys[1]}?versionId=" in err
    assert "isn't locked in the mode COMPLIANCE" in err
    assert "anchor_object_missing" not in err

    _gone(buckets, bucket, keys[2])
    _, err = verified()
    assert f"anchor_object_missing: What s3 receipted for seal 3 is gone: {wheres[2]}." in err


def _gone(buckets: Buckets, bucket: str, key: str) -> None:
    """As the cloud's own keeper could: no interface does it."""
    buckets.world.state.buckets[bucket].objects[key].clear()


def test_without_a_place_that_can_be_read_the_command_says_so(settings: Settings, tmp_path: Path) -> None:
    settings.AUDIT_ANCHORS = ["file"]
    make_key(tmp_path / "key")
    with pytest.raises(CommandError, match="can be read back; s3 can"):
        call_command("audit_verify", public_key=[str(public_path(tmp_path / "key"))], objects=5)
