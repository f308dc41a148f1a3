"""What a message says: the facts of its occasion, read when it is sent, in the recipient's language and time zone.

Every value is inert text. Words of people are read from the rows that keep them, so that what was erased isn't told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from django.urls import reverse

from base.clock import business_now
from identity.absences.models import Absence
from notifications import inert
from notifications.composing import quoted
from notifications.kinds import ASKING, Kind
from notifications.languages import Language
from notifications.models import Message
from notifications.occasions import Facts, occasion_of
from policy.delegation import rights
from requests_app.deliberation.models import Remark
from requests_app.lifecycle import DecisionStatus, GrantStatus, ItemStatus
from requests_app.models import Decision, Grant, RequestItem, Revocation
from requests_app.rows import part_of_request
from requests_app.shortening import time_given
from requests_app.waivers.models import OwedReview, Waiver


def facts_of(message: Message, language: Language, zone: ZoneInfo) -> Facts:
    """Values for the texts of the message's kind; missing ones are ""."""
    if occasion := occasion_of(Kind(message.kind)):
        return occasion.facts(message, language, zone)
    facts: Facts = {}
    if message.item is not None:
        facts |= _of_item(message.item, language, zone)
    if message.grant is not None:
        facts |= _of_grant(message, message.grant, language, zone)
    more = _MORE.get(Kind(message.kind))
    return facts | (more(message, language, zone) if more else {})


def path_of(message: Message) -> str:
    """The page that the message's link leads to, after sign-in."""
    if occasion := occasion_of(Kind(message.kind)):
        return occasion.path(message)
    if (
        message.kind in (Kind.DECIDE, Kind.REMIND, Kind.NOT_COUNTED, Kind.ANSWERED)
        and message.item is not None
    ):
        return reverse("decision", args=[message.item.pk])
    if message.kind in (Kind.REVIEW_OWED, Kind.REVIEW_LATE):
        return reverse("emergency_review", args=[message.facts["review"]])
    if message.kind in (Kind.STANDS_IN, Kind.SAID_AWAY):
        return reverse("absence")
    if message.item is not None:
        return part_of_request("request", message.item)
    if message.grant is not None:
        begun = message.grant.intervals.select_related("item__request").order_by("starts_at").first()
        named = begun and part_of_request("request", begun.item)
        return named or reverse("request", args=[message.grant.first_request_id])
    return reverse("home")


def no_longer_needed(message: Message) -> str:
    """A sentence when the occasion is over and telling would mislead, else ""."""
    if occasion := occasion_of(Kind(message.kind)):
        return occasion.over(message)
    item, grant = message.item, message.grant
    match message.kind:
        case Kind.DECIDE | Kind.REMIND | Kind.ADVANCED if item is not None:
            if item.status != ItemStatus.PENDING or str(item.stage) != message.facts.get("stage"):
                return "There was nothing to decide any more at this stage."
            if item.lapses_at <= business_now():
                return "The time to decide was over."
        case Kind.HANDLED:
            told = Message.objects.filter(
                item=item, recipient=message.recipient, kind__in=ASKING, state=Message.State.SENT
            )
            return "" if told.exists() else "Nobody had been told that there was something to decide."
        case Kind.ASKED | Kind.QUESTION | Kind.ANSWERED if (
            item is not None and item.status != ItemStatus.PENDING
        ):
            return "The request was handled before."
        case Kind.REVIEW_OWED | Kind.REVIEW_LATE:
            done = OwedReview.objects.filter(pk=message.facts["review"]).exclude(verdict="").exists()
            return "Somebody had reviewed it already." if done else ""
        case Kind.USABLE | Kind.ENDING if grant is not None and grant.status != GrantStatus.ACTIVE:
            return "The access wasn't there any more."
        case Kind.STANDS_IN | Kind.SAID_AWAY:
            absence = _absence(message)
            over = absence.withdrawn_at is not None or absence.ends_at <= business_now()
            return "The absence was over or withdrawn." if over else ""
        case Kind.SIGN_IN if grant is not None:
            waits = grant.waits_for_person if message.person == grant.person else grant.waits_for_approver
            return "" if waits else "It didn't wait for this sign-in any more."
        case Kind.ENDING | Kind.FAILED | Kind.UNDONE if grant is not None:
            return _end_moved(grant, message)
    return ""


def _end_moved(grant: Grant, message: Message) -> str:
    if message.kind == Kind.ENDING:
        return "" if grant.stands_until.isoformat() == message.facts.get("ends_at") else "Its end moved."
    fell = message.facts.get("what") == "extension_not_sent"
    return "It was lengthened after all." if fell and grant.fell_back_to is None else ""


def _of_item(item: RequestItem, language: Language, zone: ZoneInfo) -> Facts:
    return {
        "who": inert.line(item.requester.display_name),
        "group": inert.line(item.group.display_name),
        "duration": language.span(item.duration),
        "start": language.moment(item.wanted_start, zone) if item.wanted_start else "",
        "lapses": language.moment(item.lapses_at, zone),
        "justification": quoted(item.request.justification),
        "reference": inert.line(item.request.reference),
        "outcome": item.status,
    }


