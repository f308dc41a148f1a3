"""The pages of whoever asks and whoever decides, in a world of a million requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from base.clock import business_now, real_now
from benchmarks.bulk import person_id
from benchmarks.loading import World
from benchmarks.setting import acting_as
from benchmarks.visiting import Place, Visit, signed_in
from catalog.models import DeciderRefresh, Eligibility, PersonRefresh
from identity.models import Person
from requests_app.lifecycle import ItemStatus
from requests_app.models import RequestItem
from tests.support.servers import PostgresServer


def places_of(server: PostgresServer, world: World) -> tuple[Place, Place]:
    """The browsers of somebody who asks and of the one who decides. What they may do was read just now."""
    with acting_as(server, world.name, "worker"):
        asker = Person.objects.get(object_id=person_id(0))
        tomorrow = timedelta(days=1)  # no page rings for fresh data, which would need a broker
        PersonRefresh.objects.bulk_create(
            [PersonRefresh(person=each, read_at=business_now() + tomorrow) for each in (asker, world.boss)],
            ignore_conflicts=True,
        )
    with acting_as(server, world.name, "web"):
        DeciderRefresh.objects.bulk_create(
            [DeciderRefresh(object_id=world.boss.object_id, asked_at=real_now() + tomorrow, owed=False)],
            ignore_conflicts=True,
        )
        return Place(server, world.name, signed_in(asker)), Place(server, world.name, signed_in(world.boss))


def asking(place: Place) -> Mapping[str, Visit]:
    """Pages of somebody who asks: eligible for forty groups, and with a history like everybody's."""
    with acting_as(place.server, place.database, "web"):
        own = RequestItem.objects.filter(requester__object_id=person_id(0)).order_by("-created_at")
        requests = [f"/requests/{key}/" for key in own.values_list("request_id", flat=True)[:20]]
        eligible = Eligibility.objects.filter(person__object_id=person_id(0)).order_by("group__display_name")
        groups = list(eligible.values_list("group__object_id", flat=True)[:20])
    return {
        "home of somebody who asks": Visit(["/"], "AWS - Group 0"),
        "catalogue": Visit(["/access/"], "AWS - Group 00001"),
        "search of the catalogue": Visit(["/access/?q=account"], "AWS - Group 00001"),
        "page of a group": Visit([f"/access/{key}/" for key in groups], "account-"),
        "request form": Visit([f"/access/{key}/request/" for key in groups], "AWS - Group 0"),
        "own requests": Visit(["/requests/"], "AWS - Group 0"),
        "page of a request": Visit(requests, "AWS - Group 0"),
    }


def deciding(place: Place) -> Mapping[str, Visit]:
    """Pages of somebody who decides on everything: whatever is pending waits for them."""
    with acting_as(place.server, place.database, "web"):
        pending = RequestItem.objects.filter(
            status=ItemStatus.PENDING, requester__object_id__startswith="aaaaaaaa"
        )
        waiting = list(pending.order_by("created_at").values_list("pk", flat=True))
    decisions = [f"/approvals/{key}/" for key in waiting[:: max(1, len(waiting) // 20)][:20]]
    return {
        "home of who decides": Visit(["/"], "AWS - Group 0"),
        "inbox": Visit(["/approvals/"], "AWS - Group 0"),
        "decision page": Visit(decisions, "AWS - Group 0"),
    }
