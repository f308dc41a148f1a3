"""Chats that hear what approvers hear: by configuration, through Apprise, without anybody's words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest.mock import patch

import pytest

from base.clock import real_now
from clients.errors import ClientError, NotPermitted
from clients.notify.build import build_chats, build_notifiers
from clients.types import Notice
from notifications import channels, inert, planning
from notifications.composing import compose_notice
from notifications.kinds import Kind
from notifications.languages import ENGLISH
from notifications.models import Message
from notifications.telling import tell
from tests.notifications.conftest import Post
from tests.notifications.test_composing import HOSTILE, facts_with
from tests.pages.conftest import World
from tests.pages.moving import decide
from tests.support.fake_notifier import FakeNotifier


@pytest.fixture
def chat() -> Iterator[FakeNotifier]:
    made = FakeNotifier()
    with (
        patch.object(planning, "chats", lambda: {"team": made}),
        patch.object(channels, "chats", lambda: {"team": made}),
    ):
        yield made


@pytest.mark.django_db
def test_a_chat_hears_that_somebody_asks_and_that_it_is_handled(
    world: World, post: Post, chat: FakeNotifier
) -> None:
    item = world.ask()
    tell()
    decide(item, world.ben, "approve", world.as_role)
    tell()
    tell()
    assert [notice.title for notice in chat.told] == [
        "Ada Asker asks for AWS - Amazon EC2 Admin",
        "Approved: Ada Asker and AWS - Amazon EC2 Admin",
    ]
    assert [notice.over for notice in chat.told] == [False, True]
    assert chat.told[0].path == f"/approvals/{item.pk}/"
    assert "Fix the stuck deployment" not in chat.told[0].sentence


@pytest.mark.django_db
def test_a_chat_that_is_away_holds_up_no_mail(world: World, post: Post, chat: FakeNotifier) -> None:
    chat.away = True
    world.ask()
    tell()
    assert len(post.mails) == 2
    row = Message.objects.get(recipient="chat:team")
    assert (row.state, row.attempts, row.problem) == ("owed", 1, "The channel is away.")
    chat.away = False
    Message.objects.update(retry_at=real_now())
    tell()
    assert len(chat.told) == 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_text_is_inert_in_a_chat(text: str) -> None:
    for kind in Kind:
        title, body = compose_notice(kind, facts_with(text), ENGLISH)
        for said in (title, body):
            assert not set(said) & set("<>@`*[]|~\n"), said
            assert "://" not in said
            assert not any(inert._hidden(each) for each in said)


def test_apprise_carries_it_and_what_is_not_taken_is_tried_again() -> None:
    got: list[dict[str, str]] = []
    answers = iter([200, 500])

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(next(answers))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    environ = {
        "APPROVAL_CHATS": f"team=json://127.0.0.1:{server.server_port}/hook",
        "PORTAL_ORIGIN": "https://a.example",
    }
    chat = build_chats(environ)["team"]
    notice = Notice("message-1", "Ada asks", "For 1 h.", "/approvals/1/", "decide", over=False, at=real_now())
    try:
        chat.send(notice)
        with pytest.raises(ClientError):
            chat.send(notice)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    assert (got[0]["title"], got[0]["message"]) == ("Ada asks", "For 1 h.\nhttps://a.example/approvals/1/")


@pytest.mark.parametrize(
    "wrong", ["slack://x", "team=", "Team=slack://x", "a=slack://x a=slack://y", "mail=slack://x"]
)
def test_a_configuration_that_cannot_be_read_is_refused(wrong: str) -> None:
    with pytest.raises(NotPermitted, match="ALERT_CHATS"):
        build_notifiers({"ALERT_CHATS": wrong})
    assert build_chats({}) == {}
