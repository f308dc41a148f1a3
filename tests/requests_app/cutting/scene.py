"""A stage on which sessions can be opened and cut: accounts, permission sets, and a place that an operator prepared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.test import override_settings

from catalog.models import AwsAccount, OrganizationalUnit, PermissionSet
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant
from simulator.sample.builder import Builder
from simulator.world.aws_state import Account, ControlPolicy, RoleSession
from simulator.world.aws_state import PermissionSet as WorldSet
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage

type Polls = tuple[tuple[timedelta, timedelta], ...]

LOOKS = ((timedelta(minutes=2), timedelta(seconds=10)), (timedelta(days=1), timedelta(minutes=10)))
OPERATORS_OWN = (
    '{"Version":"2012-10-17","Statement":{"Sid":"KeepOrganization","Effect":"Deny",'
    '"Action":"organizations:LeaveOrganization","Resource":"*"}}'
)


@dataclass
class Scene:
    """The stage, and what a person can open on it. `extra` and `elsewhere` come from a baseline group."""

    play: Stage
    account: Account
    elsewhere: Account
    granted: WorldSet
    extra: WorldSet
    policy: ControlPolicy

    def grant(self, duration: timedelta = timedelta(hours=1)) -> Grant:
        """Ask, approve, arrive."""
        self.play.decide(self.play.ask(duration=duration))
        self.play.play_to(GrantStatus.ACTIVE)
        return self.play.grant()

    def open(self, account: Account | None = None, permission_set: WorldSet | None = None) -> RoleSession:
        """The asker opens a session. Raises WorldError when AWS doesn't let them."""
        self.play.world.advance()
        return self.play.world.access_portal.open_session(
            self.play.world_asker.id,
            (account or self.account).id,
            (permission_set or self.granted).name,
        )

    def works(self, session: RoleSession) -> bool:
        """Whether AWS lets this session act now."""
        self.play.world.advance()
        return self.play.world.access_portal.may_act(session.id).allowed

    def wait(self, minutes: float) -> None:
        """Let time pass, working every minute or so; seldom in a long while."""
        until = self.play.time.now + timedelta(minutes=minutes)
        every = timedelta(minutes=max(1.0, minutes / 12))
        while self.play.time.now < until:
            self.play.work()
            self.play.step(min(every, until - self.play.time.now))
        self.play.work()


@contextmanager
def scene(as_role: AsRole, *, inline: bool = False, polls: Polls = LOOKS, **switched: str) -> Iterator[Scene]:
    """A scene with severing on, in a service control policy at the root, or in the permission set's inline policy."""
    with stage(as_role, polls=polls) as play:
        build = Builder(play.world)
        account, elsewhere = build.account("payments"), build.account("elsewhere")
        granted = build.permission_set("EC2AdminAccess")
        extra = build.permission_set("EC2AdminAccess_Reports")
        build.assign(play.world_group, granted, account)
        everyone = play.world.directory.find_group_by_name("AWS - All employees")
        assert everyone is not None
        build.assign(everyone, extra, account)
        build.assign(everyone, granted, elsewhere)
        policy = play.world.control_policies.create("sessions", "prepared by an operator", OPERATORS_OWN)
        root = play.world.state.organization.root_id
        play.world.control_policies.attach(policy.id, root)
        assignment = play.group.account_assignments.get()
        unit = OrganizationalUnit.objects.create(unit_id=root, name="Root")
        PermissionSet.objects.filter(pk=assignment.permission_set_id).update(
            arn=granted.arn, name=granted.name
        )
        PermissionSet.objects.create(arn=extra.arn, name=extra.name)
        AwsAccount.objects.filter(pk=assignment.account_id).update(account_id=account.id, unit=unit)
        place = "EC2AdminAccess=inline" if inline else f"*=scp:{policy.id}"
        settings = {"SESSION_SEVERING": "on", "SESSION_SEVERING_PLACES": place, **switched}
        with override_settings(**settings):
            yield Scene(play, account, elsewhere, granted, extra, policy)
