"""Evidence packs: the offline verifier proves what was sealed, and names each thing that was changed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_subatomic.db import transaction

from audit.exporting import evidence
from audit.exporting.evidence import MOST_EVENTS, VERIFIER, make_pack
from audit.exporting.offline.access_portal_verify import check_events, leaf_of, main, not_dated, root_of
from audit.ledger import merkle
from audit.ledger.keys import SealingKey, make_key
from audit.ledger.merkle import audit_path, node_hash, root_hash
from audit.ledger.models import Event, Leaf, Seal
from audit.ledger.reading import EventFilter, events
from audit.ledger.recorder import Actor
from audit.ledger.sealing import seal_everything
from tests.audit.history.conftest import AsRole
from tests.audit.ledger.factories import ask, note
from tests.requests_app import factories as make

type Files = dict[str, bytes]


@pytest.mark.parametrize("count", range(1, 20))
def test_every_path_leads_to_the_head_and_no_other_place_does(count: int) -> None:
    leaves = [bytes([number]) * 32 for number in range(count)]
    for index, leaf in enumerate(leaves):
        path = audit_path(leaves, index)
        assert root_of(leaf, index, count, path) == root_hash(leaves)
        for other in range(-1, count + 1):
            if other != index:
                assert root_of(leaf, other, count, path) != root_hash(leaves)
        assert root_of(leaf, index, count, [*path, leaf]) is None
    with pytest.raises(IndexError):
        audit_path(leaves, count)


@pytest.fixture
def pack(db: None, key: SealingKey, as_role: AsRole, tmp_path: Path) -> Path:
    """Five events of one person in two batches, packed."""
    oid = make.oid()
    actor = Actor.person(oid, "Ada")
    for batch in (["a", "b"], ["c", "d"]):
        for text in batch:
            note(text, actor=actor)
            note("of somebody else")
        if batch[0] == "c":
            with transaction():
                ask(actor=actor, words="Disk is full")
        with as_role("portal_sealer"):
            seal_everything(key)
    return written(tmp_path, oid)


def written(folder: Path, oid: str) -> Path:
    made = make_pack(events(EventFilter(people=(oid,))).entries, title="Ada's events")
    path = folder / "pack.zip"
    path.write_bytes(made.file.read())
    return path


def verify(pack: Path, *more: str, key: str = "key.pub") -> int:
    return main([str(pack), "--public-key", str(pack.parent / key), *more])


def changed(pack: Path, change: Callable[[Files], None], *, honest: bool = True) -> Path:
    """The pack with its files changed, and by default with a manifest that fits them."""
    with zipfile.ZipFile(pack) as old:
        files = {name: old.read(name) for name in old.namelist()}
    change(files)
    if honest:
        manifest = json.loads(files["manifest.json"])
        manifest["files"] = {
            name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "manifest.json"
        }
        manifest["events"] = len(files["events.jsonl"].splitlines())
        files["manifest.json"] = json.dumps(manifest).encode()
    path = pack.with_name("changed.zip")
    with zipfile.ZipFile(path, "w") as new:
        for name, data in files.items():
            new.writestr(name, data)
    return path


def edit(name: str, number: int, change: Callable[[dict[str, Any]], None]) -> Callable[[Files], None]:
    """Change one line of a file of lines."""

    def act(files: Files) -> None:
        lines = [json.loads(line) for line in files[name].splitlines()]
        change(lines[number])
        files[name] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    return act


def test_a_batch_that_lacks_a_leaf_is_packed_and_found_wrong(
    pack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = evidence._leaves
    monkeypatch.setattr(
        evidence, "_leaves", lambda batches: [(batch, leaves[1:]) for batch, leaves in whole(batches)]
    )
    oid = str(Event.objects.exclude(actor_oid="").values_list("actor_oid", flat=True).first())
    assert verify(written(pack.parent, oid)) == 1
    assert "WRONG" in capsys.readouterr().out


def test_each_batch_is_read_and_hashed_once(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many of its events, and of how many batches, a pack holds."""
    hashed: list[bytes] = []

    def counting(left: bytes, right: bytes) -> bytes:
        hashed.append(left)
        return node_hash(left, right)

    monkeypatch.setattr(merkle, "node_hash", counting)
    sealed = [*Leaf.objects.order_by("batch", "idx").values_list("event_id", "batch")]
    most = sum(seal.n - 1 for seal in Seal.objects.all())
    with CaptureQueriesContext(connection) as of_all:
        proofs, _ = evidence._proofs([event for event, _ in sealed])
    assert len(proofs) == len(sealed)
    assert len({batch for _, batch in sealed}) == 2
    assert len(hashed) == most
    with CaptureQueriesContext(connection) as of_one:
        evidence._proofs([sealed[0][0]])
    assert len(of_all) == len(of_one)
    monkeypatch.setattr(evidence, "_LEAVES_AT_ONCE", 1)
    assert evidence._proofs([event for event, _ in sealed])[0] == proofs


