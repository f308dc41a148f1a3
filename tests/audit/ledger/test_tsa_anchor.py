"""Time-stamping authorities: an answer counts only when it verifies, and `openssl` agrees about what is kept."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from audit.exporting.evidence import make_pack
from audit.exporting.offline.access_portal_verify import main
from audit.ledger.anchoring import anchor_newest, anchor_states
from audit.ledger.anchors import AnchorError
from audit.ledger.keys import make_key, public_path
from audit.ledger.models import AnchorReceipt
from audit.ledger.reading import EventFilter, events
from audit.ledger.sealing import seal_everything
from audit.ledger.tsa_anchor import StampError, TsaAnchor, answer_in, load_roots, stamp_of
from audit.ledger.verifying import verify
from tests.audit.ledger.factories import note
from tests.audit.ledger.test_anchoring import seal_of
from tests.support.tsa import Authority, serving

type AsRole = Callable[[str], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with serving(Authority()) as found:
        yield found


@pytest.fixture
def place(authority: Authority, tmp_path: Path) -> TsaAnchor:
    authority.status, authority.granted = 200, True
    return TsaAnchor(authority.url, authority.roots(tmp_path))


def test_the_receipt_is_a_time_stamp_of_that_seal_and_of_no_other(place: TsaAnchor) -> None:
    receipt = place.put(seal_of(1))
    assert receipt.startswith("stamped at 20")
    roots = load_roots(place.roots)
    assert stamp_of(answer_in(receipt), seal_of(1).line().encode(), roots).serial >= 1
    with pytest.raises(StampError, match="doesn't verify"):
        stamp_of(answer_in(receipt), seal_of(2).line().encode(), roots)
    with pytest.raises(StampError, match="doesn't verify"):
        stamp_of(answer_in(receipt), seal_of(1).line().encode(), [Authority().root])
    broken = bytearray(answer_in(receipt))
    broken[-1] ^= 1  # the signature's last byte
    with pytest.raises(StampError):
        stamp_of(bytes(broken), seal_of(1).line().encode(), roots)


def test_an_authority_that_refuses_fails_or_is_a_stranger_gives_no_receipt(
    authority: Authority, place: TsaAnchor, tmp_path: Path
) -> None:
    authority.granted = False
    with pytest.raises(AnchorError, match="refuses: Not today"):
        place.put(seal_of(1))
    authority.granted, authority.status = True, 503
    with pytest.raises(AnchorError, match="answered 503"):
        place.put(seal_of(1))
    authority.status = 200
    (folder := tmp_path / "other").mkdir()
    with pytest.raises(AnchorError, match="doesn't verify"):
        TsaAnchor(authority.url, Authority().roots(folder)).put(seal_of(1))
    with pytest.raises(AnchorError, match="can't be reached"):
        TsaAnchor("http://127.0.0.1:1/", place.roots).put(seal_of(1))
    with pytest.raises(AnchorError, match="can't be read"):
        TsaAnchor(authority.url, tmp_path / "absent").put(seal_of(1))


def test_an_authority_is_asked_at_its_own_pace_and_its_stamps_are_verified_with_the_trail(
    place: TsaAnchor, as_role: AsRole, tmp_path: Path, settings: Settings, committed_db: str
) -> None:
    key = make_key(tmp_path / "key")
    settings.AUDIT_ANCHOR_TSA_MINUTES = 60
    for _ in range(2):
        note()
        with as_role("portal_sealer"):
            seal_everything(key)
            anchor_newest(place)
    assert AnchorReceipt.objects.get().batch == 1, "the hour isn't over"
    with as_role("portal_web"):
        [state] = anchor_states(["tsa"])
    assert state.lag == timedelta(0), "that is meant"
    keys = {key.id: key.trusted}
    with zipfile.ZipFile(make_pack(events(EventFilter()).entries, title="All").file) as pack:
        stamp, line = pack.read("stamps/000000000001.tsr"), pack.read("stamps/000000000001.json")
    assert stamp_of(stamp, line, load_roots(place.roots)).serial >= 1
    assert json.loads(line)["batch"] == 1
    with as_role("portal_sealer"):
        assert verify(keys, roots=load_roots(place.roots)).sound
        found = verify(keys, roots=[Authority().root]).findings
    assert [(each.code, each.batch) for each in found] == [("stamp_wrong", 1)]
    settings.AUDIT_ANCHOR_TSA_MINUTES = 1
    with as_role("portal_web"):
        [state] = anchor_states(["tsa"])
    assert state.lag > timedelta(0)


def test_the_offline_verifier_reads_time_stamps_and_verifies_them(
    place: TsaAnchor,
    authority: Authority,
    as_role: AsRole,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    db: None,
) -> None:
    key = make_key(tmp_path / "key")
    for _ in range(2):
        note()
        with as_role("portal_sealer"):
            seal_everything(key)
    with as_role("portal_sealer"):
        anchor_newest(place)
    made = make_pack(events(EventFilter()).entries, title="All").file.read()
    (pack := tmp_path / "pack.zip").write_bytes(made)
    (other := tmp_path / "other").mkdir()
    stranger = Authority().roots(other)

    def said(path: Path, *more: str | Path) -> tuple[int, str]:
        code = main([str(path), "--public-key", str(public_path(tmp_path / "key")), *map(str, more)])
        return code, capsys.readouterr().out

    code, out = said(pack)
    assert (
        code,
        "NOT VERIFIED without --tsa-roots: a time stamp says that seal 2 was there at 20" in out,
    ) == (0, True)
    code, out = said(pack, "--tsa-roots", place.roots)
    assert (code, "STAMPED: an authority signed that seal 2 was there at 20" in out) == (0, True), out
    assert "STAMPED: 2 of 2 seals lead to such a seal." in out
    assert "NOT STAMPED" not in out
    code, out = said(pack, "--tsa-roots", stranger)
    assert (code, "no authority under the given roots signed it" in out) == (1, True), out
    assert said(pack, "--tsa-roots", tmp_path / "absent")[0] == 2

    token, line = "stamps/000000000002.tsr", "stamps/000000000002.json"
    whole = answer_in(place.put(seal_of(7)))
    stamped_here = zipfile.ZipFile(pack).read(token)
    for name, data, words in (
        (token, whole, "the authority stamped something else"),
        (
            token,
            stamped_here[:-1] + bytes([stamped_here[-1] ^ 1]),
            "no authority under the given roots signed it",
        ),
        (token, stamped_here[: len(stamped_here) // 2], "cut off"),
        (token, b"", "proves nothing"),
        (line, seal_of(2).line().encode(), "isn't the pack's seal"),
    ):
        code, out = said(with_another(pack, tmp_path, name, data), "--tsa-roots", place.roots)
        assert (code, words in out) == (1, True), (words, out)

    note()
    with as_role("portal_sealer"):
        seal_everything(key)
    pack.write_bytes(make_pack(events(EventFilter()).entries, title="All").file.read())
    code, out = said(pack, "--tsa-roots", place.roots)
    assert (code, "STAMPED: 2 of 3 seals lead to such a seal." in out) == (0, True), out
    assert "NOT STAMPED: 1 seals, the first of them 3, lead to none" in out


def with_another(pack: Path, folder: Path, name: str, data: bytes) -> Path:
    """The pack with another file in it, and a manifest that agrees."""
    with zipfile.ZipFile(pack) as read:
        files = {each: read.read(each) for each in read.namelist()}
    manifest = json.loads(files["manifest.json"])
    files[name], manifest["files"][name] = data, hashlib.sha256(data).hexdigest()
    files["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(changed := folder / "changed.zip", "w") as written:
        for each, content in files.items():
            written.writestr(each, content)
    return changed


@pytest.mark.proof  # for it needs a program that the machine may lack
def test_openssl_verifies_what_the_receipt_holds(place: TsaAnchor, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    receipt = place.put(seal_of(1))
    token, line = tmp_path / "1.tsr", tmp_path / "1.json"
    token.write_bytes(base64.b64decode(receipt.rpartition(" ")[2]))
    line.write_bytes(seal_of(1).line().encode())
    assert openssl, "the machine that runs the tests needs openssl, as an auditor does"
    command = [openssl, "ts", "-verify", "-data", str(line), "-in", str(token), "-CAfile", str(place.roots)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Verification: OK" in done.stdout) == (0, True), done.stderr
    line.write_bytes(seal_of(2).line().encode())
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
