"""Being away: one's own page, and the operator's, who may say it for somebody who can't."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.clock import business_now
from base.errors import Conflict, Denied, Invalid, Missing
from identity.absences.declaring import date_mistakes, declare, withdraw
from identity.absences.finding import MOST_FOUND, anybody, colleagues
from identity.absences.forms import AbsenceForm, PersonSearch
from identity.absences.reading import absences_ahead, absences_of, delegations_of
from identity.actors import actor_of
from identity.http import PortalRequest, operator_required
from identity.limiting import Act, spend
from identity.models import Person


@require_http_methods(["GET", "HEAD", "POST"])
def own(request: PortalRequest) -> HttpResponse:
    """One's own absences, and for whom one decides."""
    person, now = request.user.person, business_now()
    form, status = _answered(request, person)
    if status == 302:
        return redirect("absence")
    context = {"form": form, "rows": absences_of(person, now), "for_others": delegations_of(person, now)}
    return render(request, "absences/own.html", {**context, "now": now}, status=status)


@operator_required
@require_http_methods(["GET", "HEAD"])
def everybody(request: PortalRequest) -> HttpResponse:
    """Who is away or will be, and finding somebody of whom it has to be said."""
    search = PersonSearch(request.GET)
    query = search.cleaned_data["q"].strip() if search.is_valid() else ""
    if query:
        spend(request.user.person, Act.SEARCH)
    found, now = anybody(query), business_now()
    context = {"query": query, "found": found[:MOST_FOUND], "more": len(found) > MOST_FOUND, "now": now}
    return render(request, "absences/everybody.html", {**context, "rows": absences_ahead(now)})


@operator_required
@require_http_methods(["GET", "HEAD", "POST"])
def of_somebody(request: PortalRequest, person_id: UUID) -> HttpResponse:
    """The absences of one person, for an operator."""
    person, now = Person.objects.filter(object_id=str(person_id)).first(), business_now()
    if person is None:
        raise Missing("person.missing", "There is no such person.")
    form, status = _answered(request, person)
    if status == 302:
        return redirect("operations_absence", person_id)
    context = {"form": form, "person": person, "rows": absences_of(person, now), "now": now}
    return render(request, "absences/of_somebody.html", context, status=status)


def _answered(request: PortalRequest, person: Person) -> tuple[AbsenceForm, int]:
    """The form, with its refusals if there are any, and the answer's status: 302 when something was done."""
    if request.method != "POST":
        return AbsenceForm(), 200
    if taken_back := request.POST.get("withdraw"):
        withdraw(
            absence_id=_id(taken_back),
            person_id=person.pk,
            by_id=request.user.person.pk,
            actor=actor_of(request),
        )
        messages.success(request, "Withdrawn. From now on nobody decides by it.")
        return AbsenceForm(), 302
    form = AbsenceForm(request.POST)
    spend(request.user.person, Act.SEARCH)
    people = colleagues(request.POST.get("delegate", "")[:128])
    form.offer(people[:MOST_FOUND] if len(people) > 1 else ())
    return form, _declared(request, person, form, people)


def _declared(request: PortalRequest, person: Person, form: AbsenceForm, people: Sequence[Person]) -> int:
    """Record it; gives the answer's status, with the reason in the form when it was refused."""
    readable, cleaned = form.is_valid(), form.cleaned_data
    delegate: Person | None = None
    try:
        delegate = _meant(cleaned.get("delegate", ""), cleaned.get("chosen", ""), people)
    except Invalid as error:
        form.refuse(error)
        readable = False
    if not readable:  # all mistakes are named at a time
        unread = set(form.errors)
        for mistake in date_mistakes(cleaned.get("begins"), cleaned.get("ends")):
            if mistake.field not in unread:
                form.refuse(mistake)
        return 422
    try:
        declare(
            person_id=person.pk,
            delegate_id=delegate.pk if delegate else None,
            begins_at=cleaned["begins"],
            ends_at=cleaned["ends"],
            by_id=request.user.person.pk,
            actor=actor_of(request),
        )
    except (Invalid, Conflict, Denied) as error:
        form.refuse(error)
        return error.status
    decides = f"{delegate.display_name} decides meanwhile." if delegate else "Nobody decides instead."
    messages.success(request, f"Recorded. {decides}")
    return 302


def _meant(words: str, chosen: str, people: Sequence[Person]) -> Person | None:
    """The one colleague who is meant; None for nobody. Raises Invalid where that is open."""
    if not words.strip():
        return None
    fitting = [each for each in people if each.object_id == chosen] or people
    if len(fitting) == 1:
        return fitting[0]
    if not people:
        raise Invalid(
            "absence.unknown",
            "Nobody who could decide for somebody is called that. Write the name or address as Entra has it.",
            field="delegate",
        )
    if len(people) > MOST_FOUND:
        raise Invalid("absence.several", "Many are called that. Write more of the name.", field="delegate")
    raise Invalid("absence.several", "Several are called that: choose one.", field="chosen")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Missing("absence.missing", "There is no such absence.") from None
