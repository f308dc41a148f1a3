"""The demo's mail, open to anybody: in the demo everybody may sign in as anybody. Elsewhere there is no such page."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from identity.http import not_activity
from notifications.selectors import demo_mail_lines, demo_mail_or_missing, demo_mails
from notifications.views.inert import inert_page


@login_not_required
@not_activity
@require_http_methods(["GET", "HEAD"])
def page(request: HttpRequest) -> HttpResponse:
    """The newest mails, of everybody or to one address."""
    _only_in_the_demo()
    to = request.GET.get("to", "")
    return render(request, "messages/demo_mail.html", {"mails": demo_mails(to), "to": to})


@login_not_required
@require_http_methods(["GET", "HEAD"])
def mail(request: HttpRequest, mail_id: int) -> HttpResponse:
    """One mail as text, with its links."""
    _only_in_the_demo()
    row = demo_mail_or_missing(mail_id)
    return render(request, "messages/demo_mail_one.html", {"mail": row, "lines": demo_mail_lines(row)})


@login_not_required
@require_http_methods(["GET", "HEAD"])
def html(_request: HttpRequest, mail_id: int) -> HttpResponse:
    """The same mail's HTML part, as a mail program would show it."""
    _only_in_the_demo()
    return inert_page(demo_mail_or_missing(mail_id).html)


def _only_in_the_demo() -> None:
    if settings.PORTAL_MODE != "demo":
        raise Http404
