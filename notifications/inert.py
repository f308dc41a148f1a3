"""Text of others made inert: in mail, in HTML and in a header it says what it says, and does nothing.

Names come from a directory and words from people; neither may hide, reorder or break what stands around them.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_LINE = 160
LONGEST_WORDS = 1000
MOST_READ = 20_000  # characters of a text that are looked at: however long it is, a message takes no longer
# Kept of the invisible ones: the two joiners belong to emoji and to the scripts of Persian and Hindi.
_JOINERS = {"\u200c", "\u200d"}
# Marks of Slack's, Teams' and Markdown's languages, by what looks like them.
_CHAT = str.maketrans(
    {"@": "＠", "<": "‹", ">": "›", "`": "ʼ", "[": "(", "]": ")", "*": "∗", "|": "¦", "~": "∼"}  # noqa: RUF001 - meant
)
_BREAKS = re.compile(r"\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
# What a mail program makes a link of.
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*):(?=//)|\b(www)\.", re.IGNORECASE)


def line(text: str, *, longest: int = LONGEST_LINE) -> str:
    """One line without control, format and bidi characters, at most `longest` characters; fit for a header.

    Addresses are broken, so that no mail program links them. It begins with none of the marks that a letter's template
    knows (`composing`), and holds nothing that a header's reader would decode (RFC 2047).
    """
    shown = " ".join(_visible(_BREAKS.sub(" ", text[:MOST_READ])).split()).replace("=?", "= ?")
    return _shortened(_ADDRESS.sub(_broken, shown).lstrip("-> "), longest)


def for_chat(text: str) -> str:
    """Of a text that is inert already, what no chat takes for a mention, a link, code or a quotation."""
    return text.translate(_CHAT)


def words(text: str, *, longest: int = LONGEST_WORDS) -> str:
    """Lines of what somebody wrote, without blank ones. Addresses are broken, as in `line`."""
    lines = (" ".join(_visible(each).split()) for each in _BREAKS.split(text[:MOST_READ]))
    return _shortened(_ADDRESS.sub(_broken, "\n".join(each for each in lines if each)), longest)


def _broken(found: re.Match[str]) -> str:
    return f"{found[1]}[:]" if found[1] else f"{found[2]}[.]"


def _visible(text: str) -> str:
    return "".join(each for each in text.replace("\t", " ") if not _hidden(each))


def _hidden(character: str) -> bool:
    # Cc and Cf hide or reorder text, Cs are half characters, Co and Cn mean nothing that both sides know.
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"} and character not in _JOINERS


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 2].rstrip()} …"
