"""A request's page: who sees it, what it says, what can be done from it."""

from __future__ import annotations

import html
import re
import uuid
from datetime import timedelta

import pytest
from django_subatomic.db import transaction

from base.clock import business_now
from requests_app.actions.extending import extend
from requests_app.lifecycle import TERMINAL, GrantStatus, ItemStatus
from requests_app.models import Grant, RequestItem
from tests.pages.conftest import Visitor, World, main_of
from tests.pages.moving import bring, decide, step
from tests.requests_app import factories as make


@pytest.fixture
def ada(world: World) -> Visitor:
    return world.sign_in(world.ada)


def page_of(item: RequestItem) -> str:
    return f"/requests/{item.request_id}/"


def granted(world: World, status: GrantStatus) -> tuple[RequestItem, Grant]:
    item = world.ask()
    decide(item, world.ben, "approve", world.as_role)
    return item, bring(make.scheduled_grant(item), status)


def never_arrived(world: World) -> tuple[RequestItem, Grant]:
    item, grant = granted(world, GrantStatus.PROVISIONING)
    step(grant, GrantStatus.REMOVING, removal_started_at=business_now(), end_reason="window_over")
    step(grant, GrantStatus.DEPROVISIONING, out_of_entra_at=business_now())
    step(grant, GrantStatus.NEVER_ARRIVED, ended_at=business_now())
    return item, grant


def test_requester_approver_auditor_and_operator_see_it_and_nobody_else(world: World, ada: Visitor) -> None:
    item = world.ask()
    dee, eve = make.person("Dee Auditor"), make.person("Eve Operator")
    allowed = [ada, world.sign_in(world.ben), world.sign_in(dee, "Auditor"), world.sign_in(eve, "Operator")]
    for suffix in ("", "live/"):
        assert [each.get(page_of(item) + suffix).status_code for each in allowed] == [200] * 4
    cy = world.sign_in(world.cy)
    foreign = cy.get(page_of(item))
    absent = cy.get(f"/requests/{uuid.uuid4()}/")
    malformed = cy.get("/requests/1%27/")
    assert [each.status_code for each in (foreign, absent, malformed)] == [404, 404, 404]
    assert main_of(foreign) == main_of(absent) == main_of(malformed)
    assert cy.get(page_of(item) + "live/").status_code == 404


@pytest.mark.parametrize("action", ["withdraw", "end", "repeat"])
def test_only_the_requester_acts_on_it(world: World, action: str) -> None:
    item, grant = granted(world, GrantStatus.ACTIVE)
    dee = make.person("Dee Auditor")
    for visitor in (world.sign_in(world.ben), world.sign_in(world.cy), world.sign_in(dee, "Auditor")):
        assert visitor.post(f"{page_of(item)}{action}/").status_code == 404
    grant.refresh_from_db()
    assert grant.status == GrantStatus.ACTIVE
    assert RequestItem.objects.count() == 1


def test_a_pending_request_says_who_is_waited_for(world: World, ada: Visitor) -> None:
    page = main_of(ada.get(page_of(world.ask())))
    assert "Waiting for Ben Boss to decide." in page
    assert "Withdraw" in page


def test_withdrawing(world: World, ada: Visitor) -> None:
    item = world.ask()
    answer = ada.post(page_of(item) + "withdraw/")
    assert (answer.status_code, answer["Location"]) == (302, page_of(item))
    item.refresh_from_db()
    assert item.status == ItemStatus.WITHDRAWN
    assert "Withdrawn. Nothing was granted." in main_of(ada.get(page_of(item)))
    again = ada.post(page_of(item) + "withdraw/")
    assert again.status_code == 409
    assert "no longer possible" in main_of(again)


def test_done_starts_the_removal(world: World, ada: Visitor) -> None:
    item, grant = granted(world, GrantStatus.ACTIVE)
    assert "I'm done" in main_of(ada.get(page_of(item)))
    assert ada.post(page_of(item) + "end/").status_code == 302
    grant.refresh_from_db()
    assert grant.status == GrantStatus.REMOVING
    assert ada.post(page_of(item) + "end/").status_code == 409


def test_ending_what_was_never_granted_is_404(world: World, ada: Visitor) -> None:
    assert ada.post(page_of(world.ask()) + "end/").status_code == 404


