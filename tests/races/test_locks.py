"""Locks of one process that another meets the other way round."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django_subatomic.db import transaction

from audit.ledger.models import Event
from base.clock import business_now, real_now
from requests_app.actions.claiming import claim_grant, settle
from requests_app.actions.deciding import check_decision
from requests_app.actions.fetching import lock_grant
from requests_app.cutting import planning
from requests_app.cutting.models import Severance, SeveringPlace
from requests_app.lifecycle import GrantStatus
from requests_app.models import Attempt
from tests.races.scene import acting_as, at_once, raised
from tests.requests_app.conftest import AsRole
from tests.requests_app.cutting.scene import scene
from tests.support.stage import stage

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.mark.parametrize("by", ["settle", "lock_grant"])
def test_a_locked_grant_lets_rows_refer_to_it(as_role: AsRole, by: str) -> None:
    """The remover records its intent under the lock of its own row, which a worker wants under the grant's."""
    with stage(as_role) as play:
        (grant_id,) = check_decision(decision_id=play.decide(play.ask()))
        claim = claim_grant(grant_id)
        assert claim is not None

        def refer_to_it() -> None:
            now = real_now()
            with transaction():
                connection.cursor().execute("SET LOCAL lock_timeout = '3s'")
                Attempt.objects.create(
                    grant_id=grant_id,
                    kind=Attempt.Kind.TAKE_OUT,
                    started_at=now,
                    expires_at=now + timedelta(1),
                )

        if by == "settle":
            with settle(claim):
                assert raised(at_once(refer_to_it)) == []
        else:
            with transaction():
                lock_grant(grant_id)
                assert raised(at_once(refer_to_it)) == []


def test_two_severers_never_wait_for_each_other_in_a_circle(as_role: AsRole) -> None:
    """One confirms what it read back, under the place's lock; the other plans the end of the same denial."""
    locked = threading.Event()
    with scene(as_role) as made:
        made.grant()
        made.play.play_to(GrantStatus.DEPROVISIONING)
        made.play.work()
        (row,) = Severance.objects.select_related("grant__group", "person", "place")

        def confirm() -> None:
            with transaction():
                place = SeveringPlace.objects.select_for_update().get()
                locked.set()
                wait_for(a_backend_waits, "the other severer")
                connection.cursor().execute("SET LOCAL lock_timeout = '3s'")
                Severance.objects.filter(place=place).update(refused_at=None)

        def lift() -> int:
            assert locked.wait(30)
            return planning._lift(row, business_now())

        done = at_once(
            acting_as(as_role, "portal_severer", confirm), acting_as(as_role, "portal_severer", lift)
        )
        assert raised(done) == []
        with as_role("portal_severer"):
            assert planning._lift(row, business_now()) == 0, "once, whoever was faster"
        assert Event.objects.filter(type="severance.lifted").count() == 1


def a_backend_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database()) OR"
            " (NOT granted AND locktype IN ('transactionid', 'tuple'))"
        )
        return bool(cursor.fetchone()[0])


def wait_for(condition: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"never: {what}")