def test_it_is_proven_by_a_program_that_knows_nothing_of_the_portal(pack: Path) -> None:
    with zipfile.ZipFile(pack) as packed:
        packed.extract(VERIFIER.name, pack.parent / "elsewhere")
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            VERIFIER.name,
            str(pack),
            "--public-key",
            str(pack.parent / "key.pub"),
            "--show",
        ],
        cwd=pack.parent / "elsewhere",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PROVEN: 5 events are what 2 signed seals sealed." in done.stdout
    assert done.stdout.count("trial.noted") == 4
    (asked,) = [line for line in done.stdout.splitlines() if "trial.asked" in line]
    for said in ('"justification": "Disk is full"', '"actor": "Ada"', '"group": "Storage"', oid_of(pack)):
        assert said in asked, "what is proven is who did what to whom, and in which words"
    files = zipfile.ZipFile(pack)
    event, seal = (json.loads(files.read(name).splitlines()[-1]) for name in ("events.jsonl", "seals.jsonl"))
    assert f"(written {event['at']}, sealed {seal['at']} with seal 2)  trial.asked" in asked
    assert "commitments" not in asked
    assert (
        "NOT SEALED: what README.txt, access_portal_verify.py, case.html, manifest.json say;" in done.stdout
    )
    imports = [
        line.split()[1] for line in VERIFIER.read_text().splitlines() if line.startswith(("import ", "from "))
    ]
    assert {name.partition(".")[0] for name in imports} - set(sys.stdlib_module_names) == {"cryptography"}


def test_an_event_is_of_the_time_between_the_seal_before_and_its_own() -> None:
    """Give or take an hour: a transaction takes a while."""
    seals = {1: {"batch": 1, "at": at(12, 0)}, 2: {"batch": 2, "at": at(14, 0), "n": 1}}
    for written, words in (
        (at(10, 59), "claims a time at which the sealer didn't find it: seal 1 is of"),
        (at(11, 1), ""),
        (at(14, 59), ""),
        (at(15, 1), "claims a time after the seal that holds it was made"),
    ):
        event = {"id": 5, "at": written, "canon": "{}", "words": {}}
        event["proof"] = {"batch": 2, "index": 0, "path": []}
        seals[2]["root"] = leaf_of(event).hex()
        said = " ".join(check_events([event], seals))
        assert (words in said, bool(words)) == (True, bool(said)), written
        assert not_dated([event], seals) == []
        assert not_dated([event], {2: seals[2]}) == [5]


def at(hour: int, minute: int) -> str:
    return f"2026-05-01T{hour:02}:{minute:02}:00.000000Z"


def oid_of(pack: Path) -> str:
    """Ada's, as her first event says it."""
    first = json.loads(zipfile.ZipFile(pack).read("events.jsonl").splitlines()[0])
    return str(json.loads(first["canon"])["actor"]["oid"])


def _swap(event: dict[str, Any]) -> None:
    event["canon"] = event["canon"].replace("done", "gone")


def _words(event: dict[str, Any]) -> None:
    event["words"]["justification"]["text"] = "Because I say so"


def _moved(event: dict[str, Any]) -> None:
    """The first words go into the salt: what is hashed stays the same, what is read doesn't."""
    kept = event["words"]["justification"]
    kept["salt"] += kept["text"][:5].encode().hex()
    kept["text"] = kept["text"][5:]


def _contradicting(event: dict[str, Any]) -> None:
    event["canon"] = event["canon"].replace('"outcome":', '"outcome":"failed","outcome":')


