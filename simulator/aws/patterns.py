"""Patterns of AWS's service models as Python reads them.

The models are written for Java, whose names for kinds of characters (`\\p{L}`, `\\p{Z}`) `re` doesn't know. They are
replaced by the ranges of characters that Unicode puts into them. Of the names, those of one letter are known, which are
all that the models use.
"""

import re
import unicodedata
from functools import cache
from itertools import chain, groupby

# Planes in which Unicode has put characters; between them there are none, and above them is private use.
_PLANES = (range(0x40000), range(0xE0000, 0xF0000))
_TOKEN = re.compile(r"\\p\{(\w+)\}|\\.|.", re.DOTALL)


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, ready to match with. Raises re.error for one that can't be read."""
    return re.compile(_translated(pattern))


def _translated(pattern: str) -> str:
    written: list[str] = []
    in_set = False
    for token in _TOKEN.finditer(pattern):
        text, kind = token[0], token[1]
        if kind is not None:
            text = _ranges(kind) if in_set else f"[{_ranges(kind)}]"
        elif text in ("[", "]"):
            in_set = text == "["
        written.append(text)
    return "".join(written)


def _ranges(kind: str) -> str:
    """What stands between the brackets of a set for all characters of this kind. Raises re.error for an unknown one."""
    found = _kinds().get(kind)
    if found is None:
        raise re.error(f"no kind of characters is named {kind}")
    return found


@cache
def _kinds() -> dict[str, str]:
    """The ranges of Unicode's general categories of characters, by the first letter of their names."""
    found: dict[str, str] = {}
    for kind, run in groupby(chain(*_PLANES), key=lambda code: unicodedata.category(chr(code))[0]):
        if kind != "C":  # controls, and what is no character yet
            codes = list(run)
            found[kind] = f"{found.get(kind, '')}\\U{codes[0]:08x}-\\U{codes[-1]:08x}"
    return found
