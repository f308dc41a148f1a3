"""People's own tokens: sealed so that the web process can't read them, kept for as long as they are needed, deleted."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, transaction
from django.test import Client
from pytest_django import Settings

from audit.ledger.models import Event
from base.clock import real_now
from catalog.events import MODE
from clients.types import DirectoryUser
from identity.models import ActivationMode, Person, PersonalToken
from identity.personal import keeping
from identity.personal.sealing import Keyring, SealError, SealingKey, add_key
from identity.sync import mark_people_gone, upsert_people
from tests.identity.conftest import Visitor
from tests.identity.issuer import TENANT_ID, RunningIssuer
from tests.support.by_hand import known

AsRole = Callable[[str], AbstractContextManager[None]]
SECRET = "a-refresh-token-of-nora"
NORA = str(uuid.UUID(int=7))


@pytest.fixture
def keys(settings: Settings, tmp_path: Path) -> Path:
    """The worker's keys; the portal seals with the public half."""
    path = tmp_path / "token-keys.pem"
    settings.PERSONAL_TOKEN_PUBLIC_KEY = add_key(path).text
    settings.PERSONAL_TOKEN_KEYS_PATH = str(path)
    return path


@pytest.fixture
def as_person(db: None) -> None:
    """One group is activated with people's own tokens."""
    ActivationMode.objects.create(group_object_id=str(uuid.uuid4()), as_person=True, changed_at=real_now())
    known(MODE, ActivationMode.objects.all())


@dataclass
class Door(Visitor):
    """A browser whose pages have the web process's rights; the test itself has the worker's."""

    as_role: AsRole

    def scopes(self) -> set[str]:
        with self.as_role("portal_web"):
            return set(self.start()["scope"].split())

    def enter(self, *, refresh_token: str = SECRET) -> Any:
        with self.as_role("portal_web"):
            sent = self.start()
            token = self.issuer.sign(self.issuer.claims(nonce=sent["nonce"]))
            self.issuer.answer = (
                200,
                {"id_token": token, "access_token": "opaque", "refresh_token": refresh_token},
            )
            return self.client.get(
                "/accounts/oidc/entra/login/callback/", {"code": "the-code", "state": sent["state"]}
            )


@pytest.fixture
def door(db: None, issuer: RunningIssuer, client: Client, as_role: AsRole) -> Door:
    return Door(client=client, issuer=issuer, as_role=as_role)


def nora() -> Person:
    return Person.objects.get(object_id=NORA)


def events(name: str) -> list[Event]:
    return list(Event.objects.filter(type=name))


# --- Sealing


def test_only_the_private_key_opens_and_only_for_whom_it_is(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    public = add_key(path)
    sealed = public.seal(SECRET, bound_to=NORA)
    assert SECRET.encode() not in sealed
    assert sealed != public.seal(SECRET, bound_to=NORA)
    assert Keyring.load(path).open(sealed, bound_to=NORA) == SECRET
    with pytest.raises(SealError, match="somebody else's"):
        Keyring.load(path).open(sealed, bound_to=str(uuid.UUID(int=8)))
    add_key(other := tmp_path / "others.pem")
    with pytest.raises(SealError, match="key that this worker doesn't have"):
        Keyring.load(other).open(sealed, bound_to=NORA)


def test_one_changed_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    sealed = add_key(path).seal(SECRET, bound_to=NORA)
    keyring = Keyring.load(path)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(SealError):
            keyring.open(bytes(changed), bound_to=NORA)
    for length in (0, 1, 40, len(sealed) - 1):
        with pytest.raises(SealError):
            keyring.open(sealed[:length], bound_to=NORA)


def test_a_new_key_goes_first_and_the_old_ones_still_open(tmp_path: Path) -> None:
    path = tmp_path / "keys.pem"
    first = add_key(path)
    sealed = first.seal(SECRET, bound_to=NORA)
    second = add_key(path)
    keyring = Keyring.load(path)
    assert keyring.newest.id == second.id != first.id
    assert keyring.open(sealed, bound_to=NORA) == SECRET
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "nonsense", "AAAA"])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SealError):
        SealingKey.parse(text)
    path = tmp_path / "keys.pem"
    path.write_text(text)
    with pytest.raises(SealError):
        Keyring.load(path)
    with pytest.raises(CommandError, match="left alone"):
        call_command("make_token_key", path)
    assert path.read_text() == text


