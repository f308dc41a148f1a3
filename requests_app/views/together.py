"""Several requests decided with one word, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import DomainError, Invalid, Missing, TooOften
from identity.actors import actor_of
from identity.http import PortalRequest
from identity.limiting import Act, spend
from identity.signin.proving import proof_of
from policy.assurance import NOTHING
from requests_app.actions.deciding_together import submit_decisions
from requests_app.forms import TogetherForm
from requests_app.freshening import want_those_who_decide
from requests_app.stepping_up import StepUpWanted, sign_in_words
from requests_app.together_page import Candidate, candidates, is_own_to_decide
from requests_app.views import typed
from requests_app.views.paging import read_ids


@require_http_methods(["GET", "HEAD", "POST"])
def together(request: PortalRequest, item_id: UUID) -> HttpResponse:
    """One request with others that the address names, and one form for all of them."""
    person, posted = request.user.person, request.method == "POST"
    if not is_own_to_decide(person, item_id):
        raise Missing("item.missing", "There is no such request, or it is not yours to decide.")
    waiting = typed.typed(request)
    sent = request.POST if posted else waiting
    chosen = read_ids(
        sent.getlist("item") if sent is not None else [str(item_id), *request.GET.getlist("item")]
    )
    named = [item_id, *(read_ids(sent.getlist("named")) if sent is not None else ())]
    # What was shown before the sign-in goes on being what the decision is bound to.
    tokens = {name: str(sent.get(name, "")) for name in sent} if sent is not None else {}
    found = candidates(person, {*named, *chosen}, tokens, chosen)
    form = TogetherForm(sent)
    if not found:
        messages.info(request, "These have been decided, or were taken back. Nothing of it waits for you.")
        return redirect("inbox")
    if not posted:
        want_those_who_decide(*(each.item.terms.parsed for each in found))
    try:
        if posted and form.is_valid() and _decided(request, found, chosen, form):
            return redirect("inbox")
    except StepUpWanted as wanted:
        return typed.to_sign_in(request, wanted)
    all_of_it = NOTHING.with_(each.item.terms.parsed.step_up.decide for each in found if each.chosen)
    sign_in = sign_in_words(all_of_it, proof_of(request.session), person)
    context = {"found": found, "form": form, "sign_in": sign_in}
    return render(request, "approvals/together.html", context, status=form.status if posted else 200)


def _decided(
    request: PortalRequest, found: Sequence[Candidate], chosen: Sequence[UUID], form: TogetherForm
) -> bool:
    """Submit the decisions and say what came of each; False when nothing was stored, with the reason in the form."""
    if not chosen:
        form.add_error(None, "Choose at least one.")
        return False
    try:
        spend(request.user.person, Act.DECIDE)
        outcomes = submit_decisions(
            shown={item_id: request.POST.get(f"shown-{item_id}", "") for item_id in chosen},
            approver_id=request.user.person.pk,
            verdict=form.cleaned_data["verdict"],
            comment=form.cleaned_data["comment"],
            proof=proof_of(request.session),
            actor=actor_of(request),
        )
    except (Invalid, TooOften) as error:
        form.refuse(error)
        return False
    typed.sent(request)
    _say(request, found, outcomes)
    return True


def _say(
    request: PortalRequest, found: Sequence[Candidate], outcomes: Mapping[UUID, DomainError | None]
) -> None:
    taken = sum(error is None for error in outcomes.values())
    if taken:
        what = "1 decision is" if taken == 1 else f"{taken} decisions are"
        messages.success(request, f"{what} being checked, and will count in a few seconds.")
    names = {
        each.item.pk: f"{each.item.requester.display_name}, {each.item.group.display_name}" for each in found
    }
    for item_id, error in outcomes.items():
        if error is not None:
            messages.warning(request, f"{names.get(item_id, 'One of them')}: {error.sentence}")
