"""Emergency use on pages: asking, what is said when it can't be, drills, reviews, and lifting what they block."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import Settings

from audit.ledger.models import Event
from catalog.models import ProvisioningState
from requests_app.models import Grant, RequestItem
from requests_app.waivers.models import OwedReview, Waiver
from tests.pages.conftest import World, main_of
from tests.requests_app import factories as make
from tests.requests_app.activity.rows import activity
from tests.requests_app.emergencies import WHY, emergency_rule, in_emergency, let_through

pytestmark = pytest.mark.django_db
FORM = {"length": "30", "justification": "Restart the payment service", "why": WHY}


def address(world: World) -> str:
    """The form for the group, under the emergency rule alone."""
    emergency_rule(world.ada, world.group, world.ben)
    world.rule.rule.retired = True
    world.rule.rule.save()
    return f"/access/{world.group.object_id}/emergency/"


def test_the_form_says_when_it_arrives_who_reviews_and_what_else_there_is(
    world: World, settings: Settings
) -> None:
    ada, path = world.sign_in(world.ada), address(world)
    page = main_of(ada.get(path))
    for words in (
        "It still travels through Entra and SCIM",
        "No emergency procedure of your organisation",
        "Ben Boss reviews that within 2 days",
        "it blocks the same person",
    ):
        assert words in page, words
    settings.EMERGENCY_PROCEDURE = "Break the glass in the safe."
    settings.EMERGENCY_PROCEDURE_URL = "https://wiki.example.com/glass"
    page = main_of(ada.get(path))
    assert "Break the glass in the safe." in page
    assert 'href="https://wiki.example.com/glass"' in page
    assert f'href="{path}"' in main_of(ada.get(f"/access/{world.group.object_id}/request/"))


def test_what_is_sent_is_followed_and_mistakes_are_named_together(world: World) -> None:
    ada, path = world.sign_in(world.ada), address(world)
    wrong = ada.post(path, length="other", justification="x", why="")
    assert wrong.status_code == 422
    shown = main_of(wrong)
    assert "Say how many hours and minutes." in shown
    assert "why it can&#x27;t wait" in shown
    assert "Say what you need the access for" in shown
    sent = ada.post(path, **FORM)
    assert sent.status_code == 302, main_of(sent)
    page = main_of(ada.get(sent["Location"]))
    assert "Emergency: being checked" in page
    assert "Probably usable" in page
    assert WHY.replace("'", "&#x27;") in page


def test_who_may_not_is_told_the_other_way(world: World) -> None:
    path = address(world)
    make.eligibility(world.cy, world.group)
    cy = world.sign_in(world.cy)
    page = main_of(cy.get(path))
    assert "don&#x27;t let you go without an approval" in page
    assert "If that is too slow" in page
    assert cy.post(path, **FORM).status_code == 403
    assert not Waiver.objects.exists()


def test_while_provisioning_stands_still_the_other_way_is_shown(world: World) -> None:
    path = address(world)
    ProvisioningState.objects.update(code="Quarantine")
    page = main_of(world.sign_in(world.ada).get(path))
    assert "Emergency access is not possible here now" in page
    assert "If that is too slow" in page


def test_a_drill_says_so_and_what_it_came_to(world: World) -> None:
    item = in_emergency(world.ada, make.pim_group(), world.ben, world.as_role, drill=True)
    let_through(item)
    page = main_of(world.sign_in(world.ada).get(f"/requests/{item.request_id}/"))
    for words in ("Emergency drill", "Nothing was granted", "Drilled", "owed for it"):
        assert words in page, words


def test_a_reviewer_finds_it_and_keeps_a_review(world: World) -> None:
    item = in_emergency(world.ada, make.pim_group(), world.ben, world.as_role)
    review = let_through(item)
    ben = world.sign_in(world.ben)
    assert "waits for your review" in main_of(ben.get("/approvals/"))
    assert f'href="/emergencies/{review.pk}/"' in main_of(ben.get("/emergencies/"))
    path = f"/emergencies/{review.pk}/"
    page = main_of(ben.get(path))
    assert "Not known here: what is done in AWS is not read" in page
    wrong = main_of(ben.post(path, verdict="", comment=""))
    assert "Say whether it was in order." in wrong
    assert "Say what you looked at" in wrong
    assert ben.post(path, verdict="not_in_order", comment="The pager was answered").status_code == 302
    assert OwedReview.objects.get().reviewed_by == world.ben
    theirs = main_of(world.sign_in(world.ada).get(f"/requests/{item.request_id}/"))
    assert "The pager was answered" in theirs
    assert "No approval needed" in theirs


def test_what_a_reviewer_sees_of_what_was_done_says_what_it_lacks_and_is_an_event(
    world: World, settings: Settings
) -> None:
    settings.ACTIVITY, settings.ACTIVITY_REGIONS = "on", ["eu-west-1"]
    item = in_emergency(world.ada, make.pim_group(accounts=2), world.ben, world.as_role)
    path, seen = f"/emergencies/{let_through(item).pk}/", Event.objects.filter(type="activity.viewed")
    ben = world.sign_in(world.ben)
    assert "Not read yet." in main_of(ben.get(path))
    assert not seen.exists(), "nothing was shown"
    place = activity(Grant.objects.get())
    place.look.places.filter(event_name="").exclude(pk=place.pk).delete()
    page = main_of(ben.get(path))
    for words in ("ec2.amazonaws.com StopInstances", "1 AWS account was not asked", "no data events"):
        assert words in page, words
    assert ben.post(path, verdict="", comment="").status_code == 422
    (event,) = seen
    assert (event.actor_oid, event.about_oid) == (world.ben.object_id, world.ada.object_id)
    assert event.request_id == item.request_id


def test_an_operator_lifts_what_blocks_with_a_reason(world: World) -> None:
    item = in_emergency(world.ada, make.pim_group(), world.ben, world.as_role)
    review = let_through(item, ago=timedelta(days=8))
    cy = world.sign_in(world.cy, "Operator")
    assert "Overdue; blocks the next use" in main_of(cy.get("/operations/emergencies/"))
    path = f"/emergencies/{review.pk}/"
    assert "Let Ada Asker use another one" in main_of(cy.get(path))
    refused = cy.post(path + "lift/", reason="")
    assert refused.status_code == 422
    assert "Say why they may use another one" in main_of(refused)
    assert cy.post(path + "lift/", reason="Ben is ill").status_code == 302
    assert OwedReview.objects.get().lifted_by == world.cy
    page = main_of(cy.get(path))
    assert "Ben is ill" in page
    assert "Due" in page
    assert RequestItem.objects.get(pk=item.pk).status == "approved"
