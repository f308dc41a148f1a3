"""One event's page: the proof is computed anew, and what was altered is named."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client

from audit.exporting.offline.access_portal_verify import root_of
from audit.history.proof import Proof, _proof, proven_event
from audit.ledger.anchoring import anchor_newest
from audit.ledger.anchors import FileAnchor
from audit.ledger.keys import make_key
from audit.ledger.merkle import leaf_hash
from audit.ledger.models import Leaf
from audit.ledger.sealing import seal_everything
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import note

pytestmark = pytest.mark.django_db


def text_of(client: Client, event_id: int) -> str:
    body = client.get(f"/audit/events/{event_id}/").content.decode()
    return " ".join(re.sub(r"<[^>]+>", "", body).split())


@pytest.mark.parametrize("many", [1, 6, 7])
def test_an_event_is_shown_with_its_way_to_the_seal(
    many: int, auditor: Client, as_role: AsRole, tmp_path: Path
) -> None:
    ids = [note(f"number {number}") for number in range(many)]
    assert "Not sealed yet" in text_of(auditor, ids[0])
    with as_role("portal_sealer"):
        seal_everything(make_key(tmp_path / "key"))
        anchor_newest(FileAnchor(tmp_path / "seals.jsonl"))
    sealed = Leaf.objects.get(event_id=ids[0]).batch
    in_batch = [each for each in ids if Leaf.objects.get(event_id=each).batch == sealed]
    assert in_batch == ids
    for event_id in ids:
        found = proven_event(event_id).proof
        assert found is not None
        assert found.wrong == []
        # An implementation that knows nothing of the portal comes to the same head by the same hashes.
        path = [bytes.fromhex(step.beside) for step in found.steps]
        root = root_of(bytes.fromhex(found.leaf), found.index, found.seal.n, path)
        assert root is not None
        assert root.hex() == found.root
        assert [each.place for each in found.anchored] == ["file"]
    last, text = proven_event(ids[-1]).proof, text_of(auditor, ids[-1])
    assert last is not None
    for words in (
        f"noted number {many - 1}",
        "The event leads to its seal",
        last.leaf,
        last.root,
        last.value,
        last.signature,
    ):
        assert words in text
    assert f'href="/audit/events/{ids[-1]}/"' in auditor.get("/audit/").content.decode()


def test_what_was_altered_is_named(auditor: Client, as_role: AsRole, tmp_path: Path) -> None:
    ids = [note(text) for text in "abc"]
    with as_role("portal_sealer"):
        seal_everything(make_key(tmp_path / "key"))
    event, leaf = proven_event(ids[1]), Leaf.objects.get(event_id=ids[1])
    altered = leaf_hash(ids[1], event.row.at, event.canon.replace('"b"', '"B"'))
    backdated = leaf_hash(ids[1], event.row.at - timedelta(microseconds=1), event.canon)
    for other in (altered, backdated):
        assert wrong(_proof(leaf, other)) == ["it was altered", "doesn't lead to the head"]
    elsewhere = Leaf.objects.get(event_id=ids[2])
    elsewhere.idx = leaf.idx  # as if it had been moved
    assert "doesn't lead to the head" in wrong(_proof(elsewhere, bytes(elsewhere.leaf)))


def test_a_seal_that_somebody_took_away_is_not_called_one_to_come(
    auditor: Client, as_role: AsRole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_id = note("a")
    with as_role("portal_sealer"):
        seal_everything(make_key(tmp_path / "key"))
    monkeypatch.setattr("audit.history.proof._proof", lambda *_: None)  # as it says where there is none
    text = text_of(auditor, event_id)
    assert f"It was sealed in batch {Leaf.objects.get(event_id=event_id).batch}, and no such seal" in text
    assert "Not sealed yet" not in text


def wrong(proof: Proof | None) -> list[str]:
    assert proof is not None
    known = ("it was altered", "doesn't lead to the head", "isn't the hash", "leaves are here")
    return [words for sentence in proof.wrong for words in known if words in sentence]


def test_an_event_that_is_not_there(auditor: Client) -> None:
    assert auditor.get("/audit/events/999999999/").status_code == 404
