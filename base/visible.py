"""Text of others with everything in it visible: what nobody sees, or what reorders its surroundings, by its number."""

from __future__ import annotations

import re

# Control and format characters (bidirectional ones among them), private and half ones, and Unicode's line ends: the
# categories Cc, Cf, Co, Cs, Zl and Zp. tests/base/test_visible.py holds the ranges to Python's own table.
_RANGES = (
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u180e\\u200b-\\u200f"
    "\\u2028-\\u202e\\u2060-\\u2064\\u2066-\\u206f\\ud800-\\uf8ff\\ufeff\\ufff9-\\ufffb\\U000110bd\\U000110cd"
    "\\U00013430-\\U0001343f\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0001\\U000e0020-\\U000e007f"
    "\\U000f0000-\\U000ffffd\\U00100000-\\U0010fffd"
)
HIDDEN = re.compile(f"[\\t\\n{_RANGES}]")
_SHOWN = re.compile(f"[{_RANGES}]")  # without tabs and line feeds
# What stands in a field goes back as it is: a correction mustn't change more than whoever makes it.
_FIELDS = r'<textarea\b[^>]*>.*?</textarea>|\svalue="[^"]*"'
_ON_A_PAGE = re.compile(f"(?P<field>{_FIELDS})|(?!\\r\\n)[{_RANGES}]", re.DOTALL)


def is_hidden(character: str) -> bool:
    """Whether one character is invisible or acts on others."""
    return HIDDEN.match(character) is not None


def visible(text: str) -> str:
    """The text with what is hidden as backslash, u and the number. Line feeds and tabs stay; CR LF is one line feed."""
    if text.isascii() and text.isprintable():
        return text  # most are: a table of a million events takes a third less
    return _SHOWN.sub(lambda found: _number(found[0]), text.replace("\r\n", "\n"))


def visible_page(html: str) -> str:
    """A page, escaped as it is, with what is hidden in it by its number, but for what stands in the fields of a form."""
    if html.replace("\n", "").isprintable() or not _SHOWN.search(html):
        return html  # nearly every page: a search of the whole of it takes longer
    return _ON_A_PAGE.sub(lambda found: found["field"] or _number(found[0]), html)


def _number(character: str) -> str:
    return f"\\u{ord(character):04x}"


def without_hidden(text: str) -> str:
    """The text with a blank for each hidden character."""
    return HIDDEN.sub(" ", text)