def test_ready_access_has_links_and_a_profile_for_its_holder_only(world: World, ada: Visitor) -> None:
    item, _ = granted(world, GrantStatus.ACTIVE)
    page = main_of(ada.get(page_of(item)))
    row = item.scope.first()
    assert row is not None
    address = "https://acme.awsapps.com/start/#/console?account_id={}&amp;role_name={}"
    assert address.format(row.account_id, row.permission_set_name) in page
    assert "sso_start_url = https://acme.awsapps.com/start" in page
    assert "#/console" not in main_of(world.sign_in(world.ben).get(page_of(item)))


def test_draining_says_the_honest_words(world: World, ada: Visitor) -> None:
    item, grant = granted(world, GrantStatus.DRAINING)
    page = main_of(ada.get(page_of(item)))
    assert "Membership removed; sessions possible until" in page
    assert grant.last_possible_use_at is not None
    assert grant.last_possible_use_at.isoformat(timespec="seconds") in page
    assert "Ended. No session" not in page


def test_what_never_arrived_is_repeated_in_one_click(world: World, ada: Visitor) -> None:
    item, _ = never_arrived(world)
    assert "never arrived" in main_of(ada.get(page_of(item)))
    answer = ada.post(page_of(item) + "repeat/")
    new = RequestItem.objects.select_related("request").exclude(pk=item.pk).get()
    assert answer["Location"] == page_of(new)
    assert (new.duration, new.request.justification) == (item.duration, item.request.justification)


def test_the_live_part_is_sent_only_when_something_changed(world: World, ada: Visitor) -> None:
    item = world.ask()
    page = main_of(ada.get(page_of(item)))
    live = page.partition('hx-get="')[2].partition('"')[0]
    assert live.startswith(page_of(item))
    assert ada.get(live).status_code == 204
    decide(item, world.ben, "approve", world.as_role)
    changed = ada.get(live)
    assert changed.status_code == 200
    assert b'hx-swap-oob="innerHTML:#standing"' in changed.content
    assert b"<html" not in changed.content


@pytest.mark.parametrize("status", sorted({GrantStatus.ENDED}))
def test_nothing_is_asked_for_again_once_it_is_over(world: World, ada: Visitor, status: GrantStatus) -> None:
    assert status in TERMINAL
    item, _ = granted(world, status)
    assert "hx-get" not in main_of(ada.get(page_of(item)))


def test_my_requests_are_paged_by_time(world: World, ada: Visitor) -> None:
    for _ in range(26):
        group = make.pim_group(accounts=1)
        with world.as_role("portal_web"):
            make.pending_item(world.ada, group, world.rule)
    first = main_of(ada.get("/requests/"))
    assert first.count('<th scope="row">') == 25
    older = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    second = main_of(ada.get("/requests/" + older))
    assert second.count('<th scope="row">') == 1
    assert "Newest" in second


@pytest.mark.parametrize("before", ["", "nonsense", "2026-01-01", "9999-99-99T00:00:00Z"])
def test_a_nonsensical_position_is_the_first_page(world: World, ada: Visitor, before: str) -> None:
    world.ask()
    assert ada.get(f"/requests/?before={before}").status_code == 200


def test_what_people_write_is_shown_as_text(world: World, ada: Visitor) -> None:
    ada.post(
        f"/access/{world.group.object_id}/request/",
        justification="<script>alert(1)</script> & more",
        length="60",
    )
    item = RequestItem.objects.get()
    page = main_of(ada.get(page_of(item)))
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "<script>alert" not in page


def test_a_denied_request_shows_the_reason(world: World, ada: Visitor) -> None:
    item = world.ask()
    decision = decide(item, world.ben, "deny", world.as_role)
    type(decision).objects.filter(pk=decision.pk)
    page = main_of(ada.get(page_of(item)))
    assert "Denied. Nothing was granted." in page
    assert "Ben Boss" in page


def test_home_tells_what_one_has_waits_for_and_had(world: World, ada: Visitor) -> None:
    item, _ = granted(world, GrantStatus.ACTIVE)
    other, third = make.pim_group("AWS - Waiting"), make.pim_group("AWS - Over")
    with world.as_role("portal_web"):
        make.pending_item(world.ada, other, world.rule)
        over = make.pending_item(world.ada, third, world.rule)
    decide(over, world.ben, "deny", world.as_role)
    page = main_of(ada.get("/"))
    has, _, rest = page.partition("What you wait for")
    waits, _, lately = rest.partition("Lately")
    assert world.group.display_name in has
    assert "time-left" in has
    assert "AWS - Waiting" in waits
    assert "AWS - Over" in lately
    assert f'action="/access/{third.object_id}/request/"' in lately
    assert f'name="again" value="{over.request_id}"' in lately
    assert world.sign_in(world.cy).get("/").content.count(item.request_id.hex.encode()) == 0


