"""What sign-in needs to know about a person, and where it asks."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Account:
    """A person as the sign-in pages and tokens see him or her."""

    object_id: str
    tenant_id: str
    name: str
    user_principal_name: str
    email: str | None
    given_name: str | None = None
    surname: str | None = None
    enabled: bool = True
    app_roles: tuple[str, ...] = ()
    hint: str = ""
    """What to try as this person, shown in the account picker; empty for most."""


class Accounts(Protocol):
    """The people who may be picked at sign-in."""

    @property
    def tenant_id(self) -> str:
        """The tenant asked for sign-in."""

    def find(self, object_id: str) -> Account | None:
        """The person with this object id, of whichever tenant, or None."""

    def featured(self) -> list[Account]:
        """The few whom a visitor should try first, in order."""

    def search(self, text: str, limit: int) -> list[Account]:
        """People whose name or user principal name contains `text`, by name, at most `limit`."""
