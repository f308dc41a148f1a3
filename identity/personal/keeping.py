"""Where people's refresh tokens are kept: sealed by the web process, opened, replaced and deleted by workers.

The database gives the web process no right to read the sealed text (`identity/migrations/0003_personal.py`), and the
key that opens it is told to workers only. No token is ever logged, recorded or shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django_subatomic.db import transaction_if_not_already

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from identity.models import ActivationMode, Person, PersonalToken
from identity.personal.sealing import Keyring, SealError, SealingKey

# What a person lets the portal do with their token; the worker's registration needs none of it.
SCOPES = (
    "offline_access",
    "https://graph.microsoft.com/PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
)


class Forgotten(StrEnum):
    """Why a token was deleted."""

    SIGNED_OUT = "signed out"
    DISABLED = "account disabled"
    EXPIRED = "it was too old"
    WITHDRAWN = "Entra doesn't accept it any more"
    UNREADABLE = "no key of the worker opens it"
    NOT_NEEDED = "no group is activated with people's own tokens any more"
    REPLACED = "a newer sign-in came without one"


def scopes_wanted() -> tuple[str, ...]:
    """What sign-in asks for besides who somebody is: nothing, while no group is activated as the person."""
    if settings.PERSONAL_TOKEN_PUBLIC_KEY and anything_as_person():
        return SCOPES
    return ()


def anything_as_person() -> bool:
    """Whether at least one PIM group is activated with its requester's own token, or was a short while ago.

    What was approved then goes on in that way: for as long as tokens are kept, sign-in goes on bringing them.
    """
    since = real_now() - settings.PERSONAL_TOKEN_LIFETIME
    return ActivationMode.objects.filter(Q(as_person=True) | Q(changed_at__gt=since)).exists()


def keep(person: Person, refresh_token: str, *, actor: Actor) -> None:
    """Seal what this sign-in brought, in place of what the person's last one did. For the web process.

    "" is kept as nothing.
    """
    if not (refresh_token and settings.PERSONAL_TOKEN_PUBLIC_KEY):
        forget([person], Forgotten.REPLACED, actor=actor)
        return
    with transaction_if_not_already():
        # Locked, so that two sign-ins at once leave one token.
        Person.objects.select_for_update().get(pk=person.pk)
        key = SealingKey.parse(settings.PERSONAL_TOKEN_PUBLIC_KEY)
        now = real_now()
        until = now + settings.PERSONAL_TOKEN_LIFETIME
        PersonalToken.objects.filter(person=person).delete()
        PersonalToken.objects.create(
            person=person,
            sealed=key.seal(refresh_token, bound_to=person.object_id),
            key_id=key.id,
            stored_at=now,
            expires_at=until,
        )
        record(
            "signin.token_kept",
            actor=actor,
            fields={"key": key.id, "until": until},
            about_oid=person.object_id,
            about_name=person.display_name,
        )


def forget(
    people: Iterable[Person], reason: Forgotten, *, actor: Actor | None = None, row: int | None = None
) -> int:
    """Delete these people's tokens; gives how many there were. Without an actor it was the portal, in a worker.

    With `row` that one alone: what was found of it says nothing of a sign-in that has come meanwhile.
    """
    gone = 0
    with transaction_if_not_already():
        for person in people:
            tokens = PersonalToken.objects.filter(person=person)
            deleted, _ = (tokens if row is None else tokens.filter(pk=row)).delete()
            if deleted:
                gone += 1
                record(
                    "signin.token_forgotten",
                    actor=actor or Actor.system(),
                    fields={"reason": reason.value},
                    about_oid=person.object_id,
                    about_name=person.display_name,
                )
    return gone


def keyring() -> Keyring:
    """The worker's keys. Raises SealError where there are none."""
    if not settings.PERSONAL_TOKEN_KEYS_PATH:
        raise SealError("PERSONAL_TOKEN_KEYS_PATH is not set in this worker.")
    return Keyring.load(Path(settings.PERSONAL_TOKEN_KEYS_PATH))


def token_of(person: Person) -> tuple[int, str] | None:
    """The person's refresh token, and the row that it is from; None without a usable one. For workers.

    A token that no key opens, or that is too old, is deleted on the way.
    """
    row = PersonalToken.objects.filter(person=person).first()
    if row is None or not person.enabled:
        return None
    if row.expires_at <= real_now():
        forget([person], Forgotten.EXPIRED, row=row.pk)
        return None
    keys = keyring()
    try:
        return row.pk, keys.open(bytes(row.sealed), bound_to=person.object_id)
    except SealError:
        forget([person], Forgotten.UNREADABLE, row=row.pk)
        return None


def newest(people: Collection[Person]) -> int:
    """The newest row of these people's tokens; 0 without one. Another sign-in makes another row."""
    found = PersonalToken.objects.filter(person__in=people).order_by("-pk").values_list("pk", flat=True)
    return found.first() or 0


def replace(person: Person, row_id: int, refresh_token: str, *, of_key: str = "") -> None:
    """Entra gave a new token for that of the row: keep it instead, unless a newer sign-in has come meanwhile.

    Its time is not prolonged: the sign-in is as old as it was. With `of_key` only while it is sealed for that key.
    """
    key = keyring().newest
    rows = PersonalToken.objects.filter(pk=row_id, person=person)
    if of_key:
        rows = rows.filter(key_id=of_key)
    rows.update(sealed=key.seal(refresh_token, bound_to=person.object_id), key_id=key.id)


def clear_expired_tokens() -> int:
    """Delete what nobody may use any more; gives how many. For a worker, every few minutes."""
    rows = PersonalToken.objects.select_related("person").order_by("pk")
    over = list(rows.filter(expires_at__lte=real_now()))
    gone = sum(forget([row.person], Forgotten.EXPIRED, row=row.pk) for row in over)
    gone += forget([row.person for row in rows.filter(person__enabled=False)], Forgotten.DISABLED)
    if not anything_as_person():
        gone += forget([row.person for row in rows.all()], Forgotten.NOT_NEEDED)
    return gone


def reseal_all() -> tuple[int, int]:
    """Seal every token for the newest key; gives how many were, and how many no key opens (these are deleted).

    Raises SealError without a key.
    """
    keys = keyring()
    resealed = lost = 0
    older = PersonalToken.objects.exclude(key_id=keys.newest.id).select_related("person").order_by("pk")
    for row in older.iterator():
        try:
            text = keys.open(bytes(row.sealed), bound_to=row.person.object_id)
        except SealError:
            lost += forget([row.person], Forgotten.UNREADABLE, row=row.pk)
            continue
        # What a worker has put there meanwhile is sealed for the newest key, and newer than this.
        replace(row.person, row.pk, text, of_key=row.key_id)
        resealed += 1
    return resealed, lost
