"""A small world behind the pages, and people who are signed in to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import pytest
from django.conf import settings as django_settings
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from base.clock import business_now, real_now
from catalog.models import PimGroup, ProvisioningState
from identity.models import Person, SignIn
from policy.models import RuleVersion
from requests_app.models import RequestItem
from tests.requests_app import factories as make

type AsRole = Callable[[str], AbstractContextManager[None]]


def main_of(answer: HttpResponse) -> str:
    """What is inside <main>, without the tokens that differ from page to page."""
    text = answer.content.decode()
    return re.sub(
        r'name="csrfmiddlewaretoken" value="[^"]*"', "", text.partition("<main")[2].partition("</main>")[0]
    )


@dataclass(frozen=True)
class Visitor:
    """A browser in which somebody is signed in; the portal answers with the rights of the web process."""

    client: Client
    as_role: AsRole

    def get(self, path: str, **headers: str) -> HttpResponse:
        with self.as_role("portal_web"):
            return cast("HttpResponse", self.client.get(path, headers=headers))

    def post(self, path: str, **fields: str | list[str]) -> HttpResponse:
        with self.as_role("portal_web"):
            return cast("HttpResponse", self.client.post(path, fields))


@dataclass(frozen=True)
class World:
    """Ada may ask for the group, Ben decides on it, Cy has nothing to do with either."""

    ada: Person
    ben: Person
    cy: Person
    group: PimGroup
    rule: RuleVersion
    as_role: AsRole

    def sign_in(self, person: Person, *app_roles: str) -> Visitor:
        """A browser in which this person is signed in, with these app roles of Entra."""
        with self.as_role("portal_web"):
            user = make.login(person, *app_roles)
            client = Client()
            client.force_login(user, backend=django_settings.AUTHENTICATION_BACKENDS[0])
            key = str(client.session.session_key)
            SignIn.objects.create(session_key=key, user=user, started_at=real_now(), seen_at=real_now())
        return Visitor(client, self.as_role)

    def ask(self, *, duration: timedelta = timedelta(hours=1)) -> RequestItem:
        """A pending request of Ada's."""
        with self.as_role("portal_web"):
            return make.pending_item(self.ada, self.group, self.rule, duration=duration)


@pytest.fixture
def world(db: None, as_role: AsRole, settings: Settings) -> World:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.AWS_ACCESS_PORTAL_URL = "https://acme.awsapps.com/start"
    settings.AWS_SSO_REGION = "eu-central-1"
    ada, ben, cy = make.person("Ada Asker"), make.person("Ben Boss"), make.person("Cy Bystander")
    group = make.pim_group("AWS - Amazon EC2 Admin")
    version = make.rule(ben, groups=(group,))
    make.eligibility(ada, group)
    ProvisioningState.objects.create(
        job_id="job", code="Active", last_cycle_completed=True, observed_at=business_now()
    )
    return World(ada=ada, ben=ben, cy=cy, group=group, rule=version, as_role=as_role)
