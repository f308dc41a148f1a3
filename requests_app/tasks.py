"""Celery's side of the doorbell: one id, one action. Redelivery is harmless; actions claim their rows."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from requests_app.actions import pathing
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision as check_decision_action
from requests_app.actions.freezing import carry_freezes as carry_freezes_action
from requests_app.actions.sweeping import sweep as sweep_action


@shared_task(name="requests_app.tasks.check_decision")
def check_decision(decision_id: str) -> None:
    """Check one submitted decision against the clouds and count or refuse it."""
    for grant_id in check_decision_action(decision_id=UUID(decision_id)):
        advance.delay(str(grant_id))


@shared_task(name="requests_app.tasks.advance")
def advance(grant_id: str) -> None:
    """Do what one grant owes now."""
    advance_grant(grant_id=UUID(grant_id))


@shared_task(name="requests_app.tasks.sweep")
def sweep() -> None:
    """Find everything that is owed and ring for each."""
    owed = sweep_action()
    for decision_id in owed.decisions:
        check_decision.delay(str(decision_id))
    for grant_id in owed.grants:
        advance.delay(str(grant_id))


@shared_task(name="requests_app.tasks.call_up")
def call_up() -> None:
    """Ring for whoever's turn it is on the narrow path; the sweeper would find them seconds later."""
    for grant_id in pathing.call_up():
        advance.delay(str(grant_id))


@shared_task(name="requests_app.tasks.carry_freezes")
def carry_freezes() -> None:
    """End what is open under the freezes that hold; the sweeper would come to it seconds later."""
    carry_freezes_action()
