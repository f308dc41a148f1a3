"""Evidence packs against anchors, and keys that are trusted for some seals only, without the portal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from audit.exporting import evidence
from audit.exporting.evidence import make_pack
from audit.exporting.offline.access_portal_verify import (
    check_anchors,
    check_seals,
    load_keys,
    main,
    read_pack,
)
from audit.ledger.anchoring import _RECEIPT, anchor_newest
from audit.ledger.anchors import FileAnchor, SignedSeal
from audit.ledger.keys import SealingKey, make_key
from audit.ledger.merkle import seal_hash
from audit.ledger.models import Leaf
from audit.ledger.reading import EventFilter, events
from audit.ledger.recorder import Actor
from audit.ledger.sealing import seal_everything
from tests.audit.exporting.test_evidence import changed
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import note
from tests.requests_app import factories as make


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    return tmp_path / "seals.jsonl"


@pytest.fixture
def pack(db: None, key: SealingKey, as_role: AsRole, tmp_path: Path, anchors: Path) -> Path:
    """One event of somebody in batch 1 and one in batch 4; batch 3 is anchored, 4 isn't yet, 2 is at another place."""
    actor = Actor.person(make.oid(), "Ada")
    for batch in range(1, 5):
        note(actor=actor if batch in {1, 4} else Actor.system())
        with as_role("portal_sealer"):
            seal_everything(key)
            if batch == 2:
                assert anchor_newest(FileAnchor(tmp_path / "other.jsonl", "webhook")) is not None
            if batch == 3:
                assert anchor_newest(FileAnchor(anchors)) is not None
    with as_role("portal_web"):
        made = make_pack(events(EventFilter(people=(actor.object_id,))).entries, title="Ada's events")
    path = tmp_path / "pack.zip"
    path.write_bytes(made.file.read())
    return path


def verify(pack: Path, *more: str | Path, key: str = "key.pub") -> int:
    return main([str(pack), "--public-key", f"{pack.parent / key}", *map(str, more)])


