"""Where sessions may be denied: the places that an operator has prepared, from SESSION_SEVERING_PLACES."""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.conf import settings

INLINE = "inline"
SCP = "scp:"
ALL_OTHERS = "*"
# IAM Identity Center allows these in a permission set's name, so neither a comma nor "=" can part two entries.
_NAME = re.compile(r"\*|[\w+=,.@-]{1,32}")
_POLICY = re.compile(r"p-[0-9a-zA-Z_]{8,128}")  # Organizations' PolicyId


class PlacesError(Exception):
    """SESSION_SEVERING_PLACES can't be read; the message is a sentence for an operator."""


def parse_places(text: str) -> Mapping[str, str]:
    """Permission set's name (or `*`) -> `inline` or `scp:POLICY-ID`, from `NAME=PLACE` parted by blanks.

    Raises:
        PlacesError: an entry is something else, or a name stands there twice.
    """
    found: dict[str, str] = {}
    for entry in text.split():
        name, _, place = entry.rpartition("=")
        fits = place == INLINE or (place.startswith(SCP) and _POLICY.fullmatch(place.removeprefix(SCP)))
        if not _NAME.fullmatch(name) or not fits:
            raise PlacesError(
                f"SESSION_SEVERING_PLACES has {entry[:60]!r}, which names no place for a permission set."
            )
        if name in found:
            raise PlacesError(f"SESSION_SEVERING_PLACES names {name!r} twice.")
        found[name] = place
    return found


def place_for(permission_set_name: str, permission_set_arn: str) -> str:
    """The key of the place for a permission set: `scp:POLICY-ID`, `inline:ARN`, or "" where none is prepared."""
    try:
        places = parse_places(settings.SESSION_SEVERING_PLACES)
    except PlacesError:
        return ""  # the system checks say so; nothing is severed
    place = places.get(permission_set_name) or places.get(ALL_OTHERS, "")
    return f"{INLINE}:{permission_set_arn}" if place == INLINE else place
