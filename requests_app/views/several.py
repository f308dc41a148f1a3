"""Asking for several PIM groups at once: one reason, and for each its own length."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import DomainError, Missing, Several, TooOften
from catalog.nudges import want_refresh
from identity.actors import actor_of
from identity.http import PortalRequest
from identity.limiting import Act, spend
from identity.signin.proving import proof_of
from policy.assurance import NOTHING
from requests_app import selectors
from requests_app.actions.submitting import ItemsRefused, Wanted, submit_items
from requests_app.forms import ItemForm, SeveralForm, length_input
from requests_app.freshening import want_those_who_decide
from requests_app.offers import Offer, offers_of, read_freshness
from requests_app.stepping_up import StepUpWanted, sign_in_words
from requests_app.views import typed
from requests_app.views.paging import read_id, read_ids
from requests_app.weighing import Weight, weigh_several
from requests_app.weighing_words import Weighed

USUAL = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Choice:
    """One PIM group on the form."""

    offer: Offer
    form: ItemForm
    chosen: bool
    adds: Weighed | None  # beside what the person has now; None for what can't be asked for

    @property
    def obstacle(self) -> str:
        """Why it can't be asked for now, "" when it can."""
        if self.offer.undecided:
            return "You have asked for this already, and it waits for a decision."
        return self.offer.obstacle


@require_http_methods(["GET", "HEAD", "POST"])
def request_several(request: PortalRequest) -> HttpResponse:
    """The form, and sending it."""
    posted = request.method == "POST"
    sent = request.POST if posted else typed.typed(request)
    chosen, lengths, reference = _asked_for(request, sent)
    named = [*(read_ids(sent.getlist("named")) if sent else ()), *chosen]
    found = offers_of(request.user.person, dict.fromkeys(named))
    if not named:
        messages.info(request, "Tick what you want to ask for first.")
        return redirect("catalogue")
    returned = (
        sent is not None and not posted
    )  # from Entra: what isn't theirs any more takes nothing else along
    if not found or (len(found) < len(set(named)) and not returned and "again" not in request.GET):
        raise Missing("group.missing", "There is no such PIM group, or you are not eligible for it.")
    if returned and len(found) < len(set(named)):
        messages.warning(request, "You are no longer eligible for some of it; that is left out.")
    if len(found) == 1 and sent is None:
        return redirect(found[0].request_address)
    if not posted:
        want_refresh(request.user.person)
        want_those_who_decide(*(each.demands for each in found if each.demands))
    weights = weigh_several(request.user.person, [offer.group for offer in found if offer.choosable])
    choices = [_choice(offer, sent, chosen, lengths, weights.get(offer.group.pk)) for offer in found]
    form = _form(found, sent, reference)
    try:
        new, status = _submitted(request, choices, form) if posted else (None, 200)
    except StepUpWanted as wanted:
        return typed.to_sign_in(request, wanted)
    if new:
        return redirect("request", new)
    context = {"choices": choices, "form": form, "freshness": read_freshness()}
    context["sign_in"] = _sign_in_words(request, choices)
    return render(request, "access/several.html", context, status=status)


def _sign_in_words(request: PortalRequest, choices: Sequence[Choice]) -> str:
    """What sending the form as it is would want of the sign-in."""
    asked = [each.offer.demands for each in choices if each.chosen and each.offer.demands]
    wanted = NOTHING.with_(each.step_up.ask for each in asked)
    return sign_in_words(wanted, proof_of(request.session), request.user.person)


def _asked_for(
    request: PortalRequest, sent: QueryDict | None
) -> tuple[list[UUID], Mapping[str, timedelta], str]:
    """What is ticked; and of an earlier request that the address names, the lengths by group, and the reference."""
    if sent is not None:
        return read_ids(sent.getlist("group")), {}, ""
    again = read_id(request.GET.get("again", ""))
    earlier = selectors.own_items(request.user.person, again) if again else []
    lengths = {item.group.object_id: item.duration for item in earlier}
    reference = earlier[0].request.reference if earlier else ""
    return read_ids([*request.GET.getlist("group"), *lengths]), lengths, reference


