"""People's words on their way in: trimmed, bounded, without characters that hide or break text."""

from __future__ import annotations

import re
import unicodedata

from base.errors import Invalid

_REFERENCE = re.compile(r"[\w][\w .:/#_-]*", re.ASCII)
# Control and format characters (Unicode categories Cc and Cf) hide or reorder text; line breaks and tabs don't, and
# the two joiners belong to emoji and to the scripts of Persian and Hindi.
_ALLOWED_CONTROLS = {"\n", "\t", "\u200c", "\u200d"}


def clean_words(text: str, *, longest: int, field: str) -> str:
    """Normalised text. Raises Invalid when it is too long or has hidden characters."""
    words = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if len(words) > longest:
        raise Invalid(
            "text.too_long", f"At most {longest:,} characters; this has {len(words):,}.", field=field
        )
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c not in _ALLOWED_CONTROLS for c in words):
        raise Invalid(
            "text.hidden_characters",
            "The text has invisible control characters. Type it again, or paste it as plain text.",
            field=field,
        )
    return words


def clean_reference(text: str, *, longest: int = 64) -> str:
    """A reference to another system, such as INC0012345. Raises Invalid for anything but a short plain word."""
    reference = clean_words(text, longest=longest, field="reference")
    if reference and not _REFERENCE.fullmatch(reference):
        raise Invalid(
            "reference.characters",
            "A reference has letters, digits and . : / # _ - only, such as INC0012345.",
            field="reference",
        )
    return reference
