"""Locks of one process that another meets the other way round."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django_subatomic.db import transaction

from base.clock import real_now
from requests_app.actions.claiming import claim_grant, settle
from requests_app.actions.deciding import check_decision
from requests_app.actions.fetching import lock_grant
from requests_app.models import Attempt
from tests.races.scene import at_once, raised
from tests.requests_app.conftest import AsRole
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
