"""What anchors show: a cut tail, a rewriting with new seals and an old backup, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from io import StringIO
from itertools import count
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command

from audit.ledger import sealing
from audit.ledger.anchored import anchored_lines
from audit.ledger.anchoring import anchor_newest
from audit.ledger.anchors import FileAnchor, SignedSeal
from audit.ledger.keys import KeyFileError, SealingKey, load_public_keys, make_key, public_path
from audit.ledger.models import Event, Seal
from audit.ledger.sealing import seal_everything
from audit.ledger.verifying import Report, verify
from tests.audit.ledger.factories import note
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]
type Run = Callable[..., None]
_numbers = count()


@pytest.fixture
def key(tmp_path: Path) -> SealingKey:
    return make_key(tmp_path / "key")


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    return tmp_path / "seals.jsonl"


@pytest.fixture
def grow(key: SealingKey, anchors: Path, as_role: AsRole, committed_db: str) -> Callable[..., None]:
    """Write and seal `batches` batches of one event; anchor the last of them."""

    def act(batches: int = 1, *, anchored: bool = True, by: SealingKey = key) -> None:
        for _ in range(batches):
            note(f"note {next(_numbers)}")
            seal_with(by, as_role)
        if anchored:
            with as_role("portal_sealer"):
                assert anchor_newest(FileAnchor(anchors), every=timedelta(0))

    return act


def seal_with(key: SealingKey, as_role: AsRole) -> None:
    with as_role("portal_sealer"):
        seal_everything(key)


@pytest.fixture
def superuser(committed_db: str, postgres_server: PostgresServer) -> Iterator[Run]:
    """Somebody who can do everything, and lets nothing stand in the way."""
    with psycopg.connect(postgres_server.conninfo("postgres", committed_db), autocommit=True) as direct:
        for table in ("audit_event", "audit_leaf", "audit_seal", "audit_anchor"):
            direct.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_unchanged")

        def run(*statements: str) -> None:
            for statement in statements:
                direct.execute(statement)

        yield run


CUT = (
    "DELETE FROM audit_pii WHERE event_id IN (SELECT event_id FROM audit_leaf WHERE batch > 2)",
    "DELETE FROM audit_event WHERE id IN (SELECT event_id FROM audit_leaf WHERE batch > 2)",
    "DELETE FROM audit_leaf WHERE batch > 2",
    "DELETE FROM audit_seal WHERE batch > 2",
)
FORGET_RECEIPTS = "DELETE FROM audit_anchor WHERE batch > 2"
UNSEAL = ("DELETE FROM audit_leaf WHERE batch > 2", "DELETE FROM audit_seal WHERE batch > 2")


def verified(key: SealingKey, anchors: Path) -> Report:
    return verify({key.id: key.trusted}, anchors=anchored_lines(anchors))


def found(report: Report) -> dict[str, int | None]:
    return {finding.code: finding.batch for finding in report.findings}


def test_a_trail_as_it_was_anchored_is_sound(grow: Run, key: SealingKey, anchors: Path) -> None:
    grow(2)
    grow(2)
    report = verified(key, anchors)
    assert report.sound, report.findings
    assert report.anchored is not None
    assert report.anchored.agreeing == 2
    assert report.anchored.newest is not None
    assert report.anchored.newest.batch == 4
    grow(anchored=False)  # what isn't anchored yet is nobody's fault
    assert verified(key, anchors).sound


def test_a_cut_tail_is_found(grow: Run, key: SealingKey, anchors: Path, superuser: Run) -> None:
    grow(2)
    grow(2)
    superuser(*CUT)
    report = verified(key, anchors)
    assert found(report) == {"tail_cut": 4, "receipt_differs": 4}
    assert "The trail ends at seal 2" in report.findings[0].sentence
    assert found(verify({key.id: key.trusted})) == {"receipt_differs": 4}  # its receipt shows it by itself


@pytest.mark.proof
def test_an_old_backup_is_found_as_it_is_put_back(
    grow: Run, key: SealingKey, anchors: Path, superuser: Run
) -> None:
    grow(2)
    grow(2)
    superuser(*CUT, FORGET_RECEIPTS)  # the database of then: nothing in it is wrong by itself
    assert verify({key.id: key.trusted}).sound
    report = verified(key, anchors)
    assert found(report) == {"old_backup": 4}
    assert "an older backup was put back" in report.findings[0].sentence


@pytest.mark.proof
def test_an_old_backup_is_found_when_sealing_went_on_and_anchored_anew(
    grow: Run, key: SealingKey, anchors: Path, superuser: Run
) -> None:
    grow(2)
    grow(2)
    superuser(*CUT, FORGET_RECEIPTS)
    grow(3)
    assert verify({key.id: key.trusted}).sound
    report = verified(key, anchors)
    assert found(report) == {"old_backup": 4}
    assert "sealing went on" in report.findings[0].sentence


def test_a_rewriting_with_new_seals_is_found(
    grow: Run, key: SealingKey, anchors: Path, superuser: Run, as_role: AsRole
) -> None:
    """Somebody with the database and the key alters an event and seals everything after it again."""
    grow(2)
    grow(2)
    superuser(
        *UNSEAL,
        FORGET_RECEIPTS,
        "UPDATE audit_event SET canon = replace(canon, 'note ', 'Note '), "
        "data = replace(canon, 'note ', 'Note ')::jsonb "
        "WHERE id = (SELECT id FROM audit_event ORDER BY id DESC OFFSET 1 LIMIT 1)",
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sealing, "BATCH", 1)
        seal_with(key, as_role)
    assert Seal.objects.count() == 4
    assert verify({key.id: key.trusted}).sound
    assert found(verified(key, anchors)) == {"rewritten": 4}
    grow()
    assert found(verified(key, anchors)) == {"rewritten": 4}


@pytest.mark.proof
def test_a_line_that_nobody_trusted_signed_and_an_empty_file_prove_nothing(
    grow: Run, key: SealingKey, anchors: Path, tmp_path: Path
) -> None:
    anchors.touch()
    assert found(verified(key, anchors)) == {"anchors_empty": None}
    grow()
    line = anchors.read_text()
    for change in (
        line.replace('"n":1', '"n":2'),
        SignedSeal.parse(line).line().replace('"signature":"', '"signature":"00')[:-1],
    ):
        anchors.write_text(line + change + "\n")
        assert set(found(verified(key, anchors))) <= {"anchor_forged", "anchor_unreadable"}
        assert not verified(key, anchors).sound
    other = make_key(tmp_path / "other")
    anchors.write_text(line)
    assert "anchor_forged" in found(verified(other, anchors))


@pytest.mark.proof
def test_a_line_torn_by_a_crash_is_forgiven_once_a_sound_one_follows(
    grow: Run, key: SealingKey, anchors: Path
) -> None:
    grow()
    with anchors.open("a") as file:
        file.write('{"anchor":"access-portal audit se')
    assert found(verified(key, anchors)) == {"anchor_unreadable": None}
    grow()
    report = verified(key, anchors)
    assert report.sound, report.findings
    assert report.anchored is not None
    assert (report.anchored.torn, report.anchored.agreeing) == (1, 2)


def test_lines_that_are_added_while_it_reads_are_left_to_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("one\ntwo\n")
    lines = anchored_lines(path)
    with path.open("a") as file:
        file.write("three\n")
    assert list(lines) == ["one\n", "two\n"]


def test_the_command_compares_and_says_how_far_the_anchors_reach(
    grow: Run,
    key: SealingKey,
    anchors: Path,
    superuser: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grow(2)
    public = str(public_path(tmp_path / "key"))
    call_command("audit_verify", public_key=[public], anchors=anchors)
    assert "1 anchored seals are the ones here; the newest is seal 2 of " in capsys.readouterr().out
    with pytest.raises(CommandError, match="anchors can't be read"):
        call_command("audit_verify", public_key=[public], anchors=tmp_path / "absent")
    grow()
    superuser(*CUT)
    with pytest.raises(CommandError, match="first bad batch is 3"):
        call_command("audit_verify", public_key=[public], anchors=anchors)
    assert "tail_cut: The trail ends at seal 2" in capsys.readouterr().err


# --- several keys


def test_a_rotation_is_announced_and_each_key_is_trusted_for_its_own_seals(
    grow: Run, key: SealingKey, anchors: Path, tmp_path: Path, as_role: AsRole
) -> None:
    former, next_path = str(public_path(tmp_path / "key")), tmp_path / "next"
    successor = make_key(next_path)
    grow(2)
    with as_role("portal_worker"):
        with pytest.raises(CommandError, match="seals the trail already"):
            call_command("announce_sealing_key", former, reason="Again")
        call_command(
            "announce_sealing_key", str(public_path(next_path)), reason="Yearly", stdout=(said := StringIO())
        )
    assert f"Announced key {successor.id} after batch 2" in said.getvalue()
    event = Event.objects.get(type="ledger.key_announced")
    assert event.data["fields"] == {"key": successor.id, "former": key.id, "after_batch": 2}
    grow(2, by=successor)
    at = Seal.objects.get(batch=2).at.isoformat()

    def judged(*spans: str) -> dict[str, int | None]:
        named = [f"{path}{span}" for path, span in zip((former, public_path(next_path)), spans, strict=True)]
        return found(verify(load_public_keys(named), anchors=anchored_lines(anchors)))

    assert judged("", "") == {}
    assert judged("@..2", "@3..") == {}
    assert judged(f"@..{at}", f"@{at}..") == {}
    assert judged("@..1", "@3..") == {"key_outside": 2, "anchor_forged": 2}
    assert judged("@..2", "@4..") == {"key_outside": 3}
    assert judged("@..2", "@..2026-01-01T00:00:00Z") == {"key_outside": 4, "anchor_forged": 4}


@pytest.mark.proof
def test_a_key_that_nobody_announced_is_found(grow: Run, key: SealingKey, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    grow()
    grow(by=other)
    report = verify({key.id: key.trusted, other.id: other.trusted})
    assert found(report) == {"rotation_unannounced": 2}


def test_spans_are_read_strictly(tmp_path: Path) -> None:
    make_key(tmp_path / "a@b")
    path = public_path(tmp_path / "a@b")
    (trusted,) = load_public_keys([f"{path}@7..2026-05-01T12:00:00Z"]).values()
    assert trusted.words == "from batch 7 to 2026-05-01T12:00:00.000000Z"
    for span in ("@x..", "@..2026-05-01", "@1..2026-05-01T12:00:00"):
        with pytest.raises(KeyFileError, match="bounds no span"):
            load_public_keys([f"{path}{span}"])
    with pytest.raises(KeyFileError, match="named twice"):
        load_public_keys([path, f"{path}@1..2"])
