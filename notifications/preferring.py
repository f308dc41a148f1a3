"""Changing how one is told."""

from __future__ import annotations

from collections.abc import Collection
from zoneinfo import available_timezones

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from base.errors import Invalid
from identity.models import Person
from notifications.events import PREFERENCE
from notifications.kinds import MANNERS, Kind
from notifications.languages import LANGUAGES
from notifications.models import Digest, Preference


def change_preferences(
    *, person: Person, language: str, time_zone: str, digest: str, off: Collection[str], actor: Actor
) -> None:
    """Keep a person's own preferences, with the trail's event.

    Raises:
        Invalid: a language, time zone or digest that there isn't, or a kind that can't be switched off.
    """
    if language not in LANGUAGES:
        raise Invalid("preferences.language", "Choose one of the languages of the list.", field="language")
    if time_zone not in available_timezones():
        raise Invalid("preferences.time_zone", "Choose a time zone of the list.", field="time_zone")
    if digest not in Digest.values:
        raise Invalid("preferences.digest", "Choose one of the ways of the list.", field="digest")
    if not all(kind in set(Kind) and MANNERS[Kind(kind)].may_be_off for kind in off):
        raise Invalid("preferences.off", "This can't be switched off.", field="tell")
    values = {"language": language, "time_zone": time_zone, "digest": digest, "off": sorted(off)}
    with transaction():
        row, _ = Preference.objects.update_or_create(
            person=person, defaults={**values, "changed_at": real_now()}
        )
        record(
            "preferences.changed",
            actor=actor,
            fields=values,
            rows=(PREFERENCE.stands(row),),
            about_oid=person.object_id,
            about_name=person.display_name,
        )
