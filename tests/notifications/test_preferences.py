"""How one is told: the page where it is chosen, and what comes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest

from audit.ledger.models import Event
from base.clock import business_now, real_now
from clients.errors import Unreachable
from identity.models import Person
from notifications import sending
from notifications.events import PREFERENCE
from notifications.kinds import MANNERS, Kind
from notifications.languages import ENGLISH, GERMAN
from notifications.models import Digest, Message, Preference
from notifications.planning import message
from notifications.tastes import Taste, time_zones
from notifications.telling import tell
from requests_app.models import RequestItem
from tests.notifications.conftest import Post
from tests.pages.conftest import World, main_of
from tests.pages.moving import decide
from tests.support.by_hand import known

pytestmark = pytest.mark.django_db


def prefers(world: World, person: Person, **values: object) -> None:
    defaults = {"language": "en", "time_zone": "UTC", "changed_at": real_now(), **values}
    with world.as_role("portal_web"):
        row, _ = Preference.objects.update_or_create(person=person, defaults=defaults)
    known(PREFERENCE, [row])


# ------------------------------------------------------------ the page


def test_a_person_chooses_and_the_trail_says_so(world: World) -> None:
    ada = world.sign_in(world.ada)
    told = [kind for kind, manner in MANNERS.items() if manner.may_be_off and kind != Kind.ASKED]
    form = {"language": "de", "time_zone": "Europe/Berlin", "digest": "daily"}
    with world.as_role("portal_web"):
        answer = ada.client.post("/preferences/", form | {"tell": told})
    assert answer.status_code == 302
    row = Preference.objects.get(person=world.ada)
    assert (row.language, row.time_zone, row.digest, row.off) == ("de", "Europe/Berlin", "daily", ["asked"])
    assert Event.objects.filter(type="preferences.changed", actor_oid=world.ada.object_id).count() == 1
    shown = main_of(ada.get("/preferences/"))
    assert '<option value="de" selected>Deutsch</option>' in shown
    assert '<option value="Europe/Berlin" selected>' in shown
    assert "The directory has no mail address for you" in shown


def test_what_operators_alone_are_told_stands_on_their_page_alone(world: World) -> None:
    operators = {manner.name for manner in MANNERS.values() if manner.operators}
    assert len(operators) == 2
    for who, roles, told in ((world.ada, (), set()), (world.cy, ("Operator",), operators)):
        page = main_of(world.sign_in(who, *roles).get("/preferences/"))
        assert {name for name in operators if name in page} == told
        assert MANNERS[Kind.REVOKED].name in page


@pytest.mark.parametrize(
    "wrong",
    [{"language": "xx"}, {"time_zone": "Mars/Olympus"}, {"digest": "yearly"}, {"tell": "revoked"}],
    ids=lambda each: next(iter(each)),
)
def test_what_is_not_to_be_had_is_refused_and_nothing_is_kept(world: World, wrong: dict[str, str]) -> None:
    ada = world.sign_in(world.ada)
    answer = ada.post("/preferences/", **({"language": "en", "time_zone": "UTC", "digest": "never"} | wrong))
    assert answer.status_code == 422
    assert not Preference.objects.exists()


# ------------------------------------------------------------ what comes of it


def test_a_message_is_in_the_language_and_time_zone_of_its_recipient(world: World, post: Post) -> None:
    prefers(world, world.ben, language="de", time_zone="Asia/Tokyo")
    item = world.ask()
    tell()
    assert post.to(world.ben) == ["Ada Asker bittet um AWS - Amazon EC2 Admin"]
    assert post.to(world.ada) == ["You asked for AWS - Amazon EC2 Admin"]
    (asked,) = [mail for mail in post.mails if mail.to == (world.ben.mail,)]
    assert GERMAN.moment(item.lapses_at, ZoneInfo("Asia/Tokyo")) in asked.text
    assert "(Asia/Tokyo)" in asked.text


def test_what_is_switched_off_is_not_told_and_what_matters_is(world: World, post: Post) -> None:
    prefers(world, world.ada, off=["asked", "revoked"])
    world.ask()
    Message.objects.bulk_create(
        [message(Kind.REVOKED, world.ada, occasion="x", item=RequestItem.objects.get())]
    )
    tell()
    assert post.to(world.ada) == ["Revoked: AWS - Amazon EC2 Admin"]
    assert Message.objects.get(kind="asked").state == Message.State.DROPPED


def test_a_digest_tells_together_what_may_wait(world: World, post: Post) -> None:
    prefers(world, world.ben, digest=Digest.HOURLY)
    item = world.ask()
    tell()
    assert post.to(world.ben) == []
    later = business_now() + timedelta(hours=1)
    decide(item, world.ben, "approve", world.as_role)
    for number in range(2):
        row = message(Kind.HANDLED, world.ben, occasion=f"x{number}", item=item)
        Message.objects.bulk_create([row])
    with patch("notifications.sending.no_longer_needed", lambda _: ""):
        tell()
        assert post.to(world.ben) == []
        Message.objects.filter(person=world.ben).update(retry_at=real_now())
        with patch.object(sending, "business_now", lambda: later):
            tell()
    assert post.to(world.ben) == ["3 messages"]
    digest = post.mails[-1]
    assert digest.text.count("/requests/") == 2
    assert digest.text.count("/approvals/") == 1
    assert set(Message.objects.filter(person=world.ben).values_list("state", flat=True)) == {"sent"}


def test_a_digest_that_is_not_taken_is_owed_as_a_whole(world: World, post: Post) -> None:
    prefers(world, world.ben, digest=Digest.DAILY)
    item = world.ask()
    Message.objects.bulk_create(
        [message(Kind.HANDLED, world.ben, occasion=f"x{number}", item=item) for number in range(3)]
    )
    Message.objects.filter(kind="handled").update(digest_at=business_now() - timedelta(minutes=1))
    post.failing = Unreachable("The mail server is away.", code="away")
    with patch("notifications.sending.no_longer_needed", lambda _: ""):
        tell()
        assert set(Message.objects.filter(kind="handled").values_list("state", "attempts")) == {("owed", 1)}
        post.failing = None
        Message.objects.filter(kind="handled").update(retry_at=real_now())
        tell()
    assert post.to(world.ben) == ["3 messages"]


def test_what_would_lapse_before_the_digest_is_told_at_once(world: World, post: Post) -> None:
    prefers(world, world.ben, digest=Digest.DAILY)
    item = world.ask()
    with patch.object(Taste, "waits_until", lambda *_: item.lapses_at):
        tell()
    assert len(post.to(world.ben)) == 1


@pytest.mark.parametrize(
    ("digest", "zone", "now", "then"),
    [
        (Digest.HOURLY, "UTC", "2026-03-02T09:20", "2026-03-02T10:00"),
        (Digest.DAILY, "Europe/Berlin", "2026-03-02T06:59", "2026-03-02T07:00"),
        (Digest.DAILY, "Europe/Berlin", "2026-03-02T07:00", "2026-03-03T07:00"),
        (
            Digest.DAILY,
            "Europe/Berlin",
            "2026-03-28T12:00",
            "2026-03-29T06:00",
        ),  # clocks go forward in between
        (Digest.DAILY, "America/New_York", "2026-03-02T01:00", "2026-03-02T13:00"),
    ],
)
def test_when_a_digest_comes(digest: Digest, zone: str, now: str, then: str) -> None:
    taste = Taste(ENGLISH, ZoneInfo(zone), digest)
    assert taste.waits_until(Kind.HANDLED, at(now)) == at(then)
    assert taste.waits_until(Kind.REVOKED, at(now)) is None


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_time_zones_are_there_to_choose_from() -> None:
    assert {"UTC", "Europe/Berlin", "America/New_York"} <= set(time_zones())