def test_the_command_prints_the_public_half(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("make_token_key", tmp_path / "keys.pem")
    name, _, value = capsys.readouterr().out.strip().partition("=")
    assert name == "PERSONAL_TOKEN_PUBLIC_KEY"
    assert SealingKey.parse(value).id == Keyring.load(tmp_path / "keys.pem").newest.id


# --- Sign-in


def test_sign_in_asks_for_more_only_while_a_group_is_activated_as_the_person(
    door: Door, keys: Path, settings: Settings
) -> None:
    plain = {"openid", "profile"}
    assert door.scopes() == plain
    mode = ActivationMode.objects.create(group_object_id=NORA, as_person=True, changed_at=real_now())
    assert door.scopes() == plain | set(keeping.SCOPES)
    settings.PERSONAL_TOKEN_PUBLIC_KEY = ""  # what couldn't be sealed isn't asked for
    assert door.scopes() == plain
    settings.PERSONAL_TOKEN_PUBLIC_KEY = SealingKey.parse(Keyring.load(keys).newest.text).text
    ActivationMode.objects.filter(pk=mode.pk).update(as_person=False)
    assert door.scopes() == plain | set(keeping.SCOPES)  # what was approved before goes on that way
    long_ago = real_now() - settings.PERSONAL_TOKEN_LIFETIME
    ActivationMode.objects.filter(pk=mode.pk).update(changed_at=long_ago)
    known(MODE, ActivationMode.objects.all())
    assert door.scopes() == plain


@pytest.mark.usefixtures("as_person")
def test_the_token_of_a_sign_in_is_sealed_for_the_worker(
    door: Door, keys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert door.enter().status_code == 302
    found = keeping.token_of(nora())
    assert found is not None
    assert found[1] == SECRET
    row = PersonalToken.objects.get()
    assert SECRET.encode() not in bytes(row.sealed)
    assert row.expires_at - row.stored_at == timedelta(hours=24)
    assert SECRET not in caplog.text
    assert SECRET not in str(dict(door.client.session))
    kept = events("signin.token_kept")
    assert [each.about_oid for each in kept] == [NORA]
    assert not any(SECRET in str(each.__dict__) for each in Event.objects.all())


@pytest.mark.usefixtures("as_person")
def test_the_web_process_can_not_read_what_it_has_sealed(door: Door, keys: Path, as_role: AsRole) -> None:
    door.enter()
    with as_role("portal_web"):
        assert PersonalToken.objects.values_list("key_id", flat=True).get()
        for refused in (
            lambda: PersonalToken.objects.values_list("sealed", flat=True).get(),
            lambda: PersonalToken.objects.update(sealed=b"x"),
            lambda: PersonalToken.objects.filter(sealed__gt=b"").count(),
        ):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                refused()


@pytest.mark.usefixtures("as_person")
def test_the_next_sign_in_replaces_the_token(door: Door, keys: Path) -> None:
    door.enter()
    door.enter(refresh_token="the-next")
    assert [keeping.token_of(nora())] == [(PersonalToken.objects.get().pk, "the-next")]
    door.enter(refresh_token="")
    assert keeping.token_of(nora()) is None
    assert [each.data["fields"]["reason"] for each in events("signin.token_forgotten")] == [
        "a newer sign-in came without one"
    ]


# --- Deletion


@pytest.mark.usefixtures("as_person")
def test_signing_out_deletes_the_token(door: Door, keys: Path, as_role: AsRole) -> None:
    door.enter()
    with as_role("portal_web"):
        door.client.post("/signout/")
    assert not PersonalToken.objects.exists()
    assert [each.data["fields"]["reason"] for each in events("signin.token_forgotten")] == ["signed out"]


@pytest.mark.usefixtures("as_person")
def test_somebody_else_signing_in_in_the_same_browser_signs_the_first_out(
    door: Door, keys: Path, as_role: AsRole
) -> None:
    door.enter()
    with as_role("portal_web"):
        door.sign_in(oid=str(uuid.UUID(int=8)))
    assert not PersonalToken.objects.exists()
    assert [each.data["fields"]["reason"] for each in events("signin.token_forgotten")] == ["signed out"]
    (ended,) = events("signin.ended")
    assert ended.about_oid == NORA
    assert ended.data["fields"]["reason"] == "somebody else signed in in this browser"


@pytest.mark.usefixtures("as_person")
@pytest.mark.parametrize("way", ["sync", "gone", "task"])
def test_somebody_who_is_switched_off_has_no_token_left(door: Door, keys: Path, way: str) -> None:
    door.enter()
    now = real_now()
    match way:
        case "sync":
            upsert_people(
                [DirectoryUser(NORA, "Nora Lind", "nora.lind@example.com", enabled=False)],
                tenant_id=TENANT_ID,
                now=now,
            )
        case "gone":
            mark_people_gone([NORA], tenant_id=TENANT_ID, now=now)
        case _:
            Person.objects.filter(object_id=NORA).update(enabled=False)
            assert keeping.token_of(nora()) is None  # not even before it is deleted
            keeping.clear_expired_tokens()
    assert not PersonalToken.objects.exists()
    assert [each.data["fields"]["reason"] for each in events("signin.token_forgotten")] == [
        "account disabled"
    ]


@pytest.mark.usefixtures("as_person")
def test_a_token_past_its_time_is_not_used_and_goes(door: Door, keys: Path, settings: Settings) -> None:
    door.enter()
    assert keeping.clear_expired_tokens() == 0
    settings.PERSONAL_TOKEN_LIFETIME = timedelta(seconds=-1)
    door.enter()
    assert keeping.token_of(nora()) is None
    assert not PersonalToken.objects.exists()
    door.enter()
    assert keeping.clear_expired_tokens() == 1
    assert not PersonalToken.objects.exists()


@pytest.mark.usefixtures("as_person")
def test_tokens_go_when_no_group_needs_them_any_more(door: Door, keys: Path) -> None:
    door.enter()
    ActivationMode.objects.update(as_person=False)
    assert keeping.clear_expired_tokens() == 0, "what was approved before may still need it"
    ActivationMode.objects.update(changed_at=real_now() - timedelta(hours=24))
    known(MODE, ActivationMode.objects.all())
    assert keeping.clear_expired_tokens() == 1
    assert not PersonalToken.objects.exists()


# --- Keys change, tokens are replaced


@pytest.mark.usefixtures("as_person")
def test_tokens_are_sealed_anew_and_the_old_key_can_go(
    door: Door, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    door.enter()
    old = keys.read_text()
    add_key(keys)
    call_command("reseal_tokens")
    assert "Sealed anew: 1. Deleted, because no key opens them: 0." in capsys.readouterr().out
    keys.write_text(keys.read_text().removesuffix(old))
    found = keeping.token_of(nora())
    assert found is not None
    assert found[1] == SECRET


@pytest.mark.usefixtures("as_person")
def test_sealing_anew_puts_nothing_older_over_what_entra_gave_meanwhile(
    door: Door, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.enter()
    row = PersonalToken.objects.get()
    add_key(keys)
    opens = Keyring.open

    def rotated_meanwhile(keyring: Keyring, sealed: bytes, *, bound_to: str) -> str:
        text = opens(keyring, sealed, bound_to=bound_to)
        keeping.replace(nora(), row.pk, "rotated")
        return text

    with monkeypatch.context() as patched:
        patched.setattr(Keyring, "open", rotated_meanwhile)
        keeping.reseal_all()
    assert keeping.token_of(nora()) == (row.pk, "rotated")


@pytest.mark.usefixtures("as_person")
def test_a_token_that_no_key_opens_is_deleted_and_said(door: Door, keys: Path) -> None:
    door.enter()
    keys.unlink()
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("reseal_tokens")
    add_key(keys)
    call_command("reseal_tokens")
    assert not PersonalToken.objects.exists()
    assert [each.data["fields"]["reason"] for each in events("signin.token_forgotten")] == [
        "no key of the worker opens it"
    ]


@pytest.mark.usefixtures("as_person")
def test_what_entra_gave_instead_never_overwrites_a_newer_sign_in(door: Door, keys: Path) -> None:
    door.enter()
    found = keeping.token_of(nora())
    assert found is not None
    keeping.replace(nora(), found[0], "rotated")
    assert keeping.token_of(nora()) == (found[0], "rotated")
    door.enter(refresh_token="newer")
    keeping.replace(nora(), found[0], "too late")
    newer = keeping.token_of(nora())
    assert newer is not None
    assert newer[1] == "newer"
