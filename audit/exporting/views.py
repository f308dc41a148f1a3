"""Taking copies of the audit trail. Each is a POST, because each leaves an entry in it. And watching one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import FileResponse, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from audit.exporting.evidence import MOST_BYTES, MOST_EVENTS, Pack, make_pack
from audit.exporting.rules import MOST as MOST_WORDINGS
from audit.exporting.rules import rule_events
from audit.exporting.running import KEEP, cancel
from audit.exporting.streaming import FORMS, stream
from audit.exporting.watching import MOST_LISTED, search_words, watched_exports
from audit.history.activity import activity_file
from audit.history.case import case
from audit.history.forms import MINUTE, TimelineForm
from audit.history.searching import event_filter
from audit.ledger import reading
from audit.ledger.reading import Entry, EventFilter
from audit.ledger.recorder import record_alone
from base.clock import business_now
from base.errors import Invalid
from identity.actors import actor_of
from identity.http import PortalRequest, auditor_required, not_activity
from identity.limiting import Act, spend
from requests_app.activity.viewing import note_view

EVIDENCE = "evidence"


@auditor_required
@require_POST
def export(request: PortalRequest) -> HttpResponseBase:
    """What the timeline's filter finds, as a file; a refusal is the timeline with the reason on its form."""
    form = TimelineForm(request.POST)
    chosen = request.POST.get("form", "")
    kept = {name: value for name in form.fields if (value := request.POST.get(name, ""))}
    if form.is_valid():
        try:
            return _export(request, form, chosen, urlencode(kept))
        except Invalid as error:
            form.add_error(error.field or None, error.sentence)
    context = {"form": form, "filtered": True, "kept": kept, "refused": "Nothing was exported"}
    return render(request, "audit/timeline.html", context, status=422)


def _export(request: PortalRequest, form: TimelineForm, chosen: str, query: str) -> HttpResponseBase:
    spend(request.user.person, Act.EXPORT)
    wanted = event_filter(form.cleaned_data)
    if chosen == EVIDENCE:
        events = for_a_pack(wanted)
        return _send(request, events, "Events of the audit trail", query, about=[_search(query)])
    if chosen not in FORMS:
        kinds = ", ".join(form.label for form in FORMS.values())
        raise Invalid("export.form", f"Choose {kinds} or an evidence pack.")
    answer = StreamingHttpResponse(
        stream(chosen, wanted, query=query, actor=actor_of(request)), content_type=FORMS[chosen].content_type
    )
    answer["Content-Disposition"] = f'attachment; filename="{_name()}.{FORMS[chosen].suffix}"'
    return answer


@auditor_required
@require_http_methods(["GET", "HEAD"])
def exports(request: PortalRequest) -> HttpResponse:
    """One's own exports: how far they are, and how the latest ended."""
    shown = watched_exports(request.user.person.object_id)
    return render(
        request, "audit/exports.html", {"exports": shown, "days": KEEP.days, "most_listed": MOST_LISTED}
    )


@not_activity
@auditor_required
@require_http_methods(["GET", "HEAD"])
def exports_live(request: PortalRequest) -> HttpResponse:
    """The part that changes by itself, or 204 while the browser shows it already."""
    shown = watched_exports(request.user.person.object_id)
    if request.GET.get("seen") == shown.seen:
        return HttpResponse(status=204)
    return render(request, "audit/_exports.html", {"exports": shown})


@auditor_required
@require_POST
def cancel_export(request: PortalRequest, export_id: UUID) -> HttpResponse:
    """Have one's own export end."""
    cancel(export_id=export_id, owner_oid=request.user.person.object_id)
    messages.success(
        request, "The export is being cancelled. The browser will say that its file is not whole."
    )
    return redirect("audit_exports")


@auditor_required
@require_POST
def case_evidence(request: PortalRequest, request_id: UUID) -> HttpResponseBase:
    """One request's events as an evidence pack."""
    spend(request.user.person, Act.EXPORT)
    found = case(request_id)
    entries = [row.entry for row in found.rows]
    activity = activity_file(request_id)
    if activity and found.request:
        note_view(found.request, viewer=request.user.person, actor=actor_of(request))
    beside = {"activity.json": activity} if activity else {}
    about = [f"The events of request {request_id} and of the access that followed it."]
    if found.cut:
        about.append(f"Only the newest {len(entries):,} of them: older ones are left out, if there are any.")
    return _send(
        request,
        entries,
        found.title,
        urlencode({"request": request_id}),
        request_id=request_id,
        beside=beside,
        about=about,
    )


def for_a_pack(wanted: EventFilter) -> Sequence[Entry]:
    """All events that match. Raises Invalid where they are too many or too long, or common words too many to look all up."""
    try:
        page = reading.events(wanted, limit=MOST_EVENTS, most_bytes=MOST_BYTES)
    except Invalid as error:
        newest = reading.newest_tried(wanted, most_bytes=MOST_BYTES) if error.code == "audit.too_slow" else ()
        if not newest:
            raise
        raise Invalid("export.too_many", too_many_words(newest)) from error
    if page.older:
        too_long = len(page.entries) < MOST_EVENTS
        raise Invalid("export.too_many", too_many_words(page.entries, too_long=too_long))
    return page.entries


def too_many_words(newest: Sequence[Entry], *, too_long: bool = False) -> str:
    """Why these, the newest of what was found, are no pack, and where to part them from the older ones."""
    most = f"{MOST_BYTES // 1_000_000:,} MB of events" if too_long else f"{MOST_EVENTS:,} events"
    moments = [entry.event.business_at for entry in newest]
    last, first = max(moments), min(moments).replace(second=0, microsecond=0)
    sentence = f"An evidence pack holds at most {most}, and more fit."
    if last < first + MINUTE:
        return f"{sentence} Name a person or a shorter time."
    return (
        f"{sentence} Name a person, or take it in parts: the newest from {first + MINUTE:%Y-%m-%d %H:%M} on, and what is "
        f"older to {first:%Y-%m-%d %H:%M}."
    )


def _search(query: str) -> str:
    """Which events a pack of a search holds, in a sentence."""
    words = "; ".join(f"{label}: {value}" for label, value in search_words(query))
    return f"What a search of the audit trail found when this was made: {words or 'every event'}."


def _send(
    request: PortalRequest,
    entries: Sequence[Entry],
    title: str,
    query: str,
    *,
    about: Sequence[str],
    request_id: UUID | None = None,
    beside: Mapping[str, bytes] = MappingProxyType({}),
) -> HttpResponse | FileResponse:
    wordings = rule_events(entries)
    if len(wordings) >= MOST_WORDINGS:
        about = [
            *about,
            f"Of the wordings of rules only the newest {MOST_WORDINGS:,}: older ones are left out, if there are any.",
        ]
    pack: Pack = make_pack(entries, title=title, about=about, beside=beside, also=wordings)
    record_alone(
        "export.packed",
        actor=actor_of(request),
        fields={"export_id": uuid4(), "events": pack.events, "sha256": pack.sha256},
        words={"filter": query} if query else {},
        request_id=request_id,
    )
    return FileResponse(
        pack.file, as_attachment=True, filename=f"{_name()}.zip", content_type="application/zip"
    )


def _name() -> str:
    return f"access-portal-audit-{business_now():%Y%m%d-%H%M%S}"
