"""Lives of requests, each played once through the product's own doors on the simulated clock, to be copied.

A copy is the same rows and events with other ids, people, groups and times. Where those stand in an event's text, the
text becomes a form for Postgres's `format`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from audit.ledger.canonical import commitment
from audit.ledger.models import Event, PersonalWords, Version
from identity.models import Person
from policy.models import Terms
from requests_app.actions.sweeping import lapse_unanswered
from requests_app.models import Decision, Grant, GrantInterval, RequestItem, RequestScope
from tests.support.servers import as_role
from tests.support.stage import Stage, stage

SALT = b"benchmark's salt"
# What differs from copy to copy, in the order of `format`'s arguments. `about_them` and `why` are commitments.
ARGUMENTS = (
    "at",
    "oid",
    "about_them",
    "why",
    "reference",
    "group_oid",
    "group_name",
    "request",
    "item",
    "decision",
    "grant",
)


@dataclass(frozen=True, slots=True)
class Told:
    """One event of a life: its text as a form, how long after the ask, and what stands beside it."""

    form: str
    after: timedelta
    subject: (
        tuple[str, str, int] | None
    )  # its kind, which of ARGUMENTS it is, and the version that it came to
    words: Mapping[str, str | None]  # by field; None: the requester's name, "": their justification


@dataclass(frozen=True, slots=True)
class Life:
    """The rows and events of one request that was played."""

    began: datetime
    rows: Mapping[str, Sequence[UUID | int]]  # by table
    told: Sequence[Told]


@dataclass(frozen=True, slots=True)
class Played:
    """Every kind of life, the one who decides on all of them, and the terms that all are held to."""

    boss: Person
    terms: Terms
    lives: Mapping[str, Life]


def play() -> Played:
    """Play one life of each kind in the database that is pointed at (`on_a_stage`), half a minute of steps."""
    with stage(as_role) as scene:
        items = {"ended": scene.ask()}
        scene.decide(items["ended"])
        scene.play_out()
        items["denied"] = scene.ask()
        scene.decide(items["denied"], "deny")
        scene.work()
        items["lapsed"] = scene.ask()
        scene.step(timedelta(days=1, seconds=1))
        lapse_unanswered()
        items["active"] = scene.ask()
        scene.decide(items["active"])
        scene.play_to("active")
        items["pending"] = scene.ask()
        lives = {name: _life(scene, item) for name, item in items.items()}
        return Played(scene.boss, items["ended"].terms, lives)


def _life(scene: Stage, item: RequestItem) -> Life:
    decisions = list(Decision.objects.filter(item=item).values_list("pk", flat=True))
    grants = list(Grant.objects.filter(first_request=item.request_id).values_list("pk", flat=True))
    marks = {
        scene.asker.object_id: "oid",
        scene.group.object_id: "group_oid",
        scene.group.display_name: "group_name",
        str(item.request_id): "request",
        str(item.pk): "item",
        **{str(key): "decision" for key in decisions},
        **{str(key): "grant" for key in grants},
    }
    events = Event.objects.filter(request_id=item.request_id) | Event.objects.filter(grant_id__in=grants)
    return Life(
        item.created_at,
        {
            "requests_app_accessrequest": [item.request_id],
            "requests_app_requestitem": [item.pk],
            "requests_app_requestscope": _keys(RequestScope.objects.filter(item=item)),
            "requests_app_decision": decisions,
            "requests_app_grant": grants,
            "requests_app_grantinterval": _keys(GrantInterval.objects.filter(item=item)),
        },
        [_told(scene, item, event, marks) for event in events.order_by("id")],
    )


def _keys(rows: object) -> list[int]:
    return list(rows.values_list("pk", flat=True))  # type: ignore[attr-defined]  # any of our querysets


def _told(scene: Stage, item: RequestItem, event: Event, marks: Mapping[str, str]) -> Told:
    version = Version.objects.filter(event_id=event.pk).first()
    text = event.canon.replace("%", "%%")
    words: dict[str, str | None] = {}
    for kept in PersonalWords.objects.filter(event_id=event.pk):
        promised = commitment(bytes(kept.salt), kept.words)
        if kept.words == scene.asker.display_name:
            words[kept.field], now = None, _argument("about_them")
        elif kept.field == "justification":
            words[kept.field], now = "", _argument("why")
        else:
            words[kept.field], now = kept.words, commitment(SALT, kept.words)
        text = text.replace(promised, now)
    business_at = event.data["business_at"]
    text = text.replace(f'"business_at":"{business_at}"', f'"business_at":"{_argument("at")}"')
    text = text.replace('"reference":""', f'"reference":"{_argument("reference")}"')
    for value, name in marks.items():
        text = text.replace(value, _argument(name))
    subject = None
    if version is not None:
        subject = version.subject_kind, marks[str(version.subject_id)], version.version
    return Told(text, max(event.business_at - item.created_at, timedelta(0)), subject, words)


def _argument(name: str) -> str:
    return f"%{ARGUMENTS.index(name) + 1}$s"