def _of_grant(message: Message, grant: Grant, language: Language, zone: ZoneInfo) -> Facts:
    told = message.facts.get("ends_at")
    ends_at = datetime.fromisoformat(told) if told else grant.ends_at
    return {
        "who": inert.line(grant.person.display_name),
        "group": inert.line(grant.group.display_name),
        "starts": language.moment(grant.starts_at, zone),
        "ends": language.moment(ends_at, zone),
    }


def _decided(message: Message, language: Language, _zone: ZoneInfo) -> Facts:
    """Who decided, and what they said to it."""
    if message.item is None:
        return {}
    counted = message.item.decisions.filter(status=DecisionStatus.COUNTED).select_related("approver")
    rows = list(counted.order_by("settled_at", "pk"))
    comments = "\n".join(f"{row.approver.display_name}: {row.comment}" for row in rows if row.comment)
    return {
        "duration": language.span(time_given(message.item, rows)),
        "by": inert.line(", ".join(row.approver.display_name for row in rows)),
        "comments": quoted(comments) if message.kind != Kind.HANDLED else "",
        "reason": quoted(message.item.close_reason),
    }


def _asked(message: Message, _language: Language, _zone: ZoneInfo) -> Facts:
    told, total = message.facts.get("told", ""), message.facts.get("total", "")
    several = {"told": told, "total": total} if told != total else {}
    return {**several, "instead_of": inert.line(_instead_of(message))}


def _instead_of(message: Message) -> str:
    """In whose right the recipient would decide, where not in their own; two queries, and more for who stands in."""
    item, person = message.item, message.person
    if item is None or person is None:
        return ""
    found = rights(person, item.terms.parsed, [item.stage], item.requester, at=business_now())
    return found[0].person.display_name if found and found[0] else ""


def _remark(message: Message, _language: Language, _zone: ZoneInfo) -> Facts:
    remark = Remark.objects.filter(pk=message.facts["remark"]).select_related("author").first()
    if remark is None:
        return {}
    return {"by": inert.line(remark.author.display_name), "comments": quoted(remark.words)}


def _not_counted(message: Message, _language: Language, _zone: ZoneInfo) -> Facts:
    decision = Decision.objects.filter(pk=message.facts["decision"]).first()
    return {
        "reason": quoted(decision.reason if decision else ""),
        "verdict": decision.verdict if decision else "",
    }


def _revoked(message: Message, _language: Language, _zone: ZoneInfo) -> Facts:
    found = Revocation.objects.filter(grant=message.grant).select_related("by").first()
    if found is None:
        return {"elsewhere": "yes"}
    return {
        "by": inert.line(found.by.display_name if found.by else ""),
        "reason": quoted(found.reason),
        "how": found.kind,
    }


def _failed(message: Message, _language: Language, _zone: ZoneInfo) -> Facts:
    grant, what = message.grant, message.facts.get("what", "")
    problem = ""
    if grant is not None:
        problem = grant.extension_problem if what == "extension_not_sent" else grant.problem
    return {"reason": quoted(problem), "what": what}


def _emergency(message: Message, language: Language, zone: ZoneInfo) -> Facts:
    """Why it couldn't wait, why it was not let through, and until when which review is owed."""
    found: Facts = {"drill": message.facts.get("drill", "")}
    waiver = Waiver.objects.filter(item=message.item).first()
    if waiver is not None:
        found |= {"comments": quoted(waiver.why), "reason": quoted(waiver.reason)}
    if key := message.facts.get("review"):
        review = OwedReview.objects.get(pk=key)
        found |= {
            "due": language.moment(review.due_at, zone),
            "blocks": "" if review.drill else language.moment(review.blocks_at, zone),
        }
    return found


def _absence(message: Message) -> Absence:
    rows = Absence.objects.select_related("person", "delegate", "declared_by")
    return rows.get(pk=message.facts["absence"])


def _away(message: Message, language: Language, zone: ZoneInfo) -> Facts:
    absence = _absence(message)
    return {
        "who": inert.line(absence.person.display_name),
        "by": inert.line(absence.declared_by.display_name),
        "delegate": inert.line(absence.delegate.display_name if absence.delegate else ""),
        "starts": language.moment(absence.begins_at, zone),
        "ends": language.moment(absence.ends_at, zone),
    }


def _ended(message: Message, language: Language, zone: ZoneInfo) -> Facts:
    last = message.facts.get("last_possible_use_at")
    return {"last_use": language.moment(datetime.fromisoformat(last), zone) if last else ""}


_MORE: dict[Kind, Callable[[Message, Language, ZoneInfo], Facts]] = {
    Kind.DECIDE: _asked,
    Kind.REMIND: _asked,
    Kind.HANDLED: _decided,
    Kind.ADVANCED: _decided,
    Kind.APPROVED: _decided,
    Kind.DENIED: _decided,
    Kind.CLOSED: _decided,
    Kind.NOT_COUNTED: _not_counted,
    Kind.QUESTION: _remark,
    Kind.ANSWERED: _remark,
    Kind.REVOKED: _revoked,
    Kind.FAILED: _failed,
    Kind.UNDONE: _failed,
    Kind.SIGN_IN: _failed,
    Kind.ENDED: _ended,
    Kind.STANDS_IN: _away,
    Kind.SAID_AWAY: _away,
    **dict.fromkeys((Kind.EMERGENCY, Kind.REVIEW_OWED, Kind.REVIEW_LATE, Kind.NOT_LET_THROUGH), _emergency),
}
