"""A requester's pages: all of their requests, one of them, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import Invalid, TooOften
from identity.actors import actor_of
from identity.http import PortalRequest, not_activity
from identity.limiting import Act, spend
from identity.signin.proving import proof_of
from identity.signin.views import start_again
from requests_app import selectors
from requests_app.actions.conversing import remark
from requests_app.actions.ending import end_early
from requests_app.actions.ending import revoke as revoke_grant
from requests_app.actions.submitting import submit_request
from requests_app.actions.withdrawing import withdraw_item, withdraw_waiting
from requests_app.forms import ReasonForm, RemarkForm
from requests_app.lifecycle import ItemStatus
from requests_app.models import RequestItem
from requests_app.overview import Overview, overview
from requests_app.pages import Page
from requests_app.permissions import check_may_remark, check_may_revoke
from requests_app.rows import rows
from requests_app.rule_words import names_in, waits_for
from requests_app.stepping_up import StepUpWanted
from requests_app.views import typed
from requests_app.views.paging import read_id, read_instant


@require_http_methods(["GET", "HEAD"])
def mine(request: PortalRequest) -> HttpResponse:
    """Everything that this person has asked for."""
    before = read_instant(request.GET.get("before", ""))
    found = selectors.my_requests(request.user.person, before=before, limit=selectors.PAGE + 1)
    shown = found[: selectors.PAGE]
    older = urlencode({"before": shown[-1].created_at.isoformat()}) if len(found) > len(shown) else ""
    context = {"rows": rows(shown), "older": older and f"?{older}", "newest": before and request.path}
    return render(request, "requests/list.html", context)


@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """One request, for its requester, for those who may decide on it, for auditors and operators."""
    items = _items(request, request_id)
    if several := _overview(request, items):
        return render(request, "requests/overview.html", {"overview": several})
    return render(request, "requests/page.html", {"page": _read(request, request_id, items)})


@not_activity
@require_http_methods(["GET", "HEAD"])
def live(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """What changes by itself on a request's page, or 204 while the browser shows it already."""
    items = _items(request, request_id)
    several = _overview(request, items)
    shown = several or _read(request, request_id, items)
    if request.GET.get("seen") == shown.seen:
        return HttpResponse(status=204)
    if several:
        return render(request, "requests/_overview.html", {"overview": several, "fragment": True})
    return render(request, "requests/_live.html", {"page": shown, "fragment": True})


