"""Nothing in a text is hidden."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from base.visible import HIDDEN, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\u202eb\x00c\nd\te é 漢", "a\\u202eb\\u0000c\nd\te é 漢"),
        ("two\r\nlines", "two\nlines"),
        ("back\rwards", "back\\u000dwards"),
        ("a\u2028b\ufeff\u2066", "a\\u2028b\\ufeff\\u2066"),
        ("\x1b[2J", "\\u001b[2J"),
    ],
)
def test_what_is_hidden_is_written_as_its_number(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_hidden_is_what_pythons_own_table_calls_so() -> None:
    categories = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    expected = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in categories]
    assert [ord(each) for each in HIDDEN.findall("".join(map(chr, range(sys.maxunicode + 1))))] == expected
