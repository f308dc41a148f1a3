"""An extension is counted while others end the access: one outcome, no end without its interval, nothing held twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from base.errors import Conflict
from requests_app.actions.advancing import advance_grant
from requests_app.actions.deciding import check_decision
from requests_app.actions.ending import revoke
from requests_app.models import Decision, Grant, GrantInterval, RequestItem
from tests.races.scene import acting_as, at_once, raised
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.usefixtures("committed_db")


def end_early(play: Stage, grant: Grant) -> None:
    play.finish_early(grant)


def be_revoked(play: Stage, grant: Grant) -> None:
    action = partial(
        revoke, grant_id=grant.pk, person_id=play.boss.pk, reason="Called off", actor=make.actor(play.boss)
    )
    acting_as(play.as_role, "portal_web", action)()


def expire(play: Stage, grant: Grant) -> None:
    advance_grant(grant_id=grant.pk)


@pytest.mark.parametrize("against", [be_revoked, expire, pytest.param(end_early, marks=pytest.mark.proof)])
def test_an_extension_and_an_end_at_once(as_role: AsRole, against: Callable[[Stage, Grant], None]) -> None:
    with stage(as_role) as play:
        play.decide(play.ask())
        grant = play.play_to("active")
        item = play.ask()
        decision_id = play.decide(item)
        if against is expire:
            play.step(grant.ends_at - play.time.now)
        results = at_once(partial(check_decision, decision_id=decision_id), partial(against, play, grant))
        assert all(isinstance(error, Conflict) for error in raised(results)), results
        play.play(lambda: RequestItem.objects.get(pk=item.pk).status != "pending")
        span = GrantInterval.objects.filter(item=item).first()
        first = Grant.objects.get(pk=grant.pk)
        if span is None:
            assert against is be_revoked, "an approval from before a revocation grants nothing after it"
            assert Decision.objects.get(pk=decision_id).status == "refused"
            assert (first.revision, first.ends_at) == (1, grant.ends_at)
        elif span.grant_id == first.pk:
            assert (first.revision, first.ends_at) == (2, span.ends_at)
        else:
            assert (first.revision, first.ends_at) == (1, grant.ends_at), "what was ending was lengthened"
            assert span.grant.revision == 1
        play.play(lambda: not Grant.objects.filter(next_action_at__isnull=False).exists())
        assert not play.in_entra()
        assert not play.in_aws()


def test_four_workers_lengthen_once(as_role: AsRole) -> None:
    with stage(as_role) as play:
        play.decide(play.ask())
        grant = play.play_to("active")
        decision_id = play.decide(play.ask())
        assert raised(at_once(*[partial(check_decision, decision_id=decision_id)] * 4)) == []
        assert Grant.objects.get(pk=grant.pk).revision == 2
        assert raised(at_once(*[partial(advance_grant, grant_id=grant.pk)] * 4)) == []
        play.play(lambda: not play.grant().extension_owed)
        updates = [row for row in play.world.state.requests.values() if row.action == "adminUpdate"]
        assert len(updates) == 1
