"""Text of others with everything in it visible: what nobody sees, or what reorders its surroundings, by its number."""

from __future__ import annotations

import re

# Control and format characters (bidirectional ones among them), private and half ones, and Unicode's line ends: the
# categories Cc, Cf, Co, Cs, Zl and Zp. tests/base/test_visible.py holds the ranges to Python's own table.
_RANGES = (
    "\\x00-\\x1f\\x7f-\\x9f\\xad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u180e\\u200b-\\u200f"
    "\\u2028-\\u202e\\u2060-\\u2064\\u2066-\\u206f\\ud800-\\uf8ff\\ufeff\\ufff9-\\ufffb\\U000110bd\\U000110cd"
    "\\U00013430-\\U0001343f\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0001\\U000e0020-\\U000e007f"
    "\\U000f0000-\\U000ffffd\\U00100000-\\U0010fffd"
)
HIDDEN = re.compile(f"[{_RANGES}]")
_SHOWN = re.compile(f"(?![\\n\\t])[{_RANGES}]")


def is_hidden(character: str) -> bool:
    """Whether one character is invisible or acts on others."""
    return HIDDEN.match(character) is not None


def visible(text: str) -> str:
    """The text with what is hidden as backslash, u and the number. Line feeds and tabs stay; CR LF is one line feed."""
    if text.isascii() and text.isprintable():
        return text  # most are: a table of a million events takes a third less
    return _SHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\r\n", "\n"))


def without_hidden(text: str) -> str:
    """The text with a blank for each hidden character."""
    return HIDDEN.sub(" ", text)
