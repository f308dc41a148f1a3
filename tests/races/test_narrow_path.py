"""Many workers want a place at the same moment: never more than four get one, and nobody gets two."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from requests_app.actions.pathing import Place, call_up, take_place
from requests_app.narrow_path import window
from requests_app.path_models import PathKind, PathTicket, PathUse
from tests.races.scene import acting_as, at_once, raised
from tests.requests_app.conftest import AsRole
from tests.requests_app.test_narrow_path import waiting_grants
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def test_twelve_workers_at_once_get_four_places_a_window(play: Stage, as_role: AsRole) -> None:
    grants = waiting_grants(play, 12)
    waiting = {grant.pk: grant for grant in grants}
    order = []
    for turn in range(3):
        asking = list(waiting.values())
        answers = at_once(
            *(
                acting_as(as_role, "portal_worker", partial(take_place, grant, PathKind.ASSIGN))
                for grant in asking
            )
        )
        assert raised(answers) == []
        went = [grant.pk for grant, answer in zip(asking, answers, strict=True) if isinstance(answer, Place)]
        assert len(went) == 4, f"in turn {turn}"
        for pk in went:
            del waiting[pk]
        order.append(went)
        play.step(window())
    assert PathUse.objects.count() == 12
    assert not PathTicket.objects.exists()
    # Whoever was first in the crowd of the first window, from then on it goes by start.
    late = [grant.pk for grant in grants if grant.pk not in order[0]]
    assert set(order[1]) == set(late[:4])


def test_two_sweepers_call_up_each_one_once(play: Stage, as_role: AsRole) -> None:
    for grant in waiting_grants(play, 9):
        take_place(grant, PathKind.ASSIGN)
    play.step(window())
    found = at_once(*(acting_as(as_role, "portal_worker", call_up) for _ in range(4)))
    assert raised(found) == []
    called = [pk for each in found if isinstance(each, tuple) for pk in each]
    assert len(called) == len(set(called)) == 4
