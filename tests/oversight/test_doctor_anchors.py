"""`manage.py doctor` as the sealer: each way in which a place could keep no seals is planted and found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from audit.forwarding.locked_objects import anchor
from audit.ledger.tsa_anchor import load_roots
from oversight.doctor import Finding, Level, examine
from oversight.doctor.anchors import places
from tests.audit.ledger.test_anchoring import seal_of
from tests.support.buckets import REGION, Buckets, simulated_buckets
from tests.support.tsa import Authority, serving


@pytest.fixture(scope="module")
def buckets() -> Iterator[Buckets]:
    with simulated_buckets() as found:
        yield found


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with serving(Authority()) as found:
        yield found


@pytest.fixture(autouse=True)
def sealer(settings: Settings) -> None:
    settings.PORTAL_PROCESS = "sealer"


@pytest.fixture
def bucket(buckets: Buckets, settings: Settings) -> str:
    settings.AUDIT_ANCHORS = ["s3"]
    settings.AUDIT_ANCHOR_BUCKET = buckets.make()
    settings.AUDIT_ANCHOR_BUCKET_REGION = REGION
    return str(settings.AUDIT_ANCHOR_BUCKET)


@pytest.fixture
def stamping(authority: Authority, settings: Settings, tmp_path: Path) -> Authority:
    authority.status, authority.granted = 200, True
    settings.AUDIT_ANCHORS = ["tsa"]
    settings.AUDIT_ANCHOR_TSA_URL = authority.url
    settings.AUDIT_ANCHOR_TSA_ROOTS = str(authority.roots(tmp_path))
    return authority


def look() -> list[tuple[str, Level]]:
    return [(each.check, each.level) for each in examine()]


def broken(check: str) -> Finding:
    (found,) = [each for each in examine() if each.level is Level.BROKEN]
    assert found.check == check
    assert found.why
    assert found.mend
    return found


def test_a_bucket_in_order_passes_empty_and_full_and_nothing_is_put_there(
    bucket: str, buckets: Buckets
) -> None:
    assert [each.what for each in examine()] == ["It has Object Lock. It holds no seal yet."]
    assert "Versions" not in buckets.administrator.list_object_versions(Bucket=bucket)
    anchor().put(seal_of(1))
    (found,) = examine()
    assert found.level is Level.GOOD
    assert "seals/000000000001" in found.what
    assert "is locked until 20" in found.what
    assert len(buckets.administrator.list_object_versions(Bucket=bucket)["Versions"]) == 1


def test_what_a_bucket_can_lack_is_found(
    bucket: str, buckets: Buckets, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    buckets.administrator.put_object(Bucket=bucket, Key="seals/loose.json", Body=b"{}")
    assert "seals/loose.json isn't locked" in broken("anchors.bucket").what
    settings.AUDIT_ANCHOR_BUCKET = buckets.make(locks=False)
    assert broken("anchors.bucket").what == "It has no Object Lock."
    settings.AUDIT_ANCHOR_BUCKET = "absent"
    assert "knows no bucket absent" in broken("anchors.bucket").what
    settings.AUDIT_ANCHOR_BUCKET = bucket
    monkeypatch.setenv("SEALER_AWS_ACCESS_KEY_ID", buckets.environ["REMOVER_AWS_ACCESS_KEY_ID"])
    assert "s3:GetBucketObjectLockConfiguration" in broken("anchors.bucket").mend
    monkeypatch.delenv("SEALER_AWS_SECRET_ACCESS_KEY")
    assert "whole key" in broken("anchors.bucket").mend


def test_an_authority_in_order_passes(stamping: Authority) -> None:
    found = list(examine())
    assert found[0].level is Level.GOOD
    assert "verifies up to a configured root" in found[0].what
    # Its root is good for a day here.
    assert [(each.about, each.level) for each in found[1:]] == [("the root CN=Root", Level.WARNING)]


def test_what_an_authority_can_lack_is_found(stamping: Authority, settings: Settings, tmp_path: Path) -> None:
    roots = Path(settings.AUDIT_ANCHOR_TSA_ROOTS)
    stamping.granted = False
    assert "refuses: Not today" in broken("anchors.time-stamps").what
    stamping.granted, stamping.status = True, 503
    assert "answered 503" in broken("anchors.time-stamps").what
    stamping.status = 200
    folder = tmp_path / "stranger"
    folder.mkdir()
    settings.AUDIT_ANCHOR_TSA_ROOTS = str(Authority().roots(folder))
    assert "doesn't verify" in broken("anchors.time-stamps").what
    settings.AUDIT_ANCHOR_TSA_ROOTS = str(tmp_path / "missing.pem")
    assert "can't be read" in broken("anchors.time-stamps").what
    settings.AUDIT_ANCHOR_TSA_ROOTS, settings.AUDIT_ANCHOR_TSA_URL = str(roots), "http://127.0.0.1:1/"
    assert "can't be reached" in broken("anchors.time-stamps").what


def test_a_root_that_ended_and_a_clock_that_is_off_are_found(stamping: Authority, settings: Settings) -> None:
    (root,) = load_roots(Path(settings.AUDIT_ANCHOR_TSA_ROOTS))
    later = [*places(now=root.not_valid_after_utc + timedelta(hours=1))]
    assert [each.level for each in later] == [Level.GOOD, Level.WARNING, Level.BROKEN]
    assert "behind this machine's" in later[1].what
    assert "It ended on" in later[2].what
    assert "ahead of" in [*places(now=datetime.now(UTC) - timedelta(minutes=5))][1].what


def test_the_rest_is_looked_at_when_one_place_fails_and_the_command_fails(
    bucket: str, stamping: Authority, settings: Settings
) -> None:
    settings.AUDIT_ANCHORS = ["file", "s3", "tsa"]
    settings.AUDIT_ANCHOR_BUCKET = "absent"
    assert look() == [
        ("anchors.places", Level.UNKNOWN),
        ("anchors.bucket", Level.BROKEN),
        ("anchors.time-stamps", Level.GOOD),
        ("anchors.time-stamps", Level.WARNING),
    ]
    out = StringIO()
    with pytest.raises(CommandError, match="1 of these leave seals unkept"):
        call_command("doctor", "--json", stdout=out)
    assert json.loads(out.getvalue())["counts"] == {"good": 1, "unknown": 1, "warning": 1, "broken": 1}


def test_without_a_place_that_is_said_and_another_process_sends_to_the_sealer(settings: Settings) -> None:
    settings.AUDIT_ANCHORS = []
    assert look() == [("anchors.places", Level.WARNING)]
    settings.AUDIT_ANCHORS, settings.PORTAL_PROCESS = ["s3", "tsa"], "worker"
    first = next(iter(examine()))
    assert (first.check, first.level) == ("anchors.places", Level.UNKNOWN)
    assert "Seals go to s3 and tsa" in first.what
