"""Emergency use: asking for it, and reviewing it afterwards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.clock import business_now
from base.errors import DomainError, Missing
from catalog.nudges import want_refresh
from identity.actors import actor_of
from identity.http import PortalRequest, operator_required, overseer_required
from identity.limiting import Act, spend
from identity.signin.proving import proof_of
from policy.assurance import NOTHING
from requests_app import estimates
from requests_app.actions.submitting import submit_request
from requests_app.activity.viewing import note_view
from requests_app.forms import ReasonForm, length_input
from requests_app.offers import Offer, one_offer, read_freshness
from requests_app.permissions import is_operator
from requests_app.rule_words import emergency_sentences, names_in
from requests_app.stepping_up import StepUpWanted, sign_in_words
from requests_app.views import typed
from requests_app.views.paging import read_place, write_place
from requests_app.waivers.asking import EmergencyAsk, for_emergency, obstacle, wrong_words
from requests_app.waivers.forms import EmergencyForm, ReviewForm
from requests_app.waivers.reading import PAGE, ReviewPage, newest, review_page, waiting_for
from requests_app.waivers.reviewing import lift_block
from requests_app.waivers.reviewing import review as review_action


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: PortalRequest, group_id: UUID) -> HttpResponse:
    """Asking for access without an approval, or why that can't be, with the organisation's own procedure."""
    found = one_offer(request.user.person, group_id, undecided=True)
    form = _form(found, request)
    if request.method != "POST":
        want_refresh(request.user.person)
    elif not form.is_valid():
        _name_the_rest(found, form)
    else:
        try:
            spend(request.user.person, Act.SUBMIT)
            new = submit_request(
                requester_id=request.user.person.pk,
                group_object_id=found.group.object_id,
                duration=form.cleaned_data["duration"],
                justification=form.cleaned_data["justification"],
                reference=form.cleaned_data["reference"],
                proof=proof_of(request.session),
                actor=actor_of(request),
                emergency=form.emergency,
            )
        except StepUpWanted as wanted:
            return typed.to_sign_in(request, wanted)
        except Missing:
            raise
        except DomainError as error:
            form.refuse(error)
        else:
            typed.sent(request)
            messages.success(request, "Your emergency was sent, and is being checked. This page follows it.")
            return redirect("request", new)
    status = form.status if request.method == "POST" else 200
    return render(request, "emergencies/ask.html", _context(request, found, form), status=status)


def _name_the_rest(found: Offer, form: EmergencyForm) -> None:
    """What the action would refuse besides, in fields that could be read: all mistakes are named at a time."""
    wrong = set(form.errors)
    known = wrong | ({"duration"} if wrong & {"length", "hours", "minutes"} else set())
    why = wrong_words(EmergencyAsk(form.cleaned_data.get("why", "")))
    for mistake in (
        *([why] if why else []),
        *found.mistakes(form.asked(), emergency=True),
    ):
        if mistake.field not in known:
            form.refuse(mistake)


def _form(found: Offer, request: PortalRequest) -> EmergencyForm:
    rule, longest = found.demands, _longest(found)
    person = request.user.person
    return EmergencyForm(
        request.POST if request.method == "POST" else typed.typed(request),
        initial=length_input(min(longest, timedelta(hours=1)), longest) if longest else None,
        longest=longest,
        shortest_justification=rule.shortest_justification if rule else 0,
        reference_required=(rule.reference_required if rule else False) or found.group.ticket_demanded,
        drill_only=is_operator(person) and obstacle(person, rule, drill=False) is not None,
    )


def _longest(found: Offer) -> timedelta:
    return for_emergency(found.judged).longest or timedelta(0)


def _context(request: PortalRequest, found: Offer, form: EmergencyForm) -> dict[str, object]:
    person, demands = request.user.person, found.demands
    refused = None if found.obstacle else obstacle(person, demands, drill=is_operator(person))
    sentences = (
        emergency_sentences(demands.emergency, names_in([demands])) if demands and demands.emergency else []
    )
    foreseen = estimates.preview(
        duration=_longest(found),
        longest_session=found.group.longest_session or timedelta(hours=1),
        now=business_now(),
        ends_by=found.judged.ends_by,
    )
    return {
        "offer": found,
        "form": form,
        "obstacle": found.obstacle or (refused.sentence if refused else ""),
        "sentences": sentences,
        "foreseen": foreseen,
        "freshness": read_freshness(),
        "sign_in": sign_in_words(
            demands.step_up.ask if demands else NOTHING, proof_of(request.session), person
        ),
        **procedure(),
    }


def procedure() -> dict[str, object]:
    """The organisation's own way, as operators have recorded it."""
    return {"procedure": settings.EMERGENCY_PROCEDURE, "procedure_address": settings.EMERGENCY_PROCEDURE_URL}


