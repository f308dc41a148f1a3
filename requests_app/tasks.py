"""Celery's side of the doorbell: one id, one action. Redelivery is harmless; actions claim their rows."""

from __future__ import annotations

from itertools import zip_longest
from uuid import UUID

from celery import shared_task
from django.conf import settings

from requests_app.actions import pathing
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision as check_decision_action
from requests_app.actions.freezing import carry_freezes as carry_freezes_action
from requests_app.actions.sweeping import sweep as sweep_action
from requests_app.activity.fetching import read_owed
from requests_app.activity.planning import plan
from requests_app.waivers.settling import check_waiver as check_waiver_action


@shared_task(name="requests_app.tasks.check_decision")
def check_decision(decision_id: str) -> None:
    """Check one submitted decision against the clouds and count or refuse it."""
    for grant_id in check_decision_action(decision_id=UUID(decision_id)):
        advance.delay(str(grant_id))


@shared_task(name="requests_app.tasks.check_waiver")
def check_waiver(waiver_id: str) -> None:
    """Check one ask to go without an approval against the clouds and grant or refuse it."""
    for grant_id in check_waiver_action(waiver_id=UUID(waiver_id)):
        advance.delay(str(grant_id))


@shared_task(name="requests_app.tasks.advance")
def advance(grant_id: str) -> None:
    """Do what one grant owes now."""
    advance_grant(grant_id=UUID(grant_id))


@shared_task(name="requests_app.tasks.sweep")
def sweep() -> None:
    """Find everything that is owed and ring for each: waivers first, then grants and decisions in turns.

    What isn't heard within two passes is dropped unrun: later passes ring for the same rows, and workers that
    are behind would otherwise gather more rings than there is work (ADR 0032).
    """
    owed = sweep_action()
    expires = 2 * settings.SWEEP_EVERY.total_seconds()
    for waiver_id in owed.waivers:
        check_waiver.apply_async((str(waiver_id),), expires=expires)
    for grant_id, decision_id in zip_longest(owed.grants, owed.decisions):
        if grant_id is not None:
            advance.apply_async((str(grant_id),), expires=expires)
        if decision_id is not None:
            check_decision.apply_async((str(decision_id),), expires=expires)


@shared_task(name="requests_app.tasks.call_up")
def call_up() -> None:
    """Ring for whoever's turn it is on the narrow path; the sweeper would find them seconds later."""
    for grant_id in pathing.call_up():
        advance.delay(str(grant_id))


@shared_task(name="requests_app.tasks.read_activity", soft_time_limit=100, time_limit=110)
def read_activity() -> None:
    """Read what was done with access, for one slice. It never rings itself: the queue is for others, too.

    The last call of a slice may take its time, so the limits are wider than other tasks'.
    """
    plan()
    read_owed()


@shared_task(name="requests_app.tasks.carry_freezes")
def carry_freezes() -> None:
    """End what is open under the freezes that hold; the sweeper would come to it seconds later."""
    carry_freezes_action()
