"""Pages of access reviews: for whoever reviews, for operators, and for auditors to read."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from audit.ledger.recorder import record_alone
from base.errors import DomainError, Invalid, Missing
from identity.actors import actor_of
from identity.http import PortalRequest, operator_required, overseer_required
from identity.limiting import Act, spend
from reviews.campaigns import add_reviewer, close_campaign, remove_reviewer, start_campaign
from reviews.deciding import decide
from reviews.exporting import lines
from reviews.forms import DecideForm, ReviewerForm, StartForm
from reviews.models import Verdict
from reviews.selectors import (
    campaign_or_missing,
    campaigns_page,
    open_reviews,
    progress,
    removals,
    reviewed_group,
    sheet,
)


@require_http_methods(["GET", "HEAD"])
def mine(request: PortalRequest) -> HttpResponse:
    """What waits for this person's review."""
    return render(request, "reviews/mine.html", {"campaigns": open_reviews(request.user.person)})


@require_http_methods(["GET", "HEAD", "POST"])
def review(request: PortalRequest, campaign_id: UUID) -> HttpResponse:
    """The eligibilities that this person reviews, and their word on those that they choose."""
    everything = request.GET.get("show", "") == "all"
    shown = sheet(
        campaign_id, request.user.person, everything=everything, number=request.GET.get("page", "1")
    )
    form = DecideForm(
        request.POST if request.method == "POST" else None, entries=[row.entry.pk for row in shown.rows]
    )
    status = 200
    if form.is_bound and form.is_valid():
        try:
            number = _decide(request, campaign_id, form)
        except Missing:
            raise
        except DomainError as error:
            form.refuse(error)
            status = error.status
        else:
            things = "eligibility" if number == 1 else "eligibilities"
            messages.success(request, f"Kept: your word on {number} {things}.")
            return redirect(request.get_full_path())
    elif form.is_bound:
        status = 422
    context = {
        "sheet": shown,
        "form": form,
        "everything": everything,
        "chosen": request.POST.getlist("entry"),
    }
    return render(request, "reviews/sheet.html", context, status=status)


def _decide(request: PortalRequest, campaign_id: UUID, form: DecideForm) -> int:
    spend(request.user.person, Act.DECIDE)
    return decide(
        campaign_id=campaign_id,
        entry_ids=form.cleaned_data["entry"],
        verdict=form.cleaned_data["verdict"],
        reason=form.cleaned_data["reason"],
        by=request.user.person,
        actor=actor_of(request),
    )


@overseer_required
@require_http_methods(["GET", "HEAD"])
def campaigns(request: PortalRequest) -> HttpResponse:
    """Every campaign, with how far it is."""
    return render(request, "reviews/campaigns.html", {"page": campaigns_page(request.GET.get("page", "1"))})


@operator_required
@require_http_methods(["GET", "HEAD", "POST"])
def start(request: PortalRequest) -> HttpResponse:
    """A new campaign."""
    form = StartForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            made = start_campaign(**form.cleaned_data, by=request.user.person, actor=actor_of(request))
        except Invalid as error:
            form.refuse(error)
        else:
            messages.success(request, "The review has begun. See below who reviews what.")
            return redirect("operations_review", made)
    return render(request, "reviews/start.html", {"form": form}, status=422 if form.is_bound else 200)


@overseer_required
@require_http_methods(["GET", "HEAD"])
def campaign(request: PortalRequest, campaign_id: UUID) -> HttpResponse:
    """How far each group is, and who reviews it."""
    return render(
        request, "reviews/progress.html", {"progress": progress(campaign_id, request.GET.get("page", "1"))}
    )


@operator_required
@require_http_methods(["GET", "HEAD", "POST"])
def reviewers(request: PortalRequest, campaign_id: UUID, group_id: UUID) -> HttpResponse:
    """Who reviews one group: one more, or one less."""
    gone, status = request.POST.get("remove", ""), 200
    form = ReviewerForm(request.POST if request.method == "POST" and not gone else None)
    if request.method == "POST" and (gone or form.is_valid()):
        try:
            _change(request, campaign_id, str(group_id), gone, form)
        except Missing:
            raise
        except DomainError as error:
            form = form if form.is_bound else ReviewerForm({"who": ""})
            form.is_valid()
            form.refuse(error)
            status = error.status
        else:
            return redirect("operations_reviewers", campaign_id, group_id)
    elif form.is_bound:
        status = 422
    context = {"shown": reviewed_group(campaign_id, str(group_id)), "form": form}
    return render(request, "reviews/reviewers.html", context, status=status)


def _change(request: PortalRequest, campaign_id: UUID, group: str, gone: str, form: ReviewerForm) -> None:
    actor = actor_of(request)
    if gone:
        remove_reviewer(campaign_id=campaign_id, group_object_id=group, object_id=gone, actor=actor)
        messages.success(request, "They no longer review this group. What they decided stays.")
    else:
        who = form.cleaned_data["who"]
        person = add_reviewer(campaign_id=campaign_id, group_object_id=group, who=who, actor=actor)
        messages.success(request, f"{person.display_name} reviews this group now.")


@operator_required
@require_http_methods(["POST"])
def close(request: PortalRequest, campaign_id: UUID) -> HttpResponse:
    """Nothing is decided in it any more."""
    close_campaign(campaign_id=campaign_id, by=request.user.person, actor=actor_of(request))
    messages.success(request, "The review is closed. Take the removals to do as a table.")
    return redirect("operations_review", campaign_id)


@overseer_required
@require_http_methods(["POST"])
def export_removals(request: PortalRequest, campaign_id: UUID) -> HttpResponse:
    """The removals to do, as CSV."""
    found = campaign_or_missing(campaign_id)
    spend(request.user.person, Act.EXPORT)
    record_alone(
        "review.exported",
        actor=actor_of(request),
        fields={
            "campaign_id": found.pk,
            "campaign": found.name,
            "removals": found.entries.filter(verdict=Verdict.REMOVE).count(),
        },
    )
    table = "".join(lines(found, removals(found)))
    answer = HttpResponse(table, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="access-review-{found.pk}.csv"'
    return answer
