"""Nothing in a text is hidden."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from base.visible import HIDDEN, visible, visible_page


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


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("<p>Ada · ok</p>\n", "<p>Ada · ok</p>\n"),
        ("<p title='a\u202eb'>a\u202eb\r\n\tc\rd</p>", "<p title='a\\u202eb'>a\\u202eb\r\n\tc\\u000dd</p>"),
        ('<input value="\u202e"><b>\u202e</b>', '<input value="\u202e"><b>\\u202e</b>'),
        ('<textarea name="x">\n\u202e\n</textarea>\u200b', '<textarea name="x">\n\u202e\n</textarea>\\u200b'),
        ("&lt;textarea&gt;\u202e value=&quot;\u202e", "&lt;textarea&gt;\\u202e value=&quot;\\u202e"),
    ],
)
def test_a_page_shows_what_is_hidden_but_in_fields(page: str, shown: str) -> None:
    assert visible_page(page) == shown


def test_hidden_is_what_pythons_own_table_calls_so() -> None:
    categories = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    expected = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in categories]
    assert [ord(each) for each in HIDDEN.findall("".join(map(chr, range(sys.maxunicode + 1))))] == expected
