"""What the life cycle's tests share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from catalog.models import PimGroup
from identity.models import Person
from policy.models import RuleVersion
from requests_app.models import RequestItem
from tests.requests_app import factories as make

type AsRole = Callable[[str], AbstractContextManager[None]]


@pytest.fixture
def asker(db: None) -> Person:
    """Somebody who may ask."""
    return make.person("Ada Asker")


@pytest.fixture
def boss(db: None) -> Person:
    """Somebody who may decide."""
    return make.person("Ben Boss")


@pytest.fixture
def group(db: None, asker: Person, boss: Person) -> PimGroup:
    """A group that Ada may ask for and Ben decides on."""
    group = make.pim_group("AWS - Amazon EC2 Admin")
    make.eligibility(asker, group)
    make.rule(boss, groups=(group,))
    return group


@pytest.fixture
def item(as_role: AsRole, asker: Person, boss: Person, group: PimGroup) -> RequestItem:
    """Ada's pending request."""
    version = RuleVersion.objects.get()
    with as_role("portal_web"):
        return make.pending_item(asker, group, version)