def test_home_is_quiet_until_something_changes(world: World, ada: Visitor) -> None:
    live = main_of(ada.get("/")).partition('hx-get="')[2].partition('"')[0]
    assert ada.get(live).status_code == 204
    world.ask()
    assert ada.get(live).status_code == 200


def test_never_arrived_shows_on_home(world: World, ada: Visitor) -> None:
    never_arrived(world)
    assert "Never arrived" in main_of(ada.get("/"))


def test_window_and_last_possible_use_are_on_the_page(world: World, ada: Visitor) -> None:
    item, grant = granted(world, GrantStatus.ACTIVE)
    page = main_of(ada.get(page_of(item)))
    latest = grant.ends_at + timedelta(minutes=40) + timedelta(hours=1) + grant.longest_session
    assert latest.isoformat(timespec="seconds") in page


# --- Revoking


def test_an_approver_revokes_from_the_page_and_its_holder_reads_why(world: World, ada: Visitor) -> None:
    item, grant = granted(world, GrantStatus.ACTIVE)
    ben, revoke = world.sign_in(world.ben), page_of(item) + "revoke/"
    for shown in (page_of(item), f"/approvals/{item.pk}/"):
        assert f'href="{revoke}"' in main_of(ben.get(shown)), shown
    assert "PIM keeps every membership for its first five minutes" in main_of(ben.get(revoke))
    assert ben.post(revoke, reason=" ").status_code == 422
    assert "Say why" in main_of(ben.post(revoke, reason=""))
    answer = ben.post(revoke, reason="The change was <called> off")
    assert (answer.status_code, answer["Location"]) == (302, page_of(item))
    grant.refresh_from_db()
    assert (grant.status, grant.end_reason) == (GrantStatus.REMOVING, "revoked")
    page = main_of(ada.get(page_of(item)))
    assert "Revoked by Ben Boss" in page
    assert "The change was &lt;called&gt; off" in page
    assert revoke not in main_of(ben.get(page_of(item)))
    assert ben.get(revoke).status_code == 404
    assert ben.post(revoke, reason="Once more").status_code == 409


def test_an_operator_revokes_and_others_find_no_such_page(world: World, ada: Visitor) -> None:
    item, grant = granted(world, GrantStatus.PROVISIONING)
    revoke = page_of(item) + "revoke/"
    auditor = world.sign_in(make.person("Dee Auditor"), "Auditor")
    for visitor in (ada, world.sign_in(world.cy), auditor):
        assert "revoke/" not in main_of(visitor.get(page_of(item)))
        assert visitor.get(revoke).status_code == 404
        assert visitor.post(revoke, reason="Because").status_code == 404
        assert visitor.post(revoke).status_code == 404, "the form says nothing to whoever may not send it"
    eve = world.sign_in(make.person("Eve Operator"), "Operator")
    assert eve.post(revoke, reason="Because").status_code == 302
    grant.refresh_from_db()
    assert grant.status == GrantStatus.REMOVING


def test_a_queued_removal_says_when(world: World, ada: Visitor) -> None:
    item, grant = granted(world, GrantStatus.REMOVING)
    due = business_now() + timedelta(minutes=4)
    Grant.objects.filter(pk=grant.pk).update(
        problem_code="queued", problem="The removal is queued until then.", next_action_at=due
    )
    page = main_of(ada.get(page_of(item)))
    assert "Removal queued" in page
    assert page.count(due.isoformat(timespec="seconds")) >= 2
    live = re.search(r'hx-get="([^"]+)"', page)
    assert live
    assert ada.get(html.unescape(live[1])).status_code == 204

    # Once its time has come it is not queued any more, also before PIM is read again.
    Grant.objects.filter(pk=grant.pk).update(next_action_at=business_now() - timedelta(seconds=1))
    changed = ada.get(html.unescape(live[1]))
    assert changed.status_code == 200
    for words in (changed.content.decode(), main_of(ada.get(page_of(item)))):
        assert "queued" not in words
        assert "Being removed from Entra." in words
        assert "Being removed now" in words


