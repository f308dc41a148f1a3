"""What somebody tries without the right to it is an event; what merely fails, or is only looked at, is none."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.test import Client

from accessportal.refusals import NOT_THEIRS
from audit.ledger.models import Event, Outcome
from base.errors import TooOften
from requests_app.actions.freezing import carry_freezes
from requests_app.freezes.models import Freeze
from tests.pages.conftest import World
from tests.pages.test_incidents import frozen
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db


def told() -> list[tuple[str, dict[str, str]]]:
    """Who was refused what, the oldest first."""
    rows = Event.objects.filter(type="action.refused").order_by("id")
    return [(row.actor_oid, row.data["fields"]) for row in rows]


def test_what_is_not_theirs_is_told_with_its_target(world: World) -> None:
    item = world.ask()
    ada, cy = world.sign_in(world.ada), world.sign_in(world.cy)
    own = f"/approvals/{item.pk}/"
    assert ada.post(own, verdict="approve", comment="", shown=make.shown(item)).status_code == 404
    assert cy.post("/operations/incidents/new/confirm/", kind="person").status_code == 404
    absent = uuid4()
    assert cy.post(f"/requests/{absent}/withdraw/").status_code == 404
    assert told() == [
        (
            world.ada.object_id,
            {"action": "decision", "target": str(item.pk), "code": "item.missing", "reason": NOT_THEIRS},
        ),
        (
            world.cy.object_id,
            {"action": "operations_incident_confirm", "code": "missing", "reason": NOT_THEIRS},
        ),
        (
            world.cy.object_id,
            {"action": "withdraw", "target": str(absent), "code": "request.missing", "reason": NOT_THEIRS},
        ),
    ]
    auditor = world.sign_in(make.person("Una Auditor"), "Auditor")
    page = auditor.get(f"/audit/?outcome=refused&person={world.ada.object_id}").content.decode()
    assert "was refused: There is no such thing, or it is not for this person." in page
    assert Event.objects.filter(outcome=Outcome.REFUSED).count() == 3


def test_a_refusal_that_a_form_shows_is_told_in_its_words(world: World) -> None:
    operator = world.sign_in(make.person("Olga Operator"), "Operator")
    row = frozen(world, operator)
    carry_freezes()
    assert operator.post(f"/operations/incidents/{row.pk}/lift/", reason="It is over").status_code == 403
    ((_, fields),) = told()
    assert (fields["code"], fields["target"]) == ("freeze.second_operator", str(row.pk))
    assert fields["reason"] == "You froze this yourself. A second operator has to lift it."
    assert Freeze.objects.get(pk=row.pk).lifted_at is None


def test_what_is_no_attempt_is_not_told(world: World) -> None:
    item = world.ask()
    cy, ben = world.sign_in(world.cy), world.sign_in(world.ben)
    assert cy.get(f"/approvals/{item.pk}/").status_code == 404  # looking
    assert cy.post("/no-such-page/").status_code == 404
    assert (
        ben.post(f"/approvals/{item.pk}/", verdict="deny", comment="", shown=make.shown(item)).status_code
        == 422
    )
    with world.as_role("portal_web"):
        assert Client().post(f"/approvals/{item.pk}/").status_code == 302  # nobody
        careful = Client(enforce_csrf_checks=True)
        careful.cookies = cy.client.cookies
        assert careful.post(f"/approvals/{item.pk}/").status_code == 403  # another site's form
    assert told() == []


def test_what_a_script_repeats_is_bounded(world: World) -> None:
    cy = world.sign_in(world.cy)
    with patch("accessportal.refusals.spend", side_effect=TooOften("x", "x", wait=timedelta(0))):
        assert cy.post(f"/requests/{uuid4()}/withdraw/").status_code == 404
    assert told() == []
