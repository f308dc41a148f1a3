"""Rules: what is in force, its history, and changing it with a second operator. Auditors may read."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from base.errors import DomainError, Missing
from identity.actors import actor_of
from identity.http import PortalRequest, operator_required, overseer_required
from oversight.forms import DecideForm, RulesForm
from oversight.rules.drafting import base_of, draft, drafted
from oversight.rules.pages import (
    change_or_missing,
    change_page,
    change_rows,
    history_page,
    rule_page,
    rules_page,
)
from oversight.rules.proposing import accept, propose, reject, second_refusal, withdraw
from policy.reading import Mistake

VERBS = {"accept": accept, "reject": reject, "withdraw": withdraw}
SAID = {
    "accept": "Accepted. A worker applies it within seconds.",
    "reject": "Rejected. The rules stay as they are.",
    "withdraw": "Withdrawn. The rules stay as they are.",
}


@overseer_required
@require_http_methods(["GET", "HEAD"])
def page(request: PortalRequest) -> HttpResponse:
    """What is in force, and what waits for a second operator."""
    return render(request, "oversight/rules.html", {"rules": rules_page(request.GET.get("page", "1"))})


@overseer_required
@require_http_methods(["GET", "HEAD"])
def history(request: PortalRequest) -> HttpResponse:
    """Every change: who, when, why, and what became of it."""
    shown = history_page(request.GET.get("page", "1"))
    context = {"page": shown, "rows": change_rows(shown)}
    return render(request, "oversight/rule_history.html", context)


@overseer_required
@require_http_methods(["GET", "HEAD"])
def rule(request: PortalRequest, rule_id: int) -> HttpResponse:
    """One rule's versions with what each changed."""
    return render(request, "oversight/rule.html", {"shown": rule_page(rule_id, request.GET.get("page", "1"))})


@operator_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: PortalRequest) -> HttpResponse:
    """Write rules, all or one, and propose them."""
    if request.method != "POST":
        begun = draft(rule_id=request.GET.get("rule", ""), change_id=request.GET.get("change", ""))
        form = RulesForm(
            initial={
                "text": begun.text,
                "base": begun.base,
                "only": begun.only,
                "restores": begun.restores,
                "reason": "",
            }
        )
        return _write(request, form, [])
    form = RulesForm(request.POST)
    found: Sequence[Mistake] = []
    status = 422
    if form.is_valid():
        try:
            made = drafted(form.cleaned_data["text"], only=form.cleaned_data["only"])
            found = made.mistakes
            if not found:
                change_id = propose(
                    rules=made.rules,
                    person_id=request.user.person.pk,
                    reason=form.cleaned_data["reason"],
                    actor=actor_of(request),
                    base=base_of(form.cleaned_data["base"]),
                    restores=form.cleaned_data["restores"],
                )
                messages.success(request, "Proposed. A second operator accepts or rejects it here.")
                return redirect("operations_rule_change", change_id)
        except Missing:
            raise
        except DomainError as error:
            form.refuse(error)
            status = error.status
    return _write(request, form, found, status=status)


@overseer_required
@require_http_methods(["GET", "HEAD"])
def change(request: PortalRequest, change_id: UUID) -> HttpResponse:
    """One change: what differs, what it would do, and the word on it."""
    return _show(request, change_id, DecideForm())


@operator_required
@require_http_methods(["POST"])
def decide(request: PortalRequest, change_id: UUID) -> HttpResponse:
    """An operator's word on a change."""
    form = DecideForm(request.POST)
    status = 422
    change_or_missing(change_id)
    if form.is_valid():
        verdict = form.cleaned_data["verdict"]
        try:
            VERBS[verdict](
                change_id=change_id,
                person_id=request.user.person.pk,
                reason=form.cleaned_data["reason"],
                actor=actor_of(request),
            )
        except Missing:
            raise
        except DomainError as error:
            form.refuse(error)
            status = error.status
        else:
            messages.success(request, SAID[verdict])
            return redirect("operations_rule_change", change_id)
    return _show(request, change_id, form, status=status)


def _write(
    request: PortalRequest, form: RulesForm, found: Sequence[Mistake], *, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "mistakes": found,
        "only": form["only"].value() or "",
        "restores": form["restores"].value(),
    }
    return render(request, "oversight/rule_propose.html", context, status=status)


def _show(request: PortalRequest, change_id: UUID, form: DecideForm, *, status: int = 200) -> HttpResponse:
    row = change_or_missing(change_id)
    operator = request.user.is_operator
    context = {
        "shown": change_page(row),
        "row": row,
        "form": form,
        "own": operator and second_refusal(row, request.user.person) != "",
        "operator": operator,
    }
    return render(request, "oversight/rule_change.html", context, status=status)
