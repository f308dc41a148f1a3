"""The world's people as sign-in sees them."""

import threading

from simulator.entra.accounts import Account
from simulator.world.state import User
from simulator.world.world import World


class WorldAccounts:
    """Accounts out of the world, those of the other tenant included."""

    def __init__(self, world: World, lock: threading.RLock) -> None:
        self._world = world
        self._lock = lock

    @property
    def tenant_id(self) -> str:
        """The tenant whose people have accounts here."""
        return self._world.state.tenant_id

    def find(self, object_id: str) -> Account | None:
        """The person with this object id, of whichever tenant."""
        with self._lock:
            self._world.advance()
            person = self._world.directory.find_user(object_id)
            if person is not None:
                return self._account(person, self.tenant_id)
            stranger = self._world.state.foreign_users.get(object_id)
            return self._account(stranger, self._world.state.foreign_tenant_id) if stranger else None

    def featured(self) -> list[Account]:
        """Those with something to try, in their order."""
        found = [each for each in self._everybody() if each[0].featured]
        found.sort(key=lambda each: (each[0].featured_order, each[0].display_name))
        return [self._account(*each) for each in found]

    def search(self, text: str, limit: int) -> list[Account]:
        """People by a part of their name or user principal name."""
        sought = text.casefold()
        found = [
            each
            for each in self._everybody()
            if sought in each[0].display_name.casefold() or sought in each[0].user_principal_name.casefold()
        ]
        found.sort(key=lambda each: each[0].display_name.casefold())
        return [self._account(*each) for each in found[:limit]]

    def _everybody(self) -> list[tuple[User, str]]:
        with self._lock:
            self._world.advance()
            state = self._world.state
            return [
                *((person, state.tenant_id) for person in self._world.directory.users()),
                *((person, state.foreign_tenant_id) for person in state.foreign_users.values()),
            ]

    @staticmethod
    def _account(person: User, tenant_id: str) -> Account:
        return Account(
            object_id=person.id,
            tenant_id=tenant_id,
            name=person.display_name,
            user_principal_name=person.user_principal_name,
            email=person.mail,
            given_name=person.given_name,
            surname=person.surname,
            enabled=person.account_enabled,
            app_roles=tuple(person.app_roles),
            hint=person.featured,
        )
