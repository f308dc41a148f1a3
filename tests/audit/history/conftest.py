"""People who look at the auditor's pages, and a request to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from django.test import Client
from pytest_django import Settings

from base.clock import real_now
from identity.models import AppRole, Person, SignIn, User
from tests.requests_app import factories as make

type AsRole = Callable[[str], AbstractContextManager[None]]
type SignedIn = Callable[..., Client]


@pytest.fixture(autouse=True)
def _site(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.ENTRA_TENANT_ID = make.TENANT


def browser_of(person: Person, *app_roles: str) -> Client:
    """A browser in which this person is signed in."""
    user = User.objects.filter(person=person).first() or make.login(person, *app_roles)
    client = Client()
    client.force_login(user)
    now = real_now()
    SignIn.objects.create(
        session_key=client.session.session_key or "", user=user, started_at=now, seen_at=now
    )
    return client


@pytest.fixture
def auditor(db: None, as_role: AsRole) -> Iterator[Client]:
    """An auditor's browser; the page's queries run with the rights of the web process."""
    person = make.person("Olga Auditor")
    with as_role("portal_web"):
        yield browser_of(person, AppRole.AUDITOR)
