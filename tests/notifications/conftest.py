"""The people and groups of the page tests, with mailboxes, and a postman who keeps what he is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from unittest.mock import patch

import pytest

from clients.errors import ClientError
from clients.types import Mail
from identity.models import Person
from notifications import sending
from tests.pages.conftest import World, world

__all__ = ["world"]


@dataclass
class Post:
    """A postman. `failing` is what he says instead of taking a mail."""

    mails: list[Mail] = field(default_factory=list)
    failing: ClientError | None = None

    def send(self, mail: Mail) -> None:
        if self.failing:
            raise self.failing
        self.mails.append(mail)

    def to(self, person: Person) -> list[str]:
        """The subjects of what this person got, oldest first."""
        return [
            mail.subject.removeprefix("[Access Portal] ") for mail in self.mails if person.mail in mail.to
        ]


@pytest.fixture
def post(world: World) -> Iterator[Post]:
    """Everybody of the world has a mailbox; what is sent comes here."""
    for person in (world.ada, world.ben, world.cy):
        give_mailbox(person)
    made = Post()
    with patch.object(sending, "postman", lambda: made):
        yield made


def give_mailbox(person: Person) -> Person:
    person.mail = f"{person.display_name.split()[0].lower()}.{person.pk}@example.com"
    person.save()
    return person