def _choice(
    offer: Offer,
    sent: Any,
    chosen: Collection[UUID],
    lengths: Mapping[str, timedelta],
    weight: Weight | None,
) -> Choice:
    key, longest = offer.group.object_id, offer.longest or timedelta(0)
    initial = length_input(min(lengths.get(key, USUAL), longest), longest)
    ticked = UUID(key) in chosen and offer.choosable
    form = ItemForm(
        sent if ticked else None, initial=initial, prefix=key, longest=longest, what=offer.group.display_name
    )
    return Choice(offer, form, ticked, Weighed(weight) if weight else None)


def _form(found: Sequence[Offer], sent: Any, reference: str) -> SeveralForm:
    rules = [each.demands for each in found if each.demands is not None]
    return SeveralForm(
        sent,
        initial={"reference": reference},
        shortest_justification=max((rule.shortest_justification for rule in rules), default=0),
        reference_required=any(rule.reference_required for rule in rules)
        or any(each.group.ticket_demanded for each in found),
    )


def _submitted(
    request: PortalRequest, choices: Sequence[Choice], form: SeveralForm
) -> tuple[UUID | None, int]:
    """The new request's id; or None and the status of the refusal, which is in the forms then."""
    try:
        spend(request.user.person, Act.SUBMIT)
    except TooOften as error:
        form.refuse(error)
        return None, error.status
    ticked = [each for each in choices if each.chosen]
    valid = [form.is_valid(), *(each.form.is_valid() for each in ticked)]
    if not ticked:
        form.add_error(None, "Tick at least one that can be asked for.")
    if not ticked or not all(valid):
        _name_the_rest(ticked, form)
        return None, 422
    try:
        new = submit_items(
            requester_id=request.user.person.pk,
            wanted=[
                Wanted(each.offer.group.object_id, each.form.cleaned_data["duration"]) for each in ticked
            ],
            justification=form.cleaned_data["justification"],
            reference=form.cleaned_data["reference"],
            wanted_start=form.cleaned_data.get("start"),
            proof=proof_of(request.session),
            actor=actor_of(request),
        )
    except ItemsRefused as refused:
        _refuse(ticked, form, refused.refusals)
        return None, refused.status
    except (Missing, StepUpWanted):
        raise
    except DomainError as error:
        form.refuse(error)
        return None, error.status
    typed.sent(request)
    messages.success(request, "Your request was sent. This page follows it.")
    return new, 302


def _name_the_rest(ticked: Sequence[Choice], form: SeveralForm) -> None:
    """What the action would refuse besides, in fields that could be read: all mistakes are named at a time."""
    wrong, common = set(form.errors), form.asked()
    refusals: dict[str, DomainError] = {}
    for each in ticked:
        asked = replace(common, duration=each.form.cleaned_data.get("duration"))
        if found := [mistake for mistake in each.offer.mistakes(asked) if mistake.field not in wrong]:
            refusals[each.offer.group.object_id] = Several(found)
    _refuse(ticked, form, refusals)


def _refuse(ticked: Sequence[Choice], form: SeveralForm, refusals: Mapping[str, DomainError]) -> None:
    """Show each refusal at the length of its item; at what all have in common once, naming those it is about."""
    shared: dict[tuple[str, str], list[str]] = {}
    for each in ticked:
        refused = refusals.get(each.offer.group.object_id)
        for error in refused.parts if refused else ():
            if error.field in form.fields:
                shared.setdefault((error.field, error.sentence), []).append(each.offer.group.display_name)
            else:
                each.form.add_error("length", error.sentence)
    for (field, sentence), names in shared.items():
        form.add_error(field, f"{', '.join(names)}: {sentence}")