# --- Extending


def extended(world: World, **facts: object) -> tuple[RequestItem, RequestItem, Grant]:
    """Ready access of an hour, and a further hour that was approved and that PIM doesn't hold yet."""
    item, grant = granted(world, GrantStatus.ACTIVE)
    more = world.ask()
    decide(more, world.ben, "approve", world.as_role)
    Grant.objects.filter(pk=grant.pk).update(entra_ends_at=grant.ends_at)
    with transaction():
        extend(grant, more, ends_at=grant.ends_at + timedelta(hours=1))
    Grant.objects.filter(pk=grant.pk).update(**facts)
    grant.refresh_from_db()
    return item, more, grant


def test_both_ends_are_shown_until_the_extension_is_read_back(world: World, ada: Visitor) -> None:
    item, more, grant = extended(world)
    ends = [grant.sure_until.isoformat(timespec="seconds"), grant.ends_at.isoformat(timespec="seconds")]
    for shown in (item, more):
        page = main_of(ada.get(page_of(shown)))
        assert "The extension is on its way" in page
        assert all(end in page for end in ends)
    assert "Extended in Entra" in main_of(ada.get(page_of(more)))
    assert f'until="{ends[0]}"' in main_of(ada.get("/")), "what is counted down is what is sure"
    live = main_of(ada.get(page_of(item))).partition('hx-get="')[2].partition('"')[0]
    assert ada.get(live).status_code == 204
    Grant.objects.filter(pk=grant.pk).update(entra_ends_at=grant.ends_at)
    assert ada.get(live).status_code == 200
    page = main_of(ada.get(page_of(item)))
    assert "on its way" not in page
    assert f'until="{ends[1]}"' in page


def test_an_extension_that_pim_refused_says_what_happens_instead(world: World, ada: Visitor) -> None:
    item, _, _ = extended(world, extension_refused=2, extension_problem="It is not possible.")
    page = main_of(ada.get(page_of(item)))
    assert "The end did not move" in page
    assert "It is not possible." in page
    assert "assigned anew right after" in page


def test_the_form_says_until_when_one_has_it_and_what_is_asked_for(world: World, ada: Visitor) -> None:
    _, grant = granted(world, GrantStatus.ACTIVE)
    form = f"/access/{world.group.object_id}/request/"
    page = main_of(ada.get(form))
    assert "This lengthens what you have" in page
    preview = main_of(ada.get(form + "?x=1")) + ada.get(form + "preview/?length=120").content.decode()
    assert "This asks for until" in preview
    assert (grant.ends_at + timedelta(hours=2)).isoformat(timespec="seconds") in preview
    assert f'href="{form}"' in main_of(ada.get("/")), "Extend"
    assert ada.post(form, justification="One more hour, please", length="60").status_code == 302
    again = main_of(ada.get(form))
    assert "You have asked for this already" in again
    assert ada.post(form, justification="One more hour, please", length="60").status_code == 409


# --- Ends


def test_the_two_read_ends_and_the_computed_one_are_shown_apart(world: World, ada: Visitor) -> None:
    item, grant = granted(world, GrantStatus.DRAINING)
    assert grant.out_of_entra_at is not None
    auditor = world.sign_in(make.person("Dee Auditor"), "Auditor")
    for page in (
        main_of(ada.get(page_of(item))),
        main_of(auditor.get(f"/audit/requests/{item.request_id}/")),
    ):
        ends = page.partition('id="ends"')[2].partition("</dl>")[0]
        assert grant.out_of_entra_at.isoformat(timespec="seconds") in ends
        assert "read back: membership removed" in ends
        assert "Last session possible until" in ends
        assert "computed" in ends


def test_an_overdue_removal_is_called_so_everywhere(world: World, ada: Visitor) -> None:
    item, grant = granted(world, GrantStatus.DEPROVISIONING)
    live = main_of(ada.get(page_of(item))).partition('hx-get="')[2].partition('"')[0]
    assert ada.get(live).status_code == 204
    Grant.objects.filter(pk=grant.pk).update(out_of_entra_at=business_now() - timedelta(minutes=61))
    assert ada.get(live).status_code == 200
    assert "Overdue: still in AWS, and should have been out by" in main_of(ada.get(page_of(item)))
    for page in ("/", "/requests/"):
        assert "Overdue" in main_of(ada.get(page)), page
