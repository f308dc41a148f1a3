"""A small world for tests: stepped clock, two people, one PIM group that opens one account."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from simulator.sample.builder import Builder, empty_world
from simulator.world.aws_state import Account, PermissionSet
from simulator.world.clock import WorldClock
from simulator.world.pim import Ask, Caller
from simulator.world.state import Expiration, Group, Identity, ScheduleRequest, User
from simulator.world.world import World

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
APPLICATION = Caller(Identity(application_id="11111111-0000-4000-8000-000000000001"))


@dataclass
class Small:
    """The pieces of the small world."""

    world: World
    builder: Builder
    ada: User
    bob: User
    group: Group
    baseline: Group
    permission_set: PermissionSet
    account: Account

    def step(self, **by: float) -> datetime:
        return self.world.step(timedelta(**by))

    def user_id_in_store(self, user: User) -> str:
        found = self.world.identity_store.find_user_by_external_id(user.id)
        assert found is not None
        return found.id

    def in_aws(self, user: User, group: Group | None = None) -> bool:
        store_group = self.builder.store_group(group or self.group)
        return self.world.identity_store.is_member(self.user_id_in_store(user), store_group.id)

    def assign(self, user: User, *, duration: str = "PT2H", group: Group | None = None) -> ScheduleRequest:
        """adminAssign by the application."""
        return self.world.pim.request_assignment(
            self.ask("adminAssign", user, duration=duration, group=group), APPLICATION
        )

    def remove(self, user: User, group: Group | None = None) -> ScheduleRequest:
        """adminRemove by the application."""
        return self.world.pim.request_assignment(
            Ask("adminRemove", (group or self.group).id, user.id), APPLICATION
        )

    def remove_behind_back(self, user: User | None = None) -> None:
        """Somebody takes Ada (or another) out of the group in the identity store."""
        group = self.builder.store_group(self.group).id
        self.world.identity_store.remove_member(group, self.user_id_in_store(user or self.ada), by="console")

    def ask(
        self, action: str, user: User, *, duration: str | None = "PT2H", group: Group | None = None
    ) -> Ask:
        expiration = Expiration("afterDuration", duration) if duration else None
        return Ask(
            action, (group or self.group).id, user.id, expiration=expiration, justification="look at a fault"
        )


def person(user: User, *, mfa: bool = False, acrs: frozenset[str] = frozenset()) -> Caller:
    """The person's own token."""
    return Caller(Identity(user_id=user.id), user_id=user.id, mfa=mfa, acrs=acrs)


def small_world(*, provisioned: bool = True) -> Small:
    """A world in which the initial cycle is done; the next begins forty minutes after START."""
    world = empty_world(WorldClock.stepping(START), seed="test")
    builder = Builder(world)
    names = {"given_name": "Ada", "surname": "Moore", "mail": "ada@acme.example"}
    ada = builder.user("ada@acme.example", "Ada Moore", **names)
    bob = builder.user("bob@acme.example", "Bob Reyes", given_name="Bob", surname="Reyes")
    baseline = builder.group("AWS - All employees", assigned=True)
    group = builder.group("AWS - Amazon EC2 Admin", assigned=True)
    for user in (ada, bob):
        builder.member(baseline, user)
    builder.eligible(group, ada)
    account = builder.account("Web Production", account_id="222233334444")
    permission_set = builder.permission_set(
        "EC2AdminAccess", managed=("arn:aws:iam::aws:policy/AmazonEC2FullAccess",)
    )
    if provisioned:
        builder.provision()
        builder.assign(group, permission_set, account)
    return Small(world, builder, ada, bob, group, baseline, permission_set, account)