def test_a_pack_leads_to_the_next_anchored_seal(
    pack: Path, anchors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(pack, "--anchors", anchors) == 0
    said = capsys.readouterr().out
    assert "PROVEN: 2 events are what 4 signed seals sealed." in said
    assert "ANCHORED: 3 of 4 seals lead to seals that were anchored elsewhere." in said
    assert "NOT " not in said.replace("NOT SEALED: what", "")


def test_anchors_of_another_trail_show_a_rewriting(
    pack: Path, anchors: Path, key: SealingKey, as_role: AsRole, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same key signed another seal 3: the pack is sound by itself, and not what was anchored."""
    line = anchors.read_text()
    other = forged(line, key)
    anchors.write_text(other)
    assert verify(pack) == 0
    assert verify(pack, "--anchors", anchors) == 1
    assert "Seal 3 isn't the one that was anchored (line 1)" in capsys.readouterr().out


def forged(line: str, key: SealingKey, *, ahead: int = 0, late: timedelta = timedelta(0)) -> str:
    """Another seal of its place, or of one so many batches ahead, at its time or that much later."""
    seal = SignedSeal.parse(line)
    seal = replace(seal, root=bytes(32), batch=seal.batch + ahead, at=seal.at + late)
    value = seal_hash(seal.prev_seal, seal.root, seal.n, seal.batch, seal.at)
    return replace(seal, seal=value, signature=key.sign(value)).line() + "\n"


def test_lines_that_prove_nothing_are_named(
    pack: Path, anchors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = anchors.read_text()
    anchors.write_text("torn" + "\n" + line)
    assert verify(pack, "--anchors", anchors) == 0
    anchors.write_text(line + "torn\n")
    assert verify(pack, "--anchors", anchors) == 1
    assert "Line 2 of the anchors can't be read" in capsys.readouterr().out
    anchors.write_text(forged(line, make_key(tmp_path / "other")))
    assert verify(pack, "--anchors", anchors) == 1
    assert "no trusted key signed" in capsys.readouterr().out
    anchors.write_text("")
    assert verify(pack, "--anchors", anchors) == 0
    assert "ANCHORED: 0 of 4" in capsys.readouterr().out
    assert verify(pack, "--anchors", tmp_path / "absent") == 2


def test_only_a_whole_chain_leads_to_an_anchor(pack: Path, anchors: Path) -> None:
    keys, lines = load_keys([f"{pack.parent / 'key.pub'}"]), anchors.read_text().splitlines()
    seals = {seal["batch"]: seal for seal in read_pack(str(pack))[1]}
    assert check_anchors(lines, seals, keys) == ({1, 2, 3}, [], [])
    assert check_anchors(lines, {**seals, 2: {**seals[2], "prev_seal": ""}}, keys) == ({2, 3}, [], [1])
    assert check_anchors(lines, {batch: seals[batch] for batch in (1, 3, 4)}, keys) == ({3}, [], [1])


def test_a_seal_is_of_the_time_between_the_anchored_ones_next_to_it(
    pack: Path, anchors: Path, key: SealingKey
) -> None:
    """Whoever has the key can sign another time, and who leaves no links is still held to the anchors' times."""
    keys, line = load_keys([f"{pack.parent / 'key.pub'}"]), anchors.read_text()
    later = forged(line, key, ahead=10, late=timedelta(hours=5))
    for ahead, hours, words in (
        (900, -2, "Seal 903 claims to be of"),
        (900, 2, ""),
        (5, -2, "before seal 3, which was anchored and comes before it"),
        (5, 4, ""),
        (5, 7, "after seal 13, which was anchored and comes after it"),
        (-1, 2, "after seal 3, which was anchored and comes after it"),
    ):
        seal = json.loads(forged(line, key, ahead=ahead, late=timedelta(hours=hours)))
        anchored = [line] if ahead == 900 else [later, line]
        said = " ".join(check_anchors(anchored, {seal["batch"]: seal}, keys).wrong)
        assert (words in said, bool(words)) == (True, bool(said)), (ahead, hours)


def test_the_seal_before_a_batch_is_packed_and_held_by_the_signature_of_the_next(pack: Path) -> None:
    [last] = Leaf.objects.filter(batch=4).values_list("event_id", flat=True)
    assert [seal.batch for seal in evidence._proofs([last])[1]] == [3, 4]
    seals, keys = read_pack(str(pack))[1][2:], load_keys([f"{pack.parent / 'key.pub'}@4.."])
    assert check_seals(seals, keys, {4})[1] == [], "one who isn't given the key of before"
    assert "Seal 3 was signed" in check_seals(seals, keys, {3, 4})[1][0]
    assert "doesn't follow" in check_seals([{**seals[1], "batch": 1}], keys, {1})[1][-1]


def test_links_that_were_taken_out_of_a_pack_are_missed(
    pack: Path, anchors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever sealed another trail with the key keeps out of a pack what the anchors would contradict."""

    def take_out(files: dict[str, bytes]) -> None:
        lines = files["seals.jsonl"].splitlines(keepends=True)
        files["seals.jsonl"] = lines[0] + lines[3]

    assert verify(changed(pack, take_out), "--anchors", anchors) == 0
    said = capsys.readouterr().out
    assert "ANCHORED: 0 of 2 seals" in said
    assert "NOT ANCHORED: 1 seals, the first of them 1, lead to none" in said  # 4 was sealed after the newest
    assert "NOT DATED: of 1 events, the first of them" in said, "nor the seal before"


@pytest.mark.parametrize(
    ("span", "code", "words"),
    [
        ("@..", 0, "PROVEN"),
        ("@1..4", 0, "PROVEN"),
        ("@2026-01-01T00:00:00Z..", 0, "PROVEN"),
        ("@2..", 1, "Seal 1 was signed with key"),
        ("@..3", 1, "isn't trusted for it"),
        ("@..2020-01-01T00:00:00.5Z", 1, "isn't trusted for it"),
        ("@yesterday..", 2, "neither a batch nor an instant"),
    ],
)
def test_a_key_is_trusted_for_its_own_seals_only(
    span: str, code: int, words: str, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(pack, key=f"key.pub{span}") == code
    assert words in capsys.readouterr().out


def test_where_the_next_anchor_is_far_the_pack_holds_its_own_seals_only(
    pack: Path, anchors: Path, monkeypatch: pytest.MonkeyPatch, as_role: AsRole, key: SealingKey
) -> None:
    assert list(evidence._links([1, 4])) == [1, 2, 3]
    monkeypatch.setattr(evidence, "_most_links", lambda place: 1)
    assert list(evidence._links([1, 4])) == [1, 2], "to the other place"
    monkeypatch.setattr(evidence, "_most_links", lambda place: 0)
    assert list(evidence._links([1, 4])) == []
    monkeypatch.setattr(evidence, "_most_links", {"file": 2, "webhook": 1}.get)
    assert list(evidence._links([1])) == [1, 2, 3]
    monkeypatch.setattr(evidence, "MOST_LINKS", 2)
    assert list(evidence._links([1])) == [1, 2], "a way that doesn't lead to the end is of no use"


def test_links_lead_as_far_as_a_place_s_own_pace(pack: Path, as_role: AsRole, settings: Settings) -> None:
    settings.AUDIT_ANCHOR_TSA_MINUTES = 60
    with as_role("portal_sealer"), connection.cursor() as cursor:
        for place, batch in (("tsa", 3_600), ("s3", 3_601)):
            cursor.execute(_RECEIPT, [place, batch, bytes(32), "kept"])
    assert list(evidence._links([1])) == [*range(1, 3_601)], "an hour of a seal a second"
    settings.AUDIT_ANCHOR_TSA_MINUTES = 30
    assert list(evidence._links([1])) == [1, 2, 3]
