"""The demo's mail: kept by its backend, read on its pages, and nowhere but in the demo."""

from __future__ import annotations

import pytest
from django.core.mail import mailers
from django.test import override_settings

from clients.notify.build import build_postman
from clients.types import Mail
from notifications import demo_mail
from notifications.models import DemoMail
from tests.pages.conftest import World, main_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(world: World) -> DemoMail:
    """A mail that went through the demo's backend."""
    postman = build_postman({"MAIL_FROM": "portal@example.com"})
    assert postman is not None
    text = "Look:\nhttp://127.0.0.1:8000/approvals/1/\nhttps://evil.example/\n<b>x</b>\n"
    with override_settings(MAILERS={"default": {"BACKEND": demo_mail.BACKEND}}):
        assert isinstance(mailers["default"], demo_mail.EmailBackend)
        postman.send(Mail("message-1", ("ben@example.com",), "Hello", text, "<p>Look</p>"))
    return DemoMail.objects.get()


def test_it_is_read_by_anybody_in_the_demo(world: World, kept: DemoMail) -> None:
    visitor = world.sign_in(world.ada)
    visitor.client.logout()
    with override_settings(PORTAL_MODE="demo"):
        shown = main_of(visitor.get("/demo/mail/?to=ben@example.com"))
        assert "Hello" in shown
        assert "No mail yet" in main_of(visitor.get("/demo/mail/?to=somebody@example.com"))
        page = main_of(visitor.get(f"/demo/mail/{kept.pk}/"))
        assert 'href="/approvals/1/"' in page
        assert 'href="https://evil' not in page
        assert "&lt;b&gt;" in page
        html = visitor.get(f"/demo/mail/{kept.pk}/html/")
        assert html.content == b"<p>Look</p>"
        assert html["Content-Security-Policy"].startswith("default-src 'none'")
        assert visitor.get(f"/demo/mail/{kept.pk + 1}/").status_code == 404


def test_elsewhere_there_is_no_such_page(world: World, kept: DemoMail) -> None:
    visitor = world.sign_in(world.ada)
    for path in ("/demo/mail/", f"/demo/mail/{kept.pk}/", f"/demo/mail/{kept.pk}/html/"):
        assert visitor.get(path).status_code == 404


def test_the_newest_are_kept(world: World, kept: DemoMail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_mail, "MOST_KEPT", 1)
    postman = build_postman({"MAIL_FROM": "portal@example.com"})
    assert postman is not None
    with override_settings(MAILERS={"default": {"BACKEND": demo_mail.BACKEND}}):
        postman.send(Mail("message-2", ("cy@example.com",), "Later", "x"))
    assert list(DemoMail.objects.values_list("subject", flat=True)) == ["Later"]
