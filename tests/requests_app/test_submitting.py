"""Asking: what is refused, with which sentence, and what is stored when it isn't."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.ledger.models import Event
from base.clock import business_now
from base.errors import Conflict, Invalid, Missing
from catalog.models import AccountAssignment, Eligibility, PimGroup
from identity.models import Person
from policy.models import Rule
from policy.requestable import Requestability, requestability
from requests_app.actions import submitting
from requests_app.actions.submitting import MOST_PENDING, submit_request
from requests_app.models import AccessRequest, RequestItem, RequestScope
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole


@pytest.fixture(autouse=True)
def as_web(as_role: AsRole, asker: Person, boss: Person, group: PimGroup) -> Any:
    """Requests are made by the web process, with its rights."""
    with as_role("portal_web"):
        yield


def ask(asker: Person, group: PimGroup | str, **changes: Any) -> UUID:
    values: dict[str, Any] = {
        "duration": timedelta(hours=1),
        "justification": "Fix the stuck deployment",
        "reference": "",
        **changes,
    }
    return submit_request(
        requester_id=asker.pk,
        group_object_id=group if isinstance(group, str) else group.object_id,
        actor=make.actor(asker),
        **values,
    )


def test_a_request_keeps_what_it_opens_and_the_rule_it_is_judged_by(asker: Person, group: PimGroup) -> None:
    request = AccessRequest.objects.get(pk=ask(asker, group, reference="INC0012345"))
    item = RequestItem.objects.get(request=request)
    assert (item.status, item.version, item.duration) == ("pending", 1, timedelta(hours=1))
    assert item.terms.versions == {Rule.objects.get().current_id}
    assert RequestScope.objects.filter(item=item).count() == 2
    assert item.lapses_at == item.created_at + timedelta(days=1)
    assert request.reference == "INC0012345"


def test_a_request_leaves_one_event_for_itself_and_one_for_its_item(asker: Person, group: PimGroup) -> None:
    request_id = ask(asker, group)
    events = Event.objects.filter(request_id=request_id).order_by("id")
    assert [event.type for event in events] == ["request.submitted", "item.requested"]


def test_a_group_without_eligibility_is_as_absent_as_none(
    asker: Person, group: PimGroup, as_role: AsRole
) -> None:
    with as_role("portal_worker"):
        other = make.pim_group()
    with pytest.raises(Missing) as foreign:
        ask(asker, other)
    with pytest.raises(Missing) as absent:
        ask(asker, "00000000-0000-4000-8000-000000000000")
    assert foreign.value.sentence == absent.value.sentence
    assert not AccessRequest.objects.exists()


def test_an_eligibility_that_is_over_is_refused(asker: Person, group: PimGroup, as_role: AsRole) -> None:
    with as_role("portal_worker"):
        Eligibility.objects.update(ends_at=business_now() - timedelta(seconds=1))
    with pytest.raises(Invalid, match="no eligibility"):
        ask(asker, group)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"requires_mfa": True}, "pim.mfa"),
        ({"authentication_context": "unnamed"}, "pim.authentication_context"),
        ({"managed": False}, "group.not_managed"),
        ({"role_assignable": True}, "group.role_assignable"),
        ({"dynamic": True}, "group.kind"),
        ({"assigned_to_application": False}, "group.not_assigned"),
        ({"store_group_id": ""}, "group.not_in_aws"),
        ({"account_count": 0}, "group.opens_nothing"),
        ({"present": False}, "group.gone"),
        ({"policy_read_at": None}, "policy.unread"),
    ],
)
def test_a_group_that_can_not_be_asked_for_says_why(
    asker: Person, group: PimGroup, as_role: AsRole, change: dict[str, Any], code: str
) -> None:
    with as_role("portal_worker"):
        PimGroup.objects.filter(pk=group.pk).update(**change)
    with pytest.raises(Invalid) as refusal:
        ask(asker, group)
    assert refusal.value.code == code
    assert not AccessRequest.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"duration": timedelta(minutes=9, seconds=59)}, "duration"),
        ({"duration": timedelta(hours=8, seconds=1)}, "duration"),
        ({"duration": timedelta(hours=-1)}, "duration"),
        ({"justification": "short"}, "justification"),
        ({"justification": " " * 50}, "justification"),
        ({"justification": "x" * 2001}, "justification"),
        ({"justification": "hidden \u202e reversed text"}, "justification"),
        ({"reference": "=HYPERLINK(1)"}, "reference"),
        ({"reference": "x" * 65}, "reference"),
    ],
)
def test_bad_input_is_refused_at_its_field(
    asker: Person, group: PimGroup, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        ask(asker, group, **change)
    assert refusal.value.field == field


def test_joined_emoji_and_scripts_with_joiners_are_words(asker: Person, group: PimGroup) -> None:
    words = (
        "With \U0001f468\u200d\U0001f469\u200d\U0001f467 and \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )
    assert AccessRequest.objects.get(pk=ask(asker, group, justification=words)).justification == words


def test_the_duration_never_goes_past_the_eligibilitys_own_end(
    asker: Person, group: PimGroup, as_role: AsRole
) -> None:
    with as_role("portal_worker"):
        Eligibility.objects.update(ends_at=business_now() + timedelta(minutes=30))
    with pytest.raises(Invalid, match="At most"):
        ask(asker, group, duration=timedelta(hours=1))
    request_id = ask(asker, group, duration=timedelta(minutes=29))
    assert RequestItem.objects.get(request_id=request_id).duration == timedelta(minutes=29)


def test_the_same_can_not_be_asked_twice(asker: Person, group: PimGroup) -> None:
    ask(asker, group)
    with pytest.raises(Conflict, match="already have a request"):
        ask(asker, group)
    assert AccessRequest.objects.count() == 1


def test_nobody_but_oneself_to_decide_is_refused(asker: Person, group: PimGroup, as_role: AsRole) -> None:
    with as_role("portal_worker"):
        Person.objects.exclude(pk=asker.pk).update(enabled=False)
    with pytest.raises(Invalid, match=r"Nobody could decide on your request\. 1 of them can.t"):
        ask(asker, group)


def test_too_many_open_requests_are_refused(asker: Person, boss: Person, as_role: AsRole) -> None:
    with as_role("portal_worker"):
        groups = [make.pim_group(accounts=1) for _ in range(MOST_PENDING + 1)]
        for each in groups:
            make.eligibility(asker, each)
        make.rule(boss)
    for each in groups[:-1]:
        ask(asker, each)
    with pytest.raises(Conflict, match="Withdraw one"):
        ask(asker, groups[-1])


def meanwhile(monkeypatch: pytest.MonkeyPatch, as_role: AsRole, change: Callable[[], object]) -> None:
    """Catalogue sync commits this between the judgement and the writing."""

    def judged(*args: Any, **more: Any) -> Requestability:
        found = requestability(*args, **more)
        with as_role("portal_worker"):
            change()
        return found

    monkeypatch.setattr(submitting, "requestability", judged)


def test_a_group_that_opens_nothing_any_more_is_refused_with_a_sentence(
    asker: Person, group: PimGroup, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, as_role, AccountAssignment.objects.filter(group=group).delete)
    with pytest.raises(Invalid, match="has changed just now") as refusal:
        ask(asker, group)
    assert refusal.value.code == "group.changing"
    assert not AccessRequest.objects.exists()


def test_what_a_group_opens_is_kept_with_the_hash_that_belongs_to_it(
    asker: Person, group: PimGroup, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, as_role, lambda: PimGroup.objects.filter(pk=group.pk).update(scope_hash="another"))
    with pytest.raises(Invalid, match="has changed just now"):
        ask(asker, group)
    assert not AccessRequest.objects.exists()


def test_the_longest_time_is_said_as_pages_say_it(asker: Person, group: PimGroup) -> None:
    with pytest.raises(Invalid, match=r"^At most 8 h can be asked for here\."):
        ask(asker, group, duration=timedelta(hours=9))


def test_the_queries_of_a_submission_do_not_grow_with_what_it_opens(
    asker: Person, group: PimGroup, boss: Person, as_role: AsRole
) -> None:
    with as_role("portal_worker"):
        wide = make.pim_group(accounts=40)
        make.eligibility(asker, wide)
        make.rule(boss, groups=(wide,))
    with CaptureQueriesContext(connection) as narrow_queries:
        ask(asker, group)
    with CaptureQueriesContext(connection) as wide_queries:
        ask(asker, wide)
    assert len(wide_queries) == len(narrow_queries)
