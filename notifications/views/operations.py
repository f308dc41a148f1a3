"""What operators see of messages: whether they go out, and what each says."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from identity.http import PortalRequest, operator_required
from notifications.composing import Letter
from notifications.forms import DIGEST, PreviewForm
from notifications.kinds import Kind
from notifications.languages import ENGLISH, LANGUAGES
from notifications.sample import sample_digest, sample_letter
from notifications.selectors import outbox
from notifications.views.inert import inert_page


@operator_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """What waits and what was given up, and one text with made-up facts."""
    form = _form(request)
    context = {"outbox": outbox(), "form": form, "letter": _chosen(form)}
    return render(request, "messages/operations.html", context)


@operator_required
@require_http_methods(["GET", "HEAD"])
def html(request: PortalRequest) -> HttpResponse:
    """The same text's HTML part, as a mail program would show it."""
    return inert_page(_chosen(_form(request)).html)


def _form(request: PortalRequest) -> PreviewForm:
    return PreviewForm({"kind": Kind.DECIDE, "language": ENGLISH.code, **request.GET.dict()})


def _chosen(form: PreviewForm) -> Letter:
    """The letter that was asked for; the first one where there is none such."""
    if not form.is_valid():
        return sample_letter(Kind.DECIDE, ENGLISH)
    kind, language = form.cleaned_data["kind"], LANGUAGES[form.cleaned_data["language"]]
    return sample_digest(language) if kind == DIGEST else sample_letter(Kind(kind), language)
