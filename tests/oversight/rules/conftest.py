"""Operators, a set of rules to change, and somebody who may ask under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from identity.models import Person
from oversight.rules.applying import load_first
from oversight.rules.models import RuleChange
from oversight.rules.proposing import propose
from oversight.rules.state import in_force
from policy.document import parse_document
from tests.pages.conftest import AsRole, World, world
from tests.requests_app import factories as make

__all__ = ["world"]


@dataclass(frozen=True)
class Desk:
    """Two operators and the rules before them. Whatever operators do, the web process stores."""

    world: World
    pia: Person
    otto: Person
    as_role: AsRole

    def propose(self, changed: Mapping[str, Any], reason: str = "Shorter windows", **how: Any) -> RuleChange:
        """Pia proposes the rules in force with these on top; None takes one out."""
        raw = {**in_force()[0], **changed}
        rules = {name: parse_document(each) for name, each in raw.items() if each is not None}
        with self.as_role("portal_web"):
            made = propose(
                rules=rules, person_id=self.pia.pk, reason=reason, actor=make.actor(self.pia), **how
            )
        return RuleChange.objects.get(pk=made)

    def operator(self, name: str, **extra: Any) -> Person:
        """One more."""
        return operator(name, self.as_role, **extra)


def operator(name: str, as_role: AsRole, **extra: Any) -> Person:
    """Somebody with the operator's role."""
    found = make.person(name, **extra)
    with as_role("portal_web"):
        make.login(found, "Operator")
    return found


def wording(who: Person, **more: Any) -> dict[str, Any]:
    """A rule in which one person decides."""
    return {"stages": [{"people": [who.object_id], "groups": [], "quorum": 1}], **more}


@pytest.fixture
def desk(world: World, as_role: AsRole) -> Desk:
    """Beside the world's own rule, which is in force."""
    pia, otto = operator("Pia Proposer", as_role), operator("Otto Operator", as_role)
    return Desk(world, pia, otto, as_role)


def load(rules: Mapping[str, Any]) -> None:
    """The very first rules."""
    load_first({name: parse_document(raw) for name, raw in rules.items()}, reason="To begin with")
