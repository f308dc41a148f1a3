"""Looks at AWS: one call for all tracked groups of a person, shared by what is due, and never believed blindly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from base.clock import business_now
from catalog.models import PimGroup
from clients.registry import clients
from requests_app.actions.advancing import advance_grant
from requests_app.lifecycle import GrantStatus
from requests_app.models import Attempt, Grant, Sighting
from simulator.sample.builder import Builder
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

pytestmark = pytest.mark.django_db
POLL = timedelta(seconds=10)


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role, on_demand=False, polls=((timedelta(days=1), POLL),)) as made:
        yield made


def grants_in(play: Stage, groups: int) -> list[Grant]:
    """The asker's grants in so many groups, all on their way to AWS, where the cycle hasn't brought them yet."""
    build = Builder(play.world)
    for number in range(groups):
        there = build.group(f"AWS - Tracked {number}", assigned=True)
        build.eligible(there, play.world_asker)
        build.provision()
        here = make.pim_group(
            there.display_name, object_id=there.id, accounts=1, store_group_id=build.store_group(there).id
        )
        make.eligibility(play.asker, here)
        with open_list() as managed:
            managed.write(f"\n{there.id}")
        rule = make.rule(play.boss, groups=(here,))
        with play.as_role("portal_web"):
            item = make.pending_item(play.asker, here, rule)
        play.decide(item)
    play.play(
        lambda: (
            Grant.objects.filter(status=GrantStatus.PROVISIONING, problem_code="waiting").count() == groups
        )
    )
    return list(Grant.objects.order_by("starts_at", "pk"))


def open_list() -> Any:
    return Path(settings.PORTAL_MANAGED_GROUPS_FILE).open("a")


def looks() -> int:
    return Attempt.objects.filter(kind=Attempt.Kind.READ_AWS).count()


def due(*grants: Grant) -> None:
    """Their next look is due, and no new ask for provisioning."""
    Grant.objects.filter(pk__in=[grant.pk for grant in grants]).update(
        retry_at=None, last_write_at=business_now()
    )


def test_one_call_asks_about_every_tracked_group_and_serves_all_that_are_due(play: Stage) -> None:
    grants = grants_in(play, 2)
    play.step(POLL)
    due(*grants)
    before = looks()
    for grant in grants:
        assert advance_grant(grant_id=grant.pk) == 1
    assert looks() - before == 1
    assert Sighting.objects.count() == 2
    rested = Grant.objects.filter(lease_token=None, retry_at__gt=play.time.now)
    assert rested.count() == 2


def test_an_old_sighting_serves_nobody(play: Stage) -> None:
    first, other = grants_in(play, 2)
    play.step(POLL)
    due(first)
    advance_grant(grant_id=first.pk)
    play.step(POLL / 2)
    due(other)
    before = looks()
    advance_grant(grant_id=other.pk)
    assert looks() - before == 1


def test_what_moves_a_grant_is_a_look_of_its_own(play: Stage) -> None:
    first, other = grants_in(play, 2)
    play.world.provisioning.run_cycle()
    play.step(timedelta(minutes=1))
    due(first, other)
    before = looks()
    advance_grant(grant_id=first.pk)
    assert Sighting.objects.filter(member=True).count() == 2
    assert Grant.objects.get(pk=other.pk).status == GrantStatus.PROVISIONING
    advance_grant(grant_id=other.pk)
    assert looks() - before == 2
    assert Grant.objects.filter(status=GrantStatus.ACTIVE).count() == 2


def test_a_sighting_is_no_proof_that_it_is_gone(play: Stage) -> None:
    """Somebody else's look said "absent" just now: the grant that leaves still looks itself, after the job."""
    (grant,) = grants_in(play, 1)
    play.world.provisioning.run_cycle()
    play.step(timedelta(minutes=1))
    due(grant)
    advance_grant(grant_id=grant.pk)
    play.play(lambda: Grant.objects.get().status == GrantStatus.DEPROVISIONING, at_most=timedelta(hours=3))
    Sighting.objects.update_or_create(
        person=play.asker, group=PimGroup.objects.get(pk=grant.group_id),
        defaults={"member": False, "read_at": play.time.now},
    )  # fmt: skip
    due(grant)
    advance_grant(grant_id=grant.pk)
    assert Grant.objects.get().status == GrantStatus.DEPROVISIONING, "the membership is still there"
    assert (
        clients()
        .identity_center.memberships(play.asker.store_user_id, [grant.group.store_group_id])
        .value[grant.group.store_group_id]
    )