@require_http_methods(["POST"])
def withdraw(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """Take back what waits for a decision: one item, or all of them."""
    who, actor = request.user.person.pk, actor_of(request)
    items = _items(request, request_id)
    if several := _overview(request, items):
        count = withdraw_waiting(request_id=request_id, person_id=who, actor=actor)
        messages.success(
            request, f"{count} of {len(several.parts)} are withdrawn. Nobody has to decide on them any more."
        )
        return redirect("request", request_id)
    shown = _read(request, request_id, items)
    withdraw_item(item_id=shown.item.pk, person_id=who, actor=actor)
    messages.success(request, "Your request is withdrawn. Nobody has to decide on it any more.")
    return redirect(shown.address)


@require_http_methods(["POST"])
def end(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """“I'm done”."""
    shown = _read(request, request_id)
    if shown.grant is None:
        raise Http404
    end_early(grant_id=shown.grant.pk, person_id=request.user.person.pk, actor=actor_of(request))
    messages.success(request, "Your access is on its way out. This page follows it.")
    return redirect(shown.address)


@require_http_methods(["POST"])
def sign_in(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """Sign in once more, in the way that Entra wants before it goes on: its person, or somebody who approved it."""
    shown = _read(request, request_id)
    if shown.grant is None or not (shown.mine or shown.approved_by_viewer):
        raise Http404
    if not shown.sign_in_wanted:
        messages.info(request, "Another sign-in isn't needed for this any more.")
        return redirect(shown.address)
    return start_again(
        request,
        person=request.user.person,
        claims=shown.grant.wanted_claims,
        following=shown.address,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """Ending somebody else's access: what will happen, and why it has to."""
    shown = _read(request, request_id)
    if shown.grant is None or (request.method != "POST" and not shown.revocable):
        raise Http404
    if request.method == "POST":  # before the form says what it lacks
        check_may_revoke(request.user.person, shown.grant)
    form = ReasonForm(
        request.POST if request.method == "POST" else None,
        read_by="Whoever holds the access reads it, and it stays in the history.",
    )
    if form.is_bound and form.is_valid() and _revoked(request, shown.grant.pk, form):
        return redirect(shown.address)
    context = {"page": shown, "form": form}
    return render(request, "requests/revoke.html", context, status=422 if form.is_bound else 200)


def _revoked(request: PortalRequest, grant_id: UUID, form: ReasonForm) -> bool:
    """Revoke it; False when the reason was refused, with the refusal in the form."""
    try:
        revoke_grant(
            grant_id=grant_id,
            person_id=request.user.person.pk,
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
        )
    except Invalid as error:
        form.refuse(error)
        return False
    messages.success(request, "The access is on its way out. This page follows it.")
    return True


@require_http_methods(["GET", "HEAD", "POST"])
def thread(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """What was asked about a request and answered, with room for one more."""
    shown = _read(request, request_id)
    if request.method == "POST":  # before the form says what it lacks
        check_may_remark(request.user.person, shown.item)
    elif not (shown.askable or shown.answerable):
        raise Http404
    form = RemarkForm(request.POST if request.method == "POST" else None, answering=shown.mine)
    if form.is_bound and form.is_valid() and _said(request, shown, form):
        return redirect(shown.address if shown.mine else shown.decide_address)
    context = {"page": shown, "form": form}
    return render(request, "requests/thread.html", context, status=form.status)


def _said(request: PortalRequest, shown: Page, form: RemarkForm) -> bool:
    """Add it to the thread; False when the words were refused, with the refusal in the form."""
    try:
        spend(request.user.person, Act.REMARK)
        remark(
            item_id=shown.item.pk,
            person_id=request.user.person.pk,
            words=form.cleaned_data["words"],
            actor=actor_of(request),
        )
    except (Invalid, TooOften) as error:
        form.refuse(error)
        return False
    messages.success(
        request,
        "Your answer was sent." if shown.mine else "Your question was sent. The request goes on waiting.",
    )
    return True


@require_http_methods(["POST"])
def repeat(request: PortalRequest, request_id: UUID) -> HttpResponse:
    """Ask once more for exactly the same, as after access that never arrived."""
    shown = _read(request, request_id)
    if not shown.mine:
        raise Http404
    spend(request.user.person, Act.SUBMIT)
    try:
        new = submit_request(
            requester_id=request.user.person.pk,
            group_object_id=shown.item.group.object_id,
            duration=shown.item.duration,
            justification=shown.item.request.justification,
            reference=shown.item.request.reference,
            proof=proof_of(request.session),
            actor=actor_of(request),
        )
    except StepUpWanted as wanted:
        return typed.to_sign_in(request, wanted, following=shown.address)
    messages.success(request, "Asked again, with the same reason and for the same time.")
    return redirect("request", new)


def _items(request: PortalRequest, request_id: UUID) -> Sequence[RequestItem]:
    user = request.user
    overseer = user.is_auditor or user.is_operator
    return selectors.request_items(user.person, request_id, overseer=overseer)


def _read(request: PortalRequest, request_id: UUID, items: Sequence[RequestItem] | None = None) -> Page:
    """The page of the item that the address names, or of the only one."""
    item_id = read_id(request.GET.get("item", ""))
    read = selectors.request_page(request.user.person, items or _items(request, request_id), item_id=item_id)
    rule = read.item.terms.parsed
    pending = read.item.status == ItemStatus.PENDING
    waiting = waits_for(rule, read.item.stage, names_in([rule])) if pending else ""
    return Page(read, viewer_id=request.user.person.pk, waits_for=waiting)


def _overview(request: PortalRequest, items: Sequence[RequestItem]) -> Overview | None:
    """All of the request, where it has several items and the address names none of them."""
    if "item" in request.GET or items[0].request.item_count == 1:
        return None
    return overview(items, viewer_id=request.user.person.pk)
