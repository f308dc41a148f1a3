"""Who is told of a change of the rules: other operators that it waits for one of them, and its proposer what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from django.urls import reverse

from audit.ledger.models import Event
from identity.models import Person
from notifications import inert
from notifications.composing import quoted
from notifications.kinds import Kind
from notifications.languages import Language
from notifications.models import Message
from notifications.occasions import Facts, Occasion, register
from notifications.planning import message
from oversight.rules.models import RuleChange
from oversight.rules.seconds import seconds

Status = RuleChange.Status


def _proposed(event: Event) -> Iterator[Message]:
    change = _change(_fields(event)["change_id"])
    if change.status == Status.PROPOSED:
        for person in seconds(change):
            yield _message(Kind.RULES_PROPOSED, person, event)


def _rejected(event: Event) -> Iterator[Message]:
    change = _change(_fields(event)["change_id"])
    if change.proposed_by is not None:
        yield _message(Kind.RULES_SETTLED, change.proposed_by, event)


def _applied(event: Event) -> Iterator[Message]:
    """A worker has put it in force, or couldn't: whoever accepted it would believe otherwise too."""
    change = _change(_fields(event)["change_id"])
    people = [change.proposed_by]
    if change.status == Status.STALE and change.decided_by_id != change.proposed_by_id:
        people.append(change.decided_by)
    for person in people:
        if person is not None:
            yield _message(Kind.RULES_SETTLED, person, event)


def _message(kind: Kind, person: Person, event: Event) -> Message:
    fields = _fields(event)
    return message(
        kind,
        person,
        occasion=f"event:{event.id}",
        change=str(fields["change_id"]),
        rules=str(fields["rules"]),
    )


def _fields(event: Event) -> dict[str, object]:
    found: dict[str, object] = event.data["fields"]
    return found


def _change(key: object) -> RuleChange:
    return RuleChange.objects.select_related("proposed_by", "decided_by").get(pk=str(key))


def _facts(told: Message, _language: Language, _zone: ZoneInfo) -> Facts:
    change = _change(told.facts["change"])
    refused = change.status == Status.REJECTED
    return {
        "who": inert.line(change.proposed_by.display_name if change.proposed_by else ""),
        "by": inert.line(change.decided_by.display_name if change.decided_by else ""),
        "what": inert.line(told.facts["rules"]),
        "outcome": change.status,
        "justification": quoted(change.reason),
        "reason": quoted(change.decision_reason if refused else change.problem),
    }


def _path(told: Message) -> str:
    return reverse("operations_rule_change", args=[told.facts["change"]])


def _over(told: Message) -> str:
    if told.kind == Kind.RULES_PROPOSED and _change(told.facts["change"]).status != Status.PROPOSED:
        return "The change of the rules was decided on before."
    return ""


def register_all() -> None:
    """Called once, when the application starts, after the events are declared."""
    told = Occasion(_facts, _path, _over)
    register(
        {
            "rules.proposed": _proposed,
            "rules.rejected": _rejected,
            "rules.applied": _applied,
            "rules.not_applied": _applied,
        },
        {Kind.RULES_PROPOSED: told, Kind.RULES_SETTLED: told},
    )
