"""An approver's pages: what waits, and one decision."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import Invalid
from identity.actors import actor_of
from identity.http import PortalRequest, not_activity
from requests_app import selectors
from requests_app.actions.deciding import submit_decision
from requests_app.forms import DecisionForm
from requests_app.pages import Page, Row
from requests_app.rule_words import names_in, rule_sentences, waits_for
from requests_app.views.paging import read_place, write_place


@require_http_methods(["GET", "HEAD"])
def inbox(request: PortalRequest) -> HttpResponse:
    """What waits for this person's decision, the longest waiting first."""
    after = read_place(request.GET.get("after", ""))
    found = selectors.inbox(request.user.person, after=after, limit=selectors.PAGE + 1)
    shown = found[: selectors.PAGE]
    more = len(found) > len(shown)
    older = urlencode({"after": write_place(shown[-1].created_at, shown[-1].pk)}) if more else ""
    context = {
        "rows": [Row(item) for item in shown],
        "older": older and f"?{older}",
        "newest": after and request.path,
    }
    return render(request, "approvals/inbox.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def decision(request: PortalRequest, item_id: UUID) -> HttpResponse:
    """What an approver needs to know, the decision, and what came of it."""
    page = _read(request, item_id)  # first: whoever may not read it is told nothing of its state
    form = DecisionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _decided(request, item_id, form):
        return redirect("decision", item_id)
    context = {"page": page, "form": form if page.decidable or form.is_bound else None}
    return render(request, "approvals/decision.html", context, status=422 if form.is_bound else 200)


@not_activity
@require_http_methods(["GET", "HEAD"])
def live(request: PortalRequest, item_id: UUID) -> HttpResponse:
    """What changes by itself on a decision page, or 204 while the browser shows it already."""
    page = _read(request, item_id)
    if request.GET.get("seen") == page.seen:
        return HttpResponse(status=204)
    return render(request, "approvals/_live.html", {"page": page, "fragment": True})


def _decided(request: PortalRequest, item_id: UUID, form: DecisionForm) -> bool:
    """Submit the decision; False when it was refused, with the reason in the form."""
    try:
        submit_decision(
            item_id=item_id,
            approver_id=request.user.person.pk,
            verdict=form.cleaned_data["verdict"],
            comment=form.cleaned_data["comment"],
            actor=actor_of(request),
        )
    except Invalid as error:
        form.refuse(error)
        return False
    messages.success(request, "Your decision is being checked. It counts in a few seconds.")
    return True


def _read(request: PortalRequest, item_id: UUID) -> Page:
    read = selectors.decision_page(request.user.person, item_id)
    rule = read.item.rule_version.parsed
    names = names_in([rule])
    return Page(
        read,
        deciding=True,
        viewer_id=request.user.person.pk,
        rule_words=rule_sentences(rule, names),
        waits_for=waits_for(rule, read.item.stage, names),
    )
