"""What was done is read to the end, counted once, and told with what couldn't be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.test import override_settings

from clients.errors import QueryFailed, Refused, StillRunning
from clients.registry import clients
from clients.types import Reading, TrailPage, TrailQuestion
from identity.models import Person
from requests_app.activity.fetching import PATIENCE, owed, read_activity, read_owed
from requests_app.activity.models import ActivityLook, ActivityPlace, ActivityUse
from requests_app.activity.planning import plan
from requests_app.activity.reading import activity_of, last_uses
from requests_app.models import Grant
from tests.requests_app.conftest import AsRole
from tests.requests_app.cutting.scene import Scene, scene
from tests.support.stage import Died

pytestmark = pytest.mark.usefixtures("committed_db")
REGIONS = ["eu-west-1", "us-east-1"]


@pytest.fixture
def here(as_role: AsRole) -> Iterator[Scene]:
    with (
        scene(as_role, SESSION_SEVERING="off") as found,
        override_settings(ACTIVITY="on", ACTIVITY_REGIONS=REGIONS),
    ):
        found.play.world.switches.trail_delay_seconds = 0.0
        yield found


def read(scene: Scene) -> ActivityLook:
    """Plan, and read everything that is owed now."""
    scene.play.world.advance()
    plan()
    while read_owed():
        pass
    return ActivityLook.objects.get()


def read_later(scene: Scene, *, minutes: float = 61) -> ActivityLook:
    scene.play.step(timedelta(minutes=minutes))
    return read(scene)


def used() -> dict[tuple[str, str], tuple[int, int, int]]:
    """By permission set and action, over all accounts: how often, failed, refused."""
    found: dict[tuple[str, str], tuple[int, int, int]] = {}
    for use in ActivityUse.objects.filter(place__event_name=""):
        before = found.get((use.permission_set_name, use.action), (0, 0, 0))
        more = (use.count, use.errors, use.denied)
        found[use.permission_set_name, use.action] = tuple(map(sum, zip(before, more, strict=True)))  # type: ignore[assignment]  # three again
    return found


def finding(scene: Scene, account: str, region: str = "eu-west-1") -> str:
    return f"aws.cloudtrail.LookupEvents@{account}/{region}"


@pytest.mark.proof
@pytest.mark.parametrize(
    ("carried", "kind", "by_name", "delay", "keeps", "lookup"),
    [
        (False, "IdentityCenterUser", True, 0.0, True, "session_name"),
        (True, "Unknown", False, 600.0, False, "everything"),
    ],
)
def test_what_the_vendor_leaves_open_changes_nothing(
    here: Scene, carried: bool, kind: str, by_name: bool, delay: float, keeps: bool, lookup: str
) -> None:
    switches, portal = here.play.world.switches, here.play.world.access_portal
    switches.sessions_carry_on_behalf_of = carried
    switches.sign_in_identity_type = kind
    switches.trail_username_is_session_name = by_name
    switches.trail_delay_seconds = delay
    switches.account_access_keeps_role_name = keeps
    switches.policy_effect_seconds = 0.0
    here.granted.session_duration = "PT2H"
    another = {"account": here.account.id, "role": "Investigator"}
    here.play.world.happen("role_entitled", **another, group=here.play.world_group.id)
    with override_settings(ACTIVITY_LOOKUP=lookup):
        grant = here.grant()
        session, other = here.open(), here.open(permission_set=here.extra)
        away = here.open(here.elsewhere)
        entitled = here.play.world.account_access.open_session(
            here.play.world_asker.id, here.account.id, "Investigator"
        )
        here.play.step(timedelta(minutes=10))
        for one in (session, other, away, entitled):
            portal.act(one.id, "ec2:StopInstances")
        portal.act(session.id, "s3:ListBuckets", region="us-east-1")
        portal.act(session.id, "s3:ListBuckets", region="ap-east-1")  # not among those that are read
        deny = '{"Statement": [{"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]}'
        here.play.world.control_policies.update(here.policy.id, content=deny)
        here.play.world.advance()
        portal.act(session.id, "ec2:StopInstances")
        first = read_later(here, minutes=30)
        assert used() == {
            ("EC2AdminAccess", "StopInstances"): (2, 1, 1),
            ("EC2AdminAccess", "ListBuckets"): (1, 0, 0),
        }
        assert first.read_until == here.play.time.now - timedelta(minutes=15)
        assert not first.complete

        here.wait(60 * 5)
        assert Grant.objects.get(pk=grant.pk).status == "ended"
        last = read_later(here)
        assert last.complete
        assert last.read_until == Grant.objects.get(pk=grant.pk).last_possible_use_at
        assert last.next_action_at is None
        assert used()["EC2AdminAccess", "StopInstances"] == (2, 1, 1), "reading again counts nothing twice"
    activity = activity_of([grant])[grant.pk]
    (row,) = activity.scope
    assert (row.account_id, row.permission_set, row.opened, row.events) == (
        here.account.id,
        "EC2AdminAccess",
        1,
        3,
    )
    assert (activity.sign_ins_known, activity.gaps, activity.cut_off) == (True, [], [])
    assert [each["action"] for each in activity.newest].count("StopInstances") == 2
    assert last_uses(here.play.asker.pk, ["EC2AdminAccess", "EC2AdminAccess_Reports"]) == {
        "EC2AdminAccess": row.last_at
    }


def test_what_somebody_did_under_an_earlier_name_or_id_stays_theirs(here: Scene) -> None:
    store, act, asker = here.play.world.identity_store, here.play.world.access_portal.act, here.play.asker
    here.grant()
    act(here.open().id, "ec2:StopInstances")
    read_later(here, minutes=16)
    user = store.find_user_by_name(asker.user_principal_name)
    assert user is not None
    user.user_name = "married@example.org"
    store.index_user(user)
    Person.objects.filter(pk=asker.pk).update(user_principal_name=user.user_name)
    act(here.open().id, "ec2:StartInstances")
    look = read_later(here)
    both = {
        ("EC2AdminAccess", "StopInstances"): (1, 0, 0),
        ("EC2AdminAccess", "StartInstances"): (1, 0, 0),
    }
    assert used() == both
    assert look.known_as == [[user.id, "married@example.org"], [user.id, asker.user_principal_name]]
    # The name is somebody else's by now, or the sync knows better: their id isn't the person's.
    Person.objects.filter(pk=asker.pk).update(store_user_id="user-of-the-sync")
    user.external_id = None
    look = read_later(here, minutes=121)
    assert (used(), [user_id for user_id, _ in look.known_as]) == (both, [user.id] * 2)
    ActivityLook.objects.update(known_as=[])
    look = read_later(here, minutes=60 * 5)
    assert look.problem.startswith("The person's name is somebody else's or isn't known")
    assert used() == both, "what was read before stays"


def test_a_worker_that_dies_between_two_pages_counts_nothing_twice(here: Scene) -> None:
    here.grant()
    session = here.open()
    for _ in range(120):
        here.play.world.access_portal.act(session.id, "ec2:StopInstances")
    trail = clients().trail
    asked: list[str] = []

    def dies_at(number: int) -> None:
        def look_up(question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
            asked.append(page)
            found = original(question, page=page)
            if len(asked) == number:
                raise Died
            return found

        original: Callable[..., Reading[TrailPage]] = type(trail).look_up.__get__(trail)
        here.play.step(timedelta(minutes=16))
        plan()
        with patch.object(type(trail), "look_up", lambda _, question, page="": look_up(question, page=page)):
            with pytest.raises(Died):
                read_activity(look_id=owed()[0])
            assert owed() == [], "the dead worker's lease still holds"
            here.play.step(timedelta(minutes=2))
            assert not read_activity(look_id=owed()[0])

    dies_at(4)  # two questions about sign-ins, then the second page of the account
    assert used() == {("EC2AdminAccess", "StopInstances"): (120, 0, 0)}
    assert [page != "" for page in asked] == [False, False, False, True, True, True, False]


def test_an_account_that_refuses_and_a_region_that_is_off_are_gaps_with_their_reason(here: Scene) -> None:
    faults = here.play.world.faults
    off, refused = finding(here, "*", "us-east-1"), finding(here, here.account.id)
    owner = finding(here, here.play.world.state.identity_center.owner_account_id)
    grant = here.grant()
    here.play.world.access_portal.act(here.open().id, "ec2:StopInstances")
    read_later(here, minutes=16)
    assert used() == {("EC2AdminAccess", "StopInstances"): (1, 0, 0)}
    for operation, code in ((off, "RegionNotEnabled"), (refused, "AccessDenied"), (owner, "AccessDenied")):
        faults.add(operation, "error", status=403, code=code, message=f"{code} of {operation}", count=None)
    here.wait(60 * 4)
    look = read_later(here)
    gaps = {(each.account_id, each.region): each.problem for each in activity_of([grant])[grant.pk].gaps}
    assert refused in gaps[here.account.id, "eu-west-1"]
    assert off in gaps[here.account.id, "us-east-1"]
    assert len(gaps) == 3
    assert used() == {("EC2AdminAccess", "StopInstances"): (1, 0, 0)}, "what was read before stays"
    assert not activity_of([grant])[grant.pk].sign_ins_known
    assert (look.complete, look.repeats) == (False, 1)
    faults.clear()
    look = read_later(here, minutes=60 * 25)
    assert look.complete
    assert activity_of([grant])[grant.pk].gaps == []


def test_what_cannot_be_read_is_not_asked_for_ever(here: Scene) -> None:
    here.grant()
    here.play.world.faults.add(finding(here, here.account.id), "error", status=403, code="no", count=None)
    here.wait(60 * 4)
    for _ in range(7):
        assert not read_later(here, minutes=60 * 25).complete
    assert read_later(here, minutes=60 * 25).complete
    assert ActivityPlace.objects.filter(code="no").count() == 1


def test_an_answer_that_takes_its_time_is_gone_on_with_and_no_gap(here: Scene) -> None:
    here.grant()
    here.play.world.access_portal.act(here.open().id, "ec2:StopInstances")
    here.play.step(timedelta(minutes=16))
    trail, looks = clients().trail, 0
    original: Callable[..., Reading[TrailPage]] = type(trail).look_up.__get__(trail)

    def look_up(question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        nonlocal looks
        if (question.account_id, question.region) != (here.account.id, "eu-west-1"):
            return original(question, page=page)
        looks += 1
        assert page == ("query 7" if looks > 1 else "")
        if looks <= 2 * PATIENCE:
            raise StillRunning("At work.", page="query 7", retry_after=timedelta(seconds=5))
        return original(question)

    with (
        patch.object(type(trail), "look_up", lambda _, question, page="": look_up(question, page=page)),
        override_settings(ACTIVITY_SOURCE="lake"),
    ):
        look = read(here)
        assert (look.retry_at, look.lease_until) == (here.play.time.now + timedelta(seconds=5), None)
        for _ in range(2 * PATIENCE):
            look = read_later(here, minutes=0.1)
    assert (look.cursor, look.source) == ({}, "lake")
    assert not ActivityPlace.objects.exclude(problem="").exists()
    assert used() == {("EC2AdminAccess", "StopInstances"): (1, 0, 0)}


def test_a_query_that_has_failed_is_a_gap_at_once_and_not_asked_anew(here: Scene) -> None:
    here.grant()
    here.play.step(timedelta(minutes=16))
    trail, pages = clients().trail, []
    original: Callable[..., Reading[TrailPage]] = type(trail).look_up.__get__(trail)

    def look_up(_: object, question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        if (question.account_id, question.region) != (here.account.id, "us-east-1"):
            return original(question, page=page)
        pages.append(page)
        if not page:
            raise StillRunning("At work.", page="query 8", retry_after=timedelta(seconds=5))
        raise QueryFailed("The query 8 has ended.", code="QueryFailed")

    with patch.object(type(trail), "look_up", look_up):
        read(here)
        look = read_later(here, minutes=0.1)
    assert (pages, look.cursor) == (["", "query 8"], {})
    (gap,) = ActivityPlace.objects.exclude(problem="")
    assert (gap.region, gap.problem) == ("us-east-1", "The query 8 has ended.")


def test_a_page_that_is_refused_again_and_again_is_a_gap_and_lets_others_go_first(here: Scene) -> None:
    here.grant()
    here.play.step(timedelta(minutes=16))
    plan()
    trail, asked = clients().trail, []
    original: Callable[..., Reading[TrailPage]] = type(trail).look_up.__get__(trail)

    def look_up(_: object, question: TrailQuestion, *, page: str = "") -> Reading[TrailPage]:
        if (question.account_id, question.region) != (here.account.id, "eu-west-1"):
            return original(question, page=page)
        asked.append(page)
        assert len(asked) <= 4 * PATIENCE, "it goes on for ever"
        if page:
            raise Refused("The token isn't known.", code="InvalidNextTokenException")
        found = original(question)
        return replace(found, value=replace(found.value, next_page="7"))

    (look_id,) = owed()
    with patch.object(type(trail), "look_up", look_up):
        here.play.step(timedelta(minutes=1))
        assert read_activity(look_id=look_id, seconds=0)
        look = ActivityLook.objects.get()
        assert look.next_action_at == here.play.time.now, "behind those that were due before the slice ended"
        look = read(here)
    assert (asked, look.cursor) == (["", "7"] * (PATIENCE + 1), {})
    (gap,) = ActivityPlace.objects.exclude(problem="")
    assert (gap.region, gap.problem) == ("eu-west-1", "The token isn't known.")


def test_cloudtrail_is_waited_for_and_then_it_is_a_gap(here: Scene) -> None:
    here.grant()
    here.play.world.access_portal.act(here.open().id, "ec2:StopInstances")
    here.play.step(timedelta(minutes=16))
    here.play.world.faults.add(finding(here, here.account.id), "throttle", retry_after=20, count=2)
    look = read(here)
    assert (look.retry_at, look.lease_until) == (here.play.time.now + timedelta(seconds=20), None)
    assert owed() == []
    for _ in range(2):
        look = read_later(here, minutes=0.5)
    assert look.read_at is not None
    assert used() == {("EC2AdminAccess", "StopInstances"): (1, 0, 0)}
    here.play.world.faults.add(finding(here, here.account.id), "lose_request", count=None)
    look = read_later(here)
    for _ in range(6):
        assert look.cursor
        look = read_later(here, minutes=2)
    (gap,) = ActivityPlace.objects.exclude(problem="")
    assert (gap.account_id, gap.region, look.cursor) == (here.account.id, "eu-west-1", {})
    assert "didn't answer" in gap.problem


@pytest.mark.proof
def test_a_busy_hour_is_cut_off_and_says_where(here: Scene) -> None:
    grant = here.grant()
    session = here.open()
    for number in range(130):
        here.play.world.access_portal.act(session.id, f"ec2:Action{number % 7}")
        here.play.step(timedelta(seconds=1))
    with override_settings(ACTIVITY_MOST_PAGES=2), patch("requests_app.activity.tallying.MOST_ACTIONS", 5):
        read_later(here, minutes=20)
    activity = activity_of([grant])[grant.pk]
    (place,) = activity.cut_off
    assert place.events == activity.events == 100
    assert place.cut_off_at == here.play.time.now - timedelta(minutes=20, seconds=100)
    assert [row.service for row in activity.actions] == ["ec2.amazonaws.com"] * 5 + [""]
    assert sum(row.count for row in activity.actions) == 100
    assert activity.scope[0].unknown == "not read whole"
    assert len(activity.newest) == 100


@pytest.mark.proof
def test_nothing_is_read_while_it_is_off_nor_of_access_that_never_was(here: Scene) -> None:
    with override_settings(ACTIVITY="off"):
        here.grant()
        here.play.step(timedelta(minutes=30))
        assert (plan(), owed()) == (0, [])
    Grant.objects.update(seen_in_entra_at=None)
    assert plan() == 0
    Grant.objects.update(seen_in_entra_at=here.play.time.now - timedelta(days=91))
    assert plan() == 0, "CloudTrail has forgotten it"


@pytest.mark.proof
def test_summaries_are_dropped_after_their_time(here: Scene) -> None:
    here.grant()
    here.play.world.access_portal.act(here.open().id, "ec2:StopInstances")
    here.wait(60 * 4)
    assert read_later(here).complete
    here.play.step(timedelta(days=399))
    plan()
    assert ActivityUse.objects.exists()
    here.play.step(timedelta(days=2))
    plan()
    assert not ActivityLook.objects.exists()
    assert not ActivityUse.objects.exists()
