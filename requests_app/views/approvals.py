"""An approver's pages: what waits, and one decision."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.clock import business_now
from base.errors import Invalid, TooOften
from identity.absences.reading import own_absence, stood_in_for
from identity.actors import actor_of
from identity.http import PortalRequest, not_activity
from identity.limiting import Act, spend
from identity.signin.proving import proof_of
from requests_app import selectors
from requests_app.actions.attending import attend, put_down
from requests_app.actions.deciding import Changed, submit_decision
from requests_app.bundles import bundled, together_address
from requests_app.deliberation.reading import thread_states
from requests_app.forms import DecisionForm
from requests_app.freshening import want_those_who_decide
from requests_app.lifecycle import ItemStatus
from requests_app.meeting import conditions_of
from requests_app.pages import Page
from requests_app.rows import Row
from requests_app.rule_words import demand_sentences, names_in, waits_for
from requests_app.shown import read_facts, since_asked
from requests_app.stepping_up import StepUpWanted, sign_in_words
from requests_app.surroundings import surroundings
from requests_app.targets import due_at
from requests_app.views import typed
from requests_app.views.paging import read_place, write_place
from requests_app.waivers.reading import waits_for_review
from requests_app.weighing import weigh
from requests_app.weighing_words import Weighed


@require_http_methods(["GET", "HEAD"])
def inbox(request: PortalRequest) -> HttpResponse:
    """What waits for this person's decision, the first due first, those that are alike together."""
    after = read_place(request.GET.get("after", ""))
    waits = selectors.waits_for(request.user.person)
    if after is None:
        found, request.waiting_count = selectors.first_of(waits, limit=selectors.PAGE + 1)
    else:
        found = selectors.inbox(waits, after=after, limit=selectors.PAGE + 1)
        request.waiting_count = selectors.waiting_count(waits)
    shown = found[: selectors.PAGE]
    said = thread_states(shown)
    more = len(found) > len(shown)
    older = urlencode({"after": write_place(due_at(shown[-1]), shown[-1].pk)}) if more else ""
    context = {
        "bundles": bundled([Row(item, thread=said.get(item.pk, "")) for item in shown]),
        "older": older and f"?{older}",
        "newest": after and request.path,
        "for_others": stood_in_for(request.user.person, business_now()) if waits.for_others else (),
        "emergencies": waits_for_review(request.user.person),
    }
    return render(request, "approvals/inbox.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def decision(request: PortalRequest, item_id: UUID) -> HttpResponse:
    """What an approver needs to know, the decision, and what came of it."""
    page = _read(request, item_id)  # first: whoever may not read it is told nothing of its state
    before = typed.typed(request) if page.decidable else None
    form = DecisionForm(request.POST if request.method == "POST" else before, asked=page.item.duration)
    status = 200
    if request.method == "POST":
        try:
            status = _decided(request, item_id, form) if form.is_valid() else 422
        except StepUpWanted as refused:
            return typed.to_sign_in(request, refused)
        if status == 302:
            return redirect("decision", item_id)
        page = _read(request, item_id)  # as it is now, not as it was before the refusal
    if request.method != "POST" and page.item.status == ItemStatus.PENDING:
        want_those_who_decide(page.item.terms.parsed)
    facts = read_facts(page.item)
    waiting = [row for row in page.others if row.item.status == ItemStatus.PENDING]
    context: dict[str, object] = {"page": page}
    context["together"] = together_address([Row(page.item), *waiting]) if waiting and page.decidable else ""
    context["away"] = own_absence(request.user.person, business_now()) if page.decidable else None
    context["form"] = form if page.decidable or form.is_bound else None
    if page.decidable:
        wanted = page.item.terms.parsed.step_up.decide
        context["sign_in"] = sign_in_words(wanted, proof_of(request.session), request.user.person)
    if page.item.status == ItemStatus.PENDING:
        context["around"] = surroundings(page.read)
        context["conditions"] = conditions_of(page.item, facts.judging)
        context["adds"] = Weighed(
            weigh(page.item.requester, page.item.group), name=page.item.requester.display_name
        )
    context["since_asked"] = since_asked(facts) if page.item.status == ItemStatus.PENDING else ()
    # What was sent and refused for another reason, or waits for a sign-in, goes on naming what was shown first.
    first = request.POST if status == 422 else before
    context["shown"] = (first.get("shown") if first else None) or facts.token
    return render(request, "approvals/decision.html", context, status=status)


@not_activity
@require_http_methods(["GET", "HEAD"])
def live(request: PortalRequest, item_id: UUID) -> HttpResponse:
    """What changes by itself on a decision page, or 204 while the browser shows it already."""
    page = _read(request, item_id)
    if request.GET.get("seen") == page.seen:
        return HttpResponse(status=204)
    return render(request, "approvals/_live.html", {"page": page, "fragment": True})


@require_http_methods(["POST"])
def attention(request: PortalRequest, item_id: UUID) -> HttpResponse:
    """“I'm looking at it”, and “no longer”."""
    _read(request, item_id)  # first: whoever may not read it is told nothing of its state
    act = put_down if "put_down" in request.POST else attend
    act(item_id=item_id, person_id=request.user.person.pk, actor=actor_of(request))
    return redirect("decision", item_id)


def _decided(request: PortalRequest, item_id: UUID, form: DecisionForm) -> int:
    """Submit the decision; gives the answer's status, with the reason in the form when it was refused."""
    try:
        spend(request.user.person, Act.DECIDE)
        submit_decision(
            item_id=item_id,
            approver_id=request.user.person.pk,
            verdict=form.cleaned_data["verdict"],
            comment=form.cleaned_data["comment"],
            shown=form.cleaned_data["shown"],
            duration=form.cleaned_data.get("duration"),
            proof=proof_of(request.session),
            actor=actor_of(request),
        )
    except (Invalid, Changed, TooOften) as error:
        form.refuse(error)
        return error.status
    typed.sent(request)
    messages.success(request, "Your decision is being checked. It counts in a few seconds.")
    return 302


def _read(request: PortalRequest, item_id: UUID) -> Page:
    read = selectors.decision_page(request.user.person, item_id)
    rule = read.item.terms.parsed
    names = names_in([rule])
    return Page(
        read,
        deciding=True,
        viewer_id=request.user.person.pk,
        rule_words=demand_sentences(rule, names),
        waits_for=waits_for(rule, read.item.stage, names),
    )
