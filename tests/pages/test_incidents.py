"""Incidents on the pages: freezing with all of it in view, the banners, the refusals, and the second operator."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from catalog.models import AwsAccount, PermissionSet
from requests_app.actions.freezing import carry_freezes
from requests_app.freezes.models import Freeze
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant, RequestItem
from tests.pages.conftest import Visitor, World, main_of
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make

WORDS = "The access key of a deployment was published"
NEW = "/operations/incidents/new/"


def account_of(world: World) -> AwsAccount:
    return AwsAccount.objects.filter(account_assignments__group=world.group).order_by("name")[0]


def confirm_address(world: World) -> str:
    return f"{NEW}confirm/?{urlencode({'kind': 'account', 'subject': account_of(world).account_id})}"


def frozen(world: World, operator: Visitor) -> Freeze:
    assert operator.post(confirm_address(world), reason=WORDS).status_code == 302
    return Freeze.objects.latest("frozen_at")


def held(world: World) -> Grant:
    item = world.ask()
    decide(item, world.ben, "approve", world.as_role)
    return bring(make.scheduled_grant(item), GrantStatus.ACTIVE)


@pytest.mark.parametrize(
    ("roles", "reads", "acts"), [((), 404, 404), (("Auditor",), 200, 404), (("Operator",), 200, 200)]
)
def test_who_may_open_what(world: World, roles: tuple[str, ...], reads: int, acts: int) -> None:
    row = frozen(world, world.sign_in(world.ben, "Operator"))
    visitor = world.sign_in(world.cy, *roles)
    for path in ("/operations/incidents/", f"/operations/incidents/{row.pk}/"):
        assert visitor.get(path).status_code == reads
    for path in (NEW, confirm_address(world)):
        assert visitor.get(path).status_code == acts
    if acts == 404:
        assert visitor.post(confirm_address(world), reason=WORDS).status_code == 404
        assert visitor.post(f"/operations/incidents/{row.pk}/lift/", reason="x").status_code == 404
        assert Freeze.objects.filter(lifted_at=None).count() == 1


def test_the_search_finds_people_accounts_and_permission_sets(world: World) -> None:
    operator = world.sign_in(world.cy, "Operator")
    made = PermissionSet.objects.get(
        account_assignments__group=world.group, account_assignments__account=account_of(world)
    )
    for query, name in (
        ("ada ask", "Ada Asker"),
        (account_of(world).account_id, account_of(world).name),
        (made.name.lower(), made.name),
    ):
        page = main_of(operator.get(f"{NEW}?{urlencode({'q': query})}"))
        assert name in page, query
        assert "confirm/?kind=" in page
    assert "Nothing fits" in main_of(operator.get(f"{NEW}?q=nobody-of-this-name"))
    for number in range(12):
        make.person(f"Many Of {number}")
    page = main_of(operator.get(f"{NEW}?q=many+of"))
    assert page.count("Many Of") == 10
    assert "more than fit" in page
    assert operator.get(f"{NEW}confirm/?kind=account&subject=0").status_code == 404
    assert operator.get(f"{NEW}confirm/?kind=world&subject=0").status_code == 404


def test_before_it_is_confirmed_the_page_shows_all_that_ends(world: World) -> None:
    grant = held(world)
    other = make.person("Otto Other")
    with world.as_role("portal_web"):
        make.pending_item(other, world.group, world.rule)
    page = main_of(world.sign_in(world.cy, "Operator").get(confirm_address(world)))
    assert "1 grant</span> of 1 person in 1 PIM group" in page
    assert "1 request</span>" in page
    assert "Ada Asker" in page
    for account in AwsAccount.objects.filter(account_assignments__group=world.group):
        assert account.name in page, "the whole of what the group opens, not the frozen account alone"
    assert not Freeze.objects.exists()
    assert Grant.objects.get(pk=grant.pk).status == "active"


def test_without_a_reason_nothing_is_frozen(world: World) -> None:
    answer = world.sign_in(world.cy, "Operator").post(confirm_address(world), reason=" ")
    assert answer.status_code == 422
    assert "Say why" in main_of(answer)
    assert not Freeze.objects.exists()


def test_freezing_twice_says_that_it_is_frozen(world: World) -> None:
    operator = world.sign_in(world.cy, "Operator")
    frozen(world, operator)
    answer = operator.post(confirm_address(world), reason=WORDS)
    assert answer.status_code == 409
    assert "frozen already" in main_of(answer)
    page = main_of(operator.get(f"{NEW}?q={account_of(world).account_id}"))
    assert "confirm/?kind=" not in page, "it leads to the incident instead"


def test_from_the_freeze_to_the_lifting(world: World) -> None:
    grant = held(world)
    first, second = world.sign_in(world.cy, "Operator"), world.sign_in(world.ben, "Operator")
    row = frozen(world, first)
    address = f"/operations/incidents/{row.pk}/"
    page = main_of(second.get(address))
    assert "Workers are still ending what is open: 1 grant to go" in page
    answer = second.post(f"{address}lift/", reason="It is over")
    assert answer.status_code == 409
    assert "still ending" in main_of(answer)
    carry_freezes()
    page = main_of(second.get(address))
    assert "Ended under it</dt><dd>1 grant, 0 requests closed" in page
    assert "Being removed from Entra" in page
    assert "What it ended" in page
    assert page.count(f'href="/requests/{grant.first_request_id}/"') == 2, "on its way out, and ended"
    # The holder reads who ended it and why.
    request = main_of(world.sign_in(world.ada).get(f"/requests/{grant.first_request_id}/"))
    assert "Ended in an incident by Cy Bystander" in request
    assert WORDS in request
    # The first operator is told that it takes another.
    assert "A second operator has to lift it" in main_of(first.get(address))
    answer = first.post(f"{address}lift/", reason="It is over")
    assert answer.status_code == 403
    assert "You froze this yourself" in main_of(answer)
    assert second.post(f"{address}lift/", reason="").status_code == 422
    assert second.post(f"{address}lift/", reason="The key is revoked").status_code == 302
    page = main_of(first.get(address))
    assert "Lifted by</dt><dd>Ben Boss" in page
    assert "The key is revoked" in page
    assert "Lift the freeze" not in page
    assert f'href="/requests/{grant.first_request_id}/"' in page, "it still says what it ended"
    # A freeze of the same group by the same person in the same words has its own list.
    again = frozen(world, first)
    assert again.pk != row.pk
    carry_freezes()
    assert "What it ended" not in main_of(first.get(f"/operations/incidents/{again.pk}/"))
    assert "Ben Boss" in main_of(first.get("/operations/incidents/"))


def test_it_lists_the_requests_that_it_closed(world: World) -> None:
    item = world.ask()
    operator = world.sign_in(world.cy, "Operator")
    row = frozen(world, operator)
    address = f"/operations/incidents/{row.pk}/"
    assert "What it ended" not in main_of(operator.get(address))
    carry_freezes()
    page = main_of(operator.get(address))
    assert "0 grants, 1 request" in page
    assert f'href="/requests/{item.request_id}/"' in page


def test_those_concerned_are_told_and_others_are_not(world: World) -> None:
    operator = world.sign_in(world.cy, "Operator")
    ada, ben = world.sign_in(world.ada), world.sign_in(world.ben)
    group = f"/access/{world.group.object_id}/"
    frozen(world, operator)
    for path in (group, f"{group}request/", "/access/"):
        assert "frozen in an incident" in main_of(ada.get(path)), path
    answer = ada.post(f"{group}request/", length="60", justification="Fix the stuck deployment", reference="")
    assert answer.status_code in (409, 422)
    assert "frozen in an incident" in main_of(answer)
    assert not RequestItem.objects.exists()
    assert "Frozen in an incident" in main_of(operator.get("/requests/")), "operators, on every page"
    for visitor in (ada, ben):
        assert "rozen" not in main_of(visitor.get("/requests/"))


def test_an_approver_sees_why_and_can_only_deny(world: World) -> None:
    item = world.ask()
    operator, ben = world.sign_in(world.cy, "Operator"), world.sign_in(world.ben)
    frozen(world, operator)
    address = f"/approvals/{item.pk}/"
    page = main_of(ben.get(address))
    assert "frozen in an incident" in page
    assert 'value="approve"' not in page
    assert 'value="deny"' in page
    answer = ben.post(address, verdict="approve", comment="", shown=make.shown(item))
    assert answer.status_code == 409
    assert "Your approval was not taken" in answer.content.decode()
    denial = {"verdict": "deny", "comment": "Not while this lasts", "shown": make.shown(item)}
    assert ben.post(address, **denial).status_code == 302


def test_whoever_is_frozen_is_told_on_every_page(world: World) -> None:
    operator, ada = world.sign_in(world.cy, "Operator"), world.sign_in(world.ada)
    named = urlencode({"kind": "person", "subject": world.ada.object_id})
    assert operator.post(f"{NEW}confirm/?{named}", reason=WORDS).status_code == 302
    for path in ("/", "/requests/", "/access/"):
        assert "Your access is frozen" in main_of(ada.get(path)), path
    assert WORDS not in main_of(ada.get("/")), (
        "whose grants end reads the words, a banner doesn't spread them"
    )
