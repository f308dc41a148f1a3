"""Opening a page changes nothing: every address by GET, as somebody who may see everything."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from pytest_django import Settings

from base.clock import real_now
from identity.models import Person, SignIn, User
from tests.accessportal.test_http import addresses
from tests.requests_app import factories as make

# A page that finds nothing within a bounded look rolls that look back, which writes nothing either.
READS = re.compile(
    r"\s*(SELECT|WITH|SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT|DECLARE|SET|RESET)\b", re.IGNORECASE
)
# A page about eligibilities notes that a fresh look is wanted; a worker then looks.
# A page that has nothing to show leads to another one, with a word for it in the reader's own session.
WANTED = re.compile(r"(INSERT INTO|UPDATE) \"(catalog_personrefresh|django_session)\"")


def signed_in(client: Client, as_role: Callable[[str], AbstractContextManager[None]]) -> User:
    """A session of an auditor and operator, as sign-in leaves it."""
    person = Person.objects.create(tenant_id="t", object_id="o", display_name="Nora Lind")
    with as_role("portal_web"):
        user = make.login(person, "Auditor", "Operator")
        client.force_login(user)
        now = real_now()
        key = client.session.session_key or ""
        SignIn.objects.create(session_key=key, user=user, started_at=now, seen_at=now)
    return user


@pytest.mark.django_db
def test_no_page_writes_anything(
    client: Client, settings: Settings, as_role: Callable[[str], AbstractContextManager[None]]
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.PORTAL_ORIGIN = "http://testserver"
    signed_in(client, as_role)
    statuses: dict[str, int] = {}
    with as_role("portal_web"), CaptureQueriesContext(connection) as queries:
        for address, pattern in addresses(get_resolver()):
            if "callback" in pattern.callback.__name__:
                continue  # nothing comes back that wasn't sent; a refusal is recorded
            statuses[address] = client.get(address).status_code
    written = [query["sql"] for query in queries if not READS.match(query["sql"])]
    assert [sql for sql in written if not WANTED.match(sql)] == []
    assert set(statuses.values()) <= {200, 302, 401, 404, 405}
    assert sum(status == 200 for status in statuses.values()) >= 5