def _bare(event: dict[str, Any]) -> None:
    event["proof"] = None


def _index(event: dict[str, Any]) -> None:
    event["proof"]["index"] = 1 - event["proof"]["index"]


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda line: line.update(values)


def _twice(files: Files) -> None:
    files["events.jsonl"] += files["events.jsonl"].splitlines()[0] + b"\n"


def _same_place(files: Files) -> None:
    first, second, *rest = [json.loads(line) for line in files["events.jsonl"].splitlines()]
    second["proof"] = first["proof"]
    files["events.jsonl"] = b"".join(json.dumps(each).encode() + b"\n" for each in [first, second, *rest])


def _forked(files: Files) -> None:
    """Another seal before the last, and not where one would look for it."""
    first, second = files["seals.jsonl"].splitlines()
    other = {**json.loads(second), "prev_seal": "00" * 32}
    files["seals.jsonl"] = json.dumps(other).encode() + b"\n" + first + b"\n"


def _cut(files: Files) -> None:
    files["seals.jsonl"] = files["seals.jsonl"].splitlines()[0] + b"\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edit("events.jsonl", 0, _swap), "it was altered"),
        (edit("events.jsonl", 0, _set(at="2020-01-01T00:00:00.000000Z")), "it was altered"),
        (edit("events.jsonl", 1, _set(id=1)), "it was altered"),
        (edit("events.jsonl", 4, _words), "'justification' of event"),
        (edit("events.jsonl", 4, _moved), "'justification' of event"),
        (edit("events.jsonl", 0, _contradicting), "'outcome' stands twice"),
        (edit("events.jsonl", 2, _bare), "had no seal yet"),
        (edit("events.jsonl", 0, _index), "it was altered"),
        (edit("seals.jsonl", 0, _set(root="00" * 32)), "isn't the hash of what it seals"),
        (edit("seals.jsonl", 1, _set(prev_seal="00" * 32)), "doesn't follow seal"),
        (_forked, "doesn't follow seal"),
        (edit("seals.jsonl", 0, _set(signature="00" * 64)), "The signature of seal"),
        (edit("seals.jsonl", 0, _set(key_id="0" * 16)), "wasn't given as trusted"),
        (_cut, "whose seal is missing"),
        (_twice, "is in the pack twice"),
        (_same_place, "claims the place of another event"),
    ],
)
def test_what_was_changed_is_named(
    change: Callable[[Files], None], words: str, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(changed(pack, change)) == 1
    said = capsys.readouterr().out
    assert words in said
    assert "PROVEN" not in said


@pytest.mark.parametrize("name", ["events.jsonl", "seals.jsonl", "case.html", "README.txt"])
def test_one_byte_is_found(name: str, pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def flip(files: Files) -> None:
        data = bytearray(files[name])
        data[len(data) // 2] ^= 1
        files[name] = bytes(data)

    assert verify(changed(pack, flip, honest=False)) in (1, 2)
    assert "PROVEN" not in capsys.readouterr().out


def _stream(data: bytearray) -> int:
    """Where what the first file was packed into begins."""
    return 30 + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (_stream, 0xFF),
        (lambda data: data.index(b"PK\x01\x02") + 8, 0x01),
        (lambda data: data.index(b"PK\x01\x02") + 10, 99),
    ],
    ids=["compressed", "said to be encrypted", "said to be of another method"],
)
def test_a_byte_of_the_zip_itself_makes_it_unreadable(
    where: Callable[[bytearray], int], value: int, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(pack.read_bytes())
    data[where(data)] = value
    pack.write_bytes(data)
    assert verify(pack) == 2
    assert capsys.readouterr().out.startswith("UNREADABLE: The pack can't be read")


def _seam(seal: dict[str, Any]) -> None:
    """The seal's parts are cut apart elsewhere: the same bytes are hashed."""
    seal["prev_seal"], seal["root"] = seal["prev_seal"] + seal["root"][:2], seal["root"][2:]


def _named_twice(files: Files) -> None:
    files["events.jsonl"] = files["events.jsonl"].replace(b'"at": ', b'"at": "2020-01-01", "at": ', 1)


UNREADABLE: dict[str, Callable[[Files], None]] = {
    "too large a number": edit("seals.jsonl", 0, _set(n=2**70)),
    "too deep": lambda files: files.update({"seals.jsonl": b"[" * 100_000}),
    "a number as text": edit("events.jsonl", 0, lambda event: event.update(id=str(event["id"]))),
    "a number with a point": edit("events.jsonl", 0, lambda event: event["proof"].update(index=0.0)),
    "no number": edit("events.jsonl", 0, _set(more=float("nan"))),
    "a name twice": _named_twice,
    "another time": edit("events.jsonl", 0, _set(at="2020-1-1T00:00:00.000000Z")),
    "upper case": edit("seals.jsonl", 1, lambda seal: seal.update(seal=seal["seal"].upper())),
    "another seam": edit("seals.jsonl", 1, _seam),
}


def test_what_is_too_much_or_could_be_read_otherwise_is_unreadable(
    pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, change in UNREADABLE.items():
        assert verify(changed(pack, change)) == 2, name
        assert capsys.readouterr().out.startswith("UNREADABLE: "), name


def test_files_that_were_added_or_taken_are_named(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def meddle(files: Files) -> None:
        files["more.txt"] = b"x"
        del files["README.txt"]

    assert verify(changed(pack, meddle, honest=False)) == 1
    said = capsys.readouterr().out
    assert "more.txt was added" in said
    assert "README.txt is missing" in said


def test_another_key_proves_nothing(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_key(pack.parent / "other")
    assert verify(pack, key="other.pub") == 1
    assert "wasn't given as trusted" in capsys.readouterr().out


def test_a_seal_noted_elsewhere_must_be_the_same(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = Seal.objects.order_by("-batch")[0]
    assert verify(pack, "--noted-seal", f"{last.batch}={bytes(last.seal).hex()}") == 0
    assert verify(pack, "--noted-seal", f"{last.batch}={'0' * 64}") == 1
    assert "the trail was rewritten" in capsys.readouterr().out
    assert verify(pack, "--noted-seal", f"{last.batch + 9}={'0' * 64}") == 1


@pytest.mark.parametrize("content", [b"", b"no zip", None], ids=["empty", "text", "absent"])
def test_what_is_no_pack_is_unreadable(
    content: bytes | None, tmp_path: Path, key: SealingKey, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pack.zip"
    if content is not None:
        path.write_bytes(content)
    assert verify(path) == 2
    assert capsys.readouterr().out.startswith("UNREADABLE: ")


def test_without_the_words_that_were_erased_all_is_proven(pack: Path) -> None:
    assert verify(changed(pack, edit("events.jsonl", 4, _set(words={})))) == 0


@pytest.mark.django_db
def test_what_is_not_sealed_yet_is_said_everywhere(key: SealingKey, tmp_path: Path) -> None:
    oid = make.oid()
    note(actor=Actor.person(oid, "Ada"))
    path = written(tmp_path, oid)
    assert verify(path) == 1
    assert b"had no seal yet" in zipfile.ZipFile(path).read("case.html")


@pytest.mark.django_db
def test_hostile_words_are_inert_on_the_page(tmp_path: Path) -> None:
    oid = make.oid()
    note("<script>alert(1)</script>", actor=Actor.person(oid, "<b onload=x>"))
    page = zipfile.ZipFile(written(tmp_path, oid)).read("case.html").decode()
    assert "<script" not in page
    assert "<b onload" not in page


@pytest.mark.django_db
def test_a_hostile_title_is_one_line_in_which_nothing_hides() -> None:
    title = "Ada\u202e\r\nPROVEN: 9 events\u2028<b onload=x>\x1b[2J"
    packed = zipfile.ZipFile(make_pack([], title=title).file)
    second = packed.read("README.txt").decode().split("\n")[1]
    assert second == "Ada\\u202e PROVEN: 9 events <b onload=x>\\u001b[2J"
    page = packed.read("case.html").decode()
    assert "<b onload" not in page
    assert not {"\u202e", "\u2028", "\x1b"} & {*page}
    assert json.loads(packed.read("manifest.json"))["title"] == second


def test_a_pack_is_bounded() -> None:
    with pytest.raises(ValueError, match="at most"):
        make_pack([None] * (MOST_EVENTS + 1), title="x")  # type: ignore[list-item] # refused before it is looked at
