"""What operators see of messages: what was given up, and every text."""

from __future__ import annotations

import pytest

from base.clock import real_now
from notifications.kinds import Kind
from notifications.languages import LANGUAGES
from notifications.models import Message
from notifications.planning import message
from notifications.sample import sample_letter
from tests.pages.conftest import World, main_of

pytestmark = pytest.mark.django_db


def test_what_was_given_up_is_seen_with_its_reason(world: World) -> None:
    rows = [message(Kind.DECIDE, world.ben, occasion=str(number)) for number in range(2)]
    rows[0].state, rows[0].settled_at, rows[0].problem = (
        Message.State.GIVEN_UP,
        real_now(),
        "No such mailbox.",
    )
    rows[1].attempts, rows[1].problem = 3, "The mail server is away."
    Message.objects.bulk_create(rows)
    shown = main_of(world.sign_in(world.cy, "Operator").get("/operations/notifications/"))
    for part in (
        "No such mailbox.",
        world.ben.display_name,
        "1 message to be sent",
        "The mail server is away.",
    ):
        assert part in shown


def test_every_text_has_a_preview(world: World) -> None:
    operator = world.sign_in(world.cy, "Operator")
    for language in LANGUAGES.values():
        for kind in Kind:
            letter = sample_letter(kind, language)
            assert "None" not in letter.text
            assert "  " not in letter.subject
    address = "/operations/notifications/{}?kind=revoked&language=de"
    assert "Entzogen: AWS - Production Admin" in main_of(operator.get(address.format("")))
    digest = "/operations/notifications/{}?kind=digest&language=de"
    assert "Genehmigt: AWS - Production Admin" in main_of(operator.get(digest.format("")))
    assert "<li><a href=" in operator.get(digest.format("html/")).content.decode()
    html = operator.get(address.format("html/"))
    assert "<blockquote>The change was called off.</blockquote>" in html.content.decode()
    assert html["Content-Security-Policy"].startswith("default-src 'none'")
    assert operator.get("/operations/notifications/?kind=<b>&language=xx").status_code == 200
