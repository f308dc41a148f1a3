"""What the tests of deciding share: people, rules with stages, and words that are submitted."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from audit.ledger.models import Event
from base.clock import real_now
from base.errors import DomainError
from identity.models import Person
from policy.document import document_hash
from policy.models import Rule, RuleVersion
from requests_app.actions.deciding import submit_decision
from requests_app.models import Decision, RequestItem
from simulator.sample.builder import Builder
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole
from tests.support.stage import Stage, stage


@pytest.fixture
def play(as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        yield made


def colleague(play: Stage, name: str) -> Person:
    """Another person, in Entra and here."""
    user = Builder(play.world).user(f"{name.lower().replace(' ', '.')}@acme.example", name)
    return make.person(name, object_id=user.id, user_principal_name=user.user_principal_name)


def rule_of(play: Stage, *stages: dict[str, object], **more: object) -> RuleVersion:
    """A rule with these stages, which judges the group from now on."""
    document = {
        "groups": [play.group.object_id],
        "stages": list(stages),
        "shortest_justification": 10,
        "lapses_after": "P1D",
        **more,
    }
    Rule.objects.update(retired=True)
    made = Rule.objects.create(name=f"rule {uuid.uuid4()}")
    version = RuleVersion.objects.create(
        rule=made,
        number=1,
        document=document,
        document_hash=document_hash(document),
        created_at=real_now(),
        created_by="tests",
    )
    Rule.objects.filter(pk=made.pk).update(current=version)
    return version


def people(*deciders: Person, quorum: int = 1) -> dict[str, object]:
    return {"people": [each.object_id for each in deciders], "groups": [], "quorum": quorum}


def ask_under(play: Stage, rule: RuleVersion, *, duration: timedelta = timedelta(hours=1)) -> RequestItem:
    return replace(play, rule=rule).ask(duration=duration)


def submit(
    play: Stage,
    item_id: UUID,
    approver: Person,
    verdict: str = "approve",
    comment: str = "Because",
    shown: str | None = None,
    duration: timedelta | None = None,
) -> UUID:
    if shown is None:
        item = RequestItem.objects.filter(pk=item_id).first()
        shown = make.shown(item) if item else ""
    with play.as_role("portal_web"):
        return submit_decision(
            item_id=item_id,
            approver_id=approver.pk,
            verdict=verdict,
            comment=comment,
            shown=shown,
            duration=duration,
            actor=make.actor(approver),
        )


def refused(kind: type[DomainError], action: Callable[[], object]) -> DomainError:
    """What the action refuses with; nothing was stored."""
    before = Decision.objects.count(), Event.objects.count()
    with pytest.raises(kind) as caught:
        action()
    assert (Decision.objects.count(), Event.objects.count()) == before
    assert str(caught.value).endswith(".")
    return caught.value


def policy(play: Stage, **changes: object) -> None:
    """Change what PIM demands of an activation."""
    row = play.world.policies.policy(play.world_group.id)
    for name, value in changes.items():
        assert hasattr(row, name)
        setattr(row, name, value)


def second_account(play: Stage, of: Person) -> Person:
    twin = colleague(play, f"{of.display_name} Admin")
    Person.objects.filter(pk=twin.pk).update(employee_id=of.employee_id)
    twin.refresh_from_db()
    return twin
