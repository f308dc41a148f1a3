"""Emergency use for tests of pages and of the trail: rows made by the product's own doors, without any cloud."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from unittest.mock import patch

from base.clock import business_now, real_now
from catalog.models import PimGroup, ProvisioningState
from identity.models import Person
from policy.document import document_hash
from policy.models import Rule, RuleVersion
from requests_app.actions.granting import Bounds
from requests_app.actions.submitting import submit_request
from requests_app.models import RequestItem
from requests_app.waivers.asking import EmergencyAsk
from requests_app.waivers.models import OwedReview
from requests_app.waivers.settling import check_waiver
from tests.requests_app import factories as make

type AsRole = Callable[[str], AbstractContextManager[None]]
WHY = "Customers can't pay, and nobody answers"


def emergency_rule(person: Person, group: PimGroup, reviewer: Person) -> RuleVersion:
    """A rule of the group by which this person may go without an approval, and the other one decides and reviews."""
    document = {
        "groups": [group.object_id],
        "stages": [{"people": [reviewer.object_id], "quorum": 1}],
        "emergency": {
            "allowed": {"people": [person.object_id]},
            "longest_duration": "PT1H",
            "reviewers": {"people": [reviewer.object_id]},
        },
    }
    made = Rule.objects.create(name=f"emergencies of {group.object_id}")
    version = RuleVersion.objects.create(
        rule=made, number=1, document=document, document_hash=document_hash(document), created_at=real_now(),
        created_by="tests",
    )  # fmt: skip
    Rule.objects.filter(pk=made.pk).update(current=version)
    return version


def in_emergency(
    person: Person, group: PimGroup, reviewer: Person, as_role: AsRole, *, drill: bool = False
) -> RequestItem:
    """An emergency that somebody asks for, not checked yet."""
    emergency_rule(person, group, reviewer)
    make.eligibility(person, group)
    ProvisioningState.objects.get_or_create(
        job_id="job", defaults={"code": "Active", "last_cycle_completed": True, "observed_at": business_now()}
    )
    with as_role("portal_web"):
        request_id = submit_request(
            requester_id=person.pk,
            group_object_id=group.object_id,
            duration=timedelta(minutes=30),
            justification="Restart the payment service",
            reference="",
            actor=make.actor(person),
            emergency=EmergencyAsk(WHY, drill),
        )
    return RequestItem.objects.get(request=request_id)


def let_through(item: RequestItem, *, ago: timedelta = timedelta(0)) -> OwedReview:
    """What a worker settles where the clouds say yes; the review that is owed then, since `ago`."""
    owed_at = business_now() - ago
    with (
        patch("requests_app.waivers.settling.check_item", return_value=("", Bounds())),
        patch("requests_app.waivers.reviewing.business_now", return_value=owed_at),
    ):
        check_waiver(waiver_id=item.waiver.pk)
    return OwedReview.objects.get(waiver__item=item)
