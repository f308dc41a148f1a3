"""What the tests of going without an approval share: a rule that allows it, and asking under it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any
from uuid import UUID

from base.clock import real_now
from identity.models import Person
from policy.document import document_hash
from policy.models import Rule, RuleVersion
from requests_app.actions.submitting import submit_request
from requests_app.models import RequestItem
from requests_app.waivers.asking import EmergencyAsk
from requests_app.waivers.models import OwedReview, Waiver
from tests.requests_app import factories as make
from tests.support.stage import Stage

WHY = "Customers can't pay, and nobody answers"


def emergency(*allowed: Person, reviewers: Any, **extra: Any) -> dict[str, Any]:
    """An emergency of a rule: one hour at most, reviewed within two days, blocking after seven.

    `reviewers` are people, or what a document says.
    """
    named = isinstance(reviewers, list) and all(isinstance(each, Person) for each in reviewers)
    return {
        "emergency": {
            "allowed": {"people": [each.object_id for each in allowed]},
            "longest_duration": "PT1H",
            "reviewers": {"people": [each.object_id for each in reviewers]} if named else reviewers,
            **extra,
        }
    }


def rule_with(play: Stage, extra: dict[str, Any], *, deciders: list[Person] | None = None) -> RuleVersion:
    """A rule with this besides one approver, which judges the group together with those that were made before."""
    document = {
        "groups": [play.group.object_id],
        "stages": [{"people": [each.object_id for each in deciders or [play.boss]], "quorum": 1}],
        "shortest_justification": 10,
        "lapses_after": "P1D",
        **extra,
    }
    made = Rule.objects.create(name=f"rule {uuid.uuid4()}")
    version = RuleVersion.objects.create(
        rule=made, number=1, document=document, document_hash=document_hash(document), created_at=real_now(),
        created_by="tests",
    )  # fmt: skip
    Rule.objects.filter(pk=made.pk).update(current=version)
    return version


def only_rule(play: Stage, extra: dict[str, Any]) -> RuleVersion:
    """As `rule_with`, alone."""
    Rule.objects.update(retired=True)
    return rule_with(play, extra)


def ask(
    play: Stage,
    *,
    why: str = WHY,
    drill: bool = False,
    ordinary: bool = False,
    who: Person | None = None,
    minutes: int = 30,
    reference: str = "",
) -> RequestItem:
    """Ask in an emergency, in the browser; `ordinary` asks as always."""
    person = who or play.asker
    with play.as_role("portal_web"):
        request_id: UUID = submit_request(
            requester_id=person.pk,
            group_object_id=play.group.object_id,
            duration=timedelta(minutes=minutes),
            justification="Restart the payment service",
            reference=reference,
            actor=make.actor(person),
            emergency=None if ordinary else EmergencyAsk(why, drill),
        )
    return RequestItem.objects.get(request=request_id)


def waiver_of(item: RequestItem) -> Waiver:
    return Waiver.objects.select_related("item").get(item=item)


def review_of(item: RequestItem) -> OwedReview:
    return OwedReview.objects.get(waiver__item=item)


def operator(play: Stage, person: Person) -> Person:
    """Somebody whose last sign-in made them an operator."""
    with play.as_role("portal_web"):
        make.login(person, "Operator")
    return Person.objects.get(pk=person.pk)
