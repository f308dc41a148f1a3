"""What may be asked for, and asking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.clock import business_now
from base.errors import DomainError, Missing, TooOften
from catalog.nudges import want_refresh
from catalog.selectors import opened_set_names
from identity.actors import actor_of
from identity.http import PortalRequest, not_activity
from identity.limiting import Act, spend
from identity.signin.proving import proof_of
from policy.assurance import NOTHING
from policy.preflight import who_can_decide
from requests_app import estimates, selectors
from requests_app.actions.submitting import submit_request
from requests_app.forms import LengthForm, RequestForm, length_input
from requests_app.freshening import want_those_who_decide
from requests_app.offers import Offer, full_offer, offers, one_offer, read_freshness
from requests_app.stepping_up import StepUpWanted, sign_in_words
from requests_app.views import typed
from requests_app.views.paging import read_id
from requests_app.weighing import weigh
from requests_app.weighing_words import Weighed

LONGEST_QUERY = 100


@require_http_methods(["GET", "HEAD"])
def catalogue(request: PortalRequest) -> HttpResponse:
    """Everything this person is eligible for, searchable."""
    person = request.user.person
    want_refresh(person)
    query = request.GET.get("q", "").strip()[:LONGEST_QUERY]
    if query:
        spend(person, Act.SEARCH)
    after = request.GET.get("after", "")
    page = offers(person, query=query, after=after)
    further = urlencode({"q": query, "after": page.next}) if page.next else ""
    first = f"?{urlencode({'q': query})}" if after else ""
    context = {"page": page, "query": query, "first": first, "freshness": read_freshness()}
    context["further"] = further and f"?{further}"
    return render(request, "access/list.html", context)


@require_http_methods(["GET", "HEAD"])
def group(request: PortalRequest, group_id: UUID) -> HttpResponse:
    """One PIM group with everything that a request would open."""
    after, query = request.GET.get("after", ""), request.GET.get("q", "").strip()[:LONGEST_QUERY]
    found = full_offer(request.user.person, group_id, accounts_after=after, accounts_query=query)
    further = urlencode({"q": query, "after": found.next_accounts}) if found.next_accounts else ""
    context = {"full": found, "offer": found.offer, "query": query, "freshness": read_freshness()}
    context["further"] = further and f"?{further}#accounts"
    context["first"] = f"?{urlencode({'q': query})}#accounts" if after else ""
    return render(request, "access/group.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def request_access(request: PortalRequest, group_id: UUID) -> HttpResponse:
    """The form, what the request would mean, and sending it."""
    offer = one_offer(request.user.person, group_id)
    if request.method != "POST":
        want_refresh(request.user.person)
        if offer.judged.demands is not None:
            want_those_who_decide(offer.judged.demands)
        waiting = typed.typed(request)
        return _show(request, offer, _form(offer, waiting, _again(request, offer)))
    if "again" in request.POST and not request.POST.get("justification", "").strip():
        return redirect(f"{offer.request_address}?{urlencode({'again': request.POST['again']})}")
    form = _form(offer, request.POST)
    if "check" in request.POST:
        return _show(request, offer, form)
    try:
        new, status = _submitted(request, offer, form)
    except StepUpWanted as wanted:
        return typed.to_sign_in(request, wanted)
    return redirect("request", new) if new else _show(request, offer, form, status=status)


@not_activity
@require_http_methods(["GET", "HEAD"])
def preview(request: PortalRequest, group_id: UUID) -> HttpResponse:
    """What asking for this long would mean; the part of the form that changes while it is filled in."""
    found = one_offer(request.user.person, group_id)
    form = LengthForm(request.GET, longest=found.longest or timedelta(0))
    return render(request, "access/_preview.html", _preview(found, form))


def _submitted(request: PortalRequest, found: Offer, form: RequestForm) -> tuple[UUID | None, int]:
    """The new request's id; or None and the status of the refusal, which is in the form then."""
    try:
        spend(request.user.person, Act.SUBMIT)
    except TooOften as error:
        form.refuse(error)
        return None, error.status
    if not form.is_valid():
        _name_the_rest(found, form)
        return None, 422
    cleaned = form.cleaned_data
    try:
        new = submit_request(
            requester_id=request.user.person.pk,
            group_object_id=found.group.object_id,
            duration=cleaned["duration"],
            justification=cleaned["justification"],
            reference=cleaned["reference"],
            wanted_start=cleaned.get("start"),
            proof=proof_of(request.session),
            actor=actor_of(request),
        )
    except (Missing, StepUpWanted):
        raise
    except DomainError as error:
        form.refuse(error)
        return None, error.status
    typed.sent(request)
    messages.success(request, "Your request was sent. This page follows it.")
    return new, 302


def _name_the_rest(found: Offer, form: RequestForm) -> None:
    """What the action would refuse besides, in fields that could be read: all mistakes are named at a time."""
    wrong = set(form.errors)
    length = {"duration"} if wrong & {"length", "hours", "minutes"} else set()
    for mistake in found.mistakes(form.asked()):
        if mistake.field not in wrong | length:
            form.refuse(mistake)


def _show(request: PortalRequest, offer: Offer, form: RequestForm, *, status: int = 200) -> HttpResponse:
    context: dict[str, object] = {"offer": offer, "form": form, "freshness": read_freshness()}
    if offer.demands is not None and not offer.obstacle:
        context["deciders"] = who_can_decide(offer.demands, request.user.person)
    if not offer.obstacle:
        context["sets"] = opened_set_names(offer.group)
        context["adds"] = Weighed(weigh(request.user.person, offer.group))
        context["sign_in"] = sign_in_words(
            offer.demands.step_up.ask if offer.demands else NOTHING,
            proof_of(request.session),
            request.user.person,
        )
    context |= _preview(offer, form)
    return render(request, "access/request.html", context, status=status)


def _form(found: Offer, data: Any = None, initial: dict[str, Any] | None = None) -> RequestForm:
    rule = found.demands
    return RequestForm(
        data,
        initial=initial,
        longest=found.longest or timedelta(0),
        shortest_justification=rule.shortest_justification if rule else 0,
        reference_required=(rule.reference_required if rule else False) or found.group.ticket_demanded,
    )


def _again(request: PortalRequest, found: Offer) -> dict[str, Any]:
    """Length and reference of an earlier request of the same person, when the address names one."""
    named = read_id(request.GET.get("again", ""))
    earlier = selectors.own_items(request.user.person, named) if named else []
    longest = found.longest or timedelta(0)
    if not earlier:
        return length_input(min(longest, timedelta(hours=1)), longest)
    item = next((each for each in earlier if each.group_id == found.group.pk), earlier[0])
    return {"reference": item.request.reference, **length_input(min(item.duration, longest), longest)}


def _preview(found: Offer, form: LengthForm) -> dict[str, Any]:
    """What the chosen length would mean, if it is one."""
    asked = form.chosen()
    if asked is None or found.obstacle:
        return {"preview_refusal": form.length_refusal()}
    ends_by = found.judged.ends_by
    wanted = form.chosen_start()
    extends_from = found.lengthened_by(wanted)
    foreseen = estimates.preview(
        duration=asked,
        wanted_start=wanted,
        longest_session=found.group.longest_session or timedelta(hours=1),
        now=business_now(),
        ends_by=ends_by,
        extends_from=extends_from,
    )
    cut_short = ends_by is not None and foreseen.window_ends_at == ends_by
    context = {"preview": foreseen, "asked": asked, "cut_short": cut_short, "later": wanted}
    return {**context, "offer": found, "lengthens": extends_from is not None}
