"""Who is told of an emergency, at once and once each: whoever is concerned, by what the portal knows."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest

from base.clock import business_now
from identity.absences.declaring import declare
from notifications.telling import tell
from requests_app.actions.granting import Bounds
from requests_app.waivers.reviewing import escalate_overdue
from requests_app.waivers.settling import check_waiver
from tests.notifications.conftest import Post, give_mailbox
from tests.pages.conftest import World
from tests.requests_app import factories as make
from tests.requests_app.emergencies import in_emergency, let_through

pytestmark = pytest.mark.django_db


def test_an_emergency_is_told_to_everybody_concerned_and_a_drill_says_so(world: World, post: Post) -> None:
    world.sign_in(world.cy, "Operator")
    review = let_through(in_emergency(world.ada, make.pim_group("AWS - Shop"), world.ben, world.as_role))
    tell()
    # Who asked is told that it was approved, who decides and operators of the emergency, and nobody to decide.
    assert post.to(world.ada) == ["Approved: AWS - Shop"]
    assert post.to(world.cy) == ["Emergency: Ada Asker and AWS - Shop"]
    assert sorted(post.to(world.ben)) == [
        "Emergency: Ada Asker and AWS - Shop",
        "To be reviewed: Ada Asker and AWS - Shop",
    ]
    owed = [mail for mail in post.mails if "To be reviewed" in mail.subject]
    assert f"http://127.0.0.1:8000/emergencies/{review.pk}/" in owed[0].text
    assert "Customers can't pay" in owed[0].text
    let_through(in_emergency(world.ada, make.pim_group("AWS - Till"), world.ben, world.as_role, drill=True))
    tell()
    assert all(subject.startswith("DRILL: ") for subject in post.to(world.ben)[2:] + post.to(world.cy)[1:])
    with patch("requests_app.waivers.reviewing.business_now", lambda: business_now() + timedelta(days=3)):
        assert escalate_overdue() == 2
    tell()
    assert "Overdue review: Ada Asker and AWS - Shop" in post.to(world.ben)


def test_an_emergency_is_told_to_who_is_away_and_to_who_stands_in(world: World, post: Post) -> None:
    dora = give_mailbox(make.person("Dora Deputy"))
    with world.as_role("portal_web"):
        declare(
            person_id=world.ben.pk,
            delegate_id=dora.pk,
            begins_at=None,
            ends_at=business_now() + timedelta(days=2),
            by_id=world.ben.pk,
            actor=make.actor(world.ben),
        )
    let_through(in_emergency(world.ada, make.pim_group("AWS - Shop"), world.ben, world.as_role))
    tell()
    told = "Emergency: Ada Asker and AWS - Shop"
    assert [post.to(who).count(told) for who in (world.ben, dora, world.cy, world.ada)] == [1, 1, 0, 0]


def test_an_emergency_that_is_not_let_through_asks_those_who_decide(world: World, post: Post) -> None:
    item = in_emergency(world.ada, make.pim_group("AWS - Shop"), world.ben, world.as_role)
    tell()
    assert post.to(world.ben) == [], "while it is checked nobody is asked to decide"
    with patch("requests_app.waivers.settling.check_item", return_value=("PIM says no.", Bounds())):
        check_waiver(waiver_id=item.waiver.pk)
    tell()
    assert post.to(world.ben) == ["Ada Asker asks for AWS - Shop"]
    assert post.to(world.ada)[1:] == ["Not let through: AWS - Shop"]