@require_http_methods(["GET", "HEAD"])
def reviews(request: PortalRequest) -> HttpResponse:
    """What waits for this person's review."""
    return render(request, "emergencies/reviews.html", {"rows": waiting_for(request.user.person)})


@overseer_required
@require_http_methods(["GET", "HEAD"])
def everything(request: PortalRequest) -> HttpResponse:
    """Every emergency use and drill with its reviews."""
    before = read_place(request.GET.get("before", ""))
    found = newest(before=before, limit=PAGE + 1)
    shown = found[:PAGE]
    last = shown[-1].review if len(found) > PAGE else None
    context = {
        "rows": shown,
        "older": last and f"?before={write_place(last.owed_at, last.pk)}".replace("+", "%2B"),
        "newest": before and request.path,
        **procedure(),
    }
    return render(request, "emergencies/everything.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def review(request: PortalRequest, review_id: UUID) -> HttpResponse:
    """One emergency use: what was done, and whether it was in order."""
    user = request.user
    overseer = user.is_auditor or user.is_operator
    shown = review_page(user.person, review_id, overseer=overseer and request.method != "POST")
    form = ReviewForm(request.POST if request.method == "POST" else None)

    def keep(said: dict[str, Any]) -> None:
        spend(user.person, Act.DECIDE)
        review_action(review_id=review_id, person_id=user.person.pk, actor=actor_of(request), **said)

    if form.is_bound and form.carries_out(keep):
        messages.success(request, "Your review is kept.")
        return redirect("emergency_review", review_id)
    context: dict[str, Any] = {
        "page": shown,
        "form": form if shown.mine else None,
        "lift": _lift_form(None),
    }
    return _render(request, context, shown, status=form.status)


def _render(
    request: PortalRequest, context: dict[str, Any], shown: ReviewPage, *, status: int
) -> HttpResponse:
    """The page of a review; that somebody looks at what somebody else did in AWS is recorded before it is shown."""
    if shown.tells_activity and request.user.person.pk != shown.review.person_id:
        note_view(shown.item.request, viewer=request.user.person, actor=actor_of(request))
    return render(request, "emergencies/review.html", context, status=status)


@operator_required
@require_http_methods(["POST"])
def lift(request: PortalRequest, review_id: UUID) -> HttpResponse:
    """Let somebody use emergencies again although a review is owed."""
    form, who, actor = _lift_form(request), request.user.person.pk, actor_of(request)
    if form.carries_out(
        lambda said: lift_block(review_id=review_id, person_id=who, reason=said["reason"], actor=actor)
    ):
        messages.success(request, "Lifted: the next emergency use is possible. The review is still owed.")
        return redirect("emergency_review", review_id)
    shown = review_page(request.user.person, review_id, overseer=True)
    context: dict[str, Any] = {"page": shown, "form": None, "lift": form}
    return _render(request, context, shown, status=form.status)


def _lift_form(request: PortalRequest | None) -> ReasonForm:
    form = ReasonForm(
        request.POST if request else None, read_by="It stays in the history, and auditors read it."
    )
    form.fields["reason"].label = "Why may they use another one before this is reviewed?"
    return form
