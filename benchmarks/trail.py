"""The auditor's pages in a loaded world: any search, any depth, any minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from audit.ledger.models import Event
from audit.ledger.reading import Position
from benchmarks.bulk import EVERYWHERE, group_id, person_id
from benchmarks.loading import COMMON_WORDS, RARE_WORD, SPAN, World
from benchmarks.setting import acting_as
from benchmarks.visiting import Place, Visit, signed_in
from identity.models import AppRole, Person
from requests_app.models import AccessRequest
from tests.support.servers import PostgresServer

DEPTHS = tuple(number / 20 for number in range(1, 20))  # of the trail, from its newest event to its oldest


def place_of(server: PostgresServer, world: World) -> Place:
    """An auditor's browser."""
    with acting_as(server, world.name, "web"):
        return Place(
            server, world.name, signed_in(Person.objects.get(object_id=person_id(2)), AppRole.AUDITOR)
        )


def visits(place: Place, world: World) -> Mapping[str, Visit]:
    """The same kinds of page for any world, with addresses of its own."""
    size = world.size
    with acting_as(place.server, place.database, "web"):
        deep = [_position(depth) for depth in DEPTHS]
        cases = list(AccessRequest.objects.filter(grants__status="ended").values_list("pk", flat=True)[:10])
    now = datetime.now(UTC)
    month = {
        "since": f"{now - SPAN / 2 - timedelta(days=30):%Y-%m-%d}",
        "until": f"{now - SPAN / 2:%Y-%m-%d}",
    }
    people = [person_id(number) for number in range(1, min(size.people, size.requests) - 1, 7)][:40]
    accounts = [f"{100_000_000_001 + number}" for number in range(1, min(size.groups - 1, size.requests), 9)][
        :40
    ]
    rare_group, rare_person = group_id(size.groups - 1), person_id(size.people - 1)
    searches: dict[str, Sequence[Mapping[str, str]]] = {
        "newest page": [{}],
        "page at any depth": [{"before": at} for at in deep],
        "a month in the middle": [month],
        "common words": [{"words": COMMON_WORDS}],
        "common words at any depth": [{"words": COMMON_WORDS, "before": at} for at in deep],
        "common words in a month in the middle": [{"words": COMMON_WORDS, **month}],
        "a word of one request in a thousand": [{"words": f"service {number}"} for number in range(200, 240)],
        "a rare word": [{"words": RARE_WORD}],
        "a reference": [{"words": f"CHG-{number:07}"} for number in range(30, min(size.requests, 900), 20)],
        "common words and a person": [{"words": COMMON_WORDS, "person": person} for person in people],
        "common words and an account": [{"words": COMMON_WORDS, "account": account} for account in accounts],
        "common words and an action without words": [{"words": COMMON_WORDS, "action": "grant.ended"}],
        "a rare word and who decides on everything": [{"words": RARE_WORD, "person": world.boss.object_id}],
        "a person": [{"person": person} for person in people],
        "a person of few events": [{"person": rare_person}],
        "who decides on everything": [{"person": world.boss.object_id}],
        "who decides on everything, at any depth": [{"person": world.boss.object_id, "before": at} for at in deep],
        "an account": [{"account": account} for account in accounts],
        "an account at any depth": [{"account": accounts[0], "before": at} for at in deep],
        "an account and an action": [{"account": account, "action": "grant.ended"} for account in accounts],
        "a permission set in every request": [{"permission_set": EVERYWHERE}],
        "a permission set in every request, at any depth": [{"permission_set": EVERYWHERE, "before": at} for at in deep],
        "a group of few requests": [{"group": rare_group}],
        "a group": [{"group": group_id(number)} for number in range(1, 40)],
        "an action": [{"action": action} for action in ("item.lapsed", "grant.ended", "item.denied")],
        "an action at any depth": [{"action": "item.lapsed", "before": at} for at in deep],
        "an action of a person's": [{"action": "item.lapsed", "person": person} for person in people],
        "failures": [{"outcome": "failed"}],
        "failures among an action that has none": [{"outcome": "failed", "action": "grant.ended"}],
    }  # fmt: skip
    found = {
        name: Visit([f"/audit/?{urlencode(each)}" for each in these]) for name, these in searches.items()
    }
    minutes = [now - depth * SPAN - timedelta(days=2) for depth in DEPTHS]
    spans = [
        (at, at + timedelta(days=days)) for at, days in zip(minutes, (1, 30) * len(minutes), strict=False)
    ]
    others = {
        "access at any minute": [f"/audit/as-of/?{_at(at=at)}" for at in minutes],
        "access now": ["/audit/as-of/"],
        "access of a person at a minute": [
            f"/audit/as-of/?{_at(at=at)}&person={person}" for at, person in zip(minutes, people * 20, strict=False)
        ],
        "access to an account at a minute": [
            f"/audit/as-of/?{_at(at=at)}&account={account}" for at, account in zip(minutes, accounts * 20, strict=False)
        ],
        "changes between two minutes": [f"/audit/changes/?{_at(since=one, until=two)}" for one, two in spans],
        "a case": [f"/audit/requests/{case}/" for case in cases],
        "controls of a month": ["/audit/controls/"],
        "controls of a year": [f"/audit/controls/?since={now - timedelta(days=365):%Y-%m-%d}"],
    }  # fmt: skip
    return found | {name: Visit(addresses) for name, addresses in others.items()}


def _at(**moments: datetime) -> str:
    return urlencode({name: f"{moment:%Y-%m-%dT%H:%M}" for name, moment in moments.items()})


def _position(depth: float) -> str:
    """Where a page begins that lies so deep: as the address of an older page says it."""
    newest = datetime.now(UTC) - timedelta(hours=30)
    row = Event.objects.filter(at__lt=newest - depth * SPAN).order_by("-at", "-id").values("at", "id")[0]
    return str(Position(row["at"], row["id"]))
