"""Pages stay small, ask the database a bounded number of questions, and carry nothing inline."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.exporting.models import Export
from audit.exporting.running import begin
from audit.ledger.models import Event
from audit.ledger.reading import EventFilter
from base.clock import business_now
from catalog.models import PimGroup
from identity.models import DirectoryGroup, DirectoryMembership, Person
from oversight.rules.models import RuleChange
from oversight.rules.proposing import propose
from oversight.rules.working_out import work_out_slice
from policy.reading import read_rules
from requests_app.actions.attending import attend
from requests_app.actions.conversing import remark
from requests_app.actions.freezing import freeze
from requests_app.actions.pathing import take_place
from requests_app.actions.submitting import Wanted, submit_items
from requests_app.freezes.models import Freeze
from requests_app.lifecycle import GrantStatus
from requests_app.models import RequestItem
from requests_app.path_models import PathKind
from reviews.campaigns import start_campaign
from reviews.models import Campaign, ReviewEntry, Reviewer
from tests.pages.conftest import Visitor, World
from tests.pages.moving import bring, decide
from tests.pages.test_incidents import confirm_address
from tests.requests_app import factories as make
from tests.requests_app.activity.rows import activity
from tests.requests_app.emergencies import in_emergency, let_through

ROOT = Path(settings.BASE_DIR)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
LARGEST_PAGE = 60 * 1024

type Paths = dict[str, tuple[Visitor, str]]


def more_of_everything(world: World, number: int) -> None:
    """As many more groups, requests, decisions and grants, with rules that name groups of approvers."""
    for _ in range(number):
        group = make.pim_group(accounts=3)
        make.eligibility(world.ada, group)
        make.eligibility(world.ben, group)
        leads = DirectoryGroup.objects.create(object_id=make.oid(), display_name="Leads")
        DirectoryMembership.objects.create(group=leads, person=world.ben)
        with world.as_role("portal_web"):
            make.pending_item(world.ada, group, world.rule)
        over = make.pim_group(accounts=2)
        with world.as_role("portal_web"):
            item = make.pending_item(world.ada, over, world.rule)
        decide(item, world.ben, "approve", world.as_role)
        bring(make.scheduled_grant(item), GrantStatus.ACTIVE)
        make.finding(world.ada, over)
        more_to_review(world, group)
        let_through(in_emergency(make.person(), make.pim_group(accounts=1), world.ben, world.as_role))
        wait_in_queue(world)
        an_export(world, Person.objects.get(display_name="Una Auditor"))


def an_export(world: World, owner: Person) -> Export:
    """One that runs, and nobody takes what it sends."""
    with world.as_role("portal_web"):
        running = begin("csv", EventFilter(), query="outcome=failed", most=10, actor=make.actor(owner))
    return Export.objects.get(pk=running.export_id)


def a_campaign(world: World, begins: str) -> UUID:
    """An access review of the groups whose name begins so."""
    with world.as_role("portal_web"):
        return start_campaign(
            name="Third quarter",
            due_on=business_now().date(),
            begins=begins,
            by=world.cy,
            actor=make.actor(world.cy),
        )


def more_to_review(world: World, group: PimGroup) -> None:
    """One more group of every campaign, with somebody's eligibility and a reviewer."""
    with world.as_role("portal_web"):
        for campaign in Campaign.objects.all():
            ReviewEntry.objects.create(campaign=campaign, group=group, person=world.ada, direct=True)
            Reviewer.objects.create(campaign=campaign, group=group, person=world.ben)


def wait_in_queue(world: World) -> RequestItem:
    """A request of Ada's whose grant wants a place on the narrow path."""
    group = make.pim_group(accounts=1)
    with world.as_role("portal_web"):
        item = make.pending_item(world.ada, group, world.rule)
    decide(item, world.ben, "approve", world.as_role)
    take_place(bring(make.scheduled_grant(item), GrantStatus.ACTIVATING), PathKind.ASSIGN)
    return item


def several(world: World) -> list[PimGroup]:
    """Three more groups that Ada may ask for."""
    groups = [make.pim_group(accounts=1) for _ in range(3)]
    for group in groups:
        make.eligibility(world.ada, group)
    make.rule(world.ben, groups=tuple(groups))
    return groups


def several_address(world: World) -> str:
    """The form for all of them."""
    return "/access/request/?" + "&".join(f"group={group.object_id}" for group in several(world))


def several_asked(world: World) -> RequestItem:
    """One item of a request for all of them."""
    groups = several(world)
    with world.as_role("portal_web"):
        request_id = submit_items(
            requester_id=world.ada.pk,
            wanted=[Wanted(group.object_id, timedelta(hours=1)) for group in groups],
            justification="Fix the stuck deployment",
            reference="",
            actor=make.actor(world.ada),
        )
    return RequestItem.objects.filter(request=request_id)[0]


def an_incident(world: World) -> Freeze:
    """A permission set that is frozen; nobody's access goes through it."""
    elsewhere = make.pim_group(accounts=1).account_assignments.get().permission_set
    with world.as_role("portal_web"):
        freeze_id = freeze(
            kind="permission_set",
            subject=elsewhere.arn,
            person_id=world.cy.pk,
            reason="A policy allows too much",
            actor=make.actor(world.cy),
        )
    return Freeze.objects.get(pk=freeze_id)


def a_rule_change(world: World) -> RuleChange:
    """Another rule for the group that Ada may ask for, worked out."""
    text = f"rules: [{{name: New, fallback: true, longest_duration: PT10M, stages: [{{people: [{world.ben.object_id}]}}]}}]"
    with world.as_role("portal_web"):
        change = propose(
            rules=read_rules(text).rules, person_id=world.cy.pk, reason="Simpler", actor=make.actor(world.cy)
        )
    while work_out_slice():
        pass
    return RuleChange.objects.get(pk=change)


@pytest.fixture
def paths(world: World) -> Paths:
    """Every page, with somebody who may open it."""
    other = make.pim_group(accounts=2)
    with world.as_role("portal_web"):
        held = make.pending_item(world.ada, other, world.rule)
    decide(held, world.ben, "approve", world.as_role)
    activity(bring(make.scheduled_grant(held), GrantStatus.ACTIVE))
    waiting = [wait_in_queue(world) for _ in range(5)][-1]
    item = world.ask()
    with world.as_role("portal_web"):
        for words in ("Why today?", "Which host is it?"):
            remark(item_id=item.pk, person_id=world.ben.pk, words=words, actor=make.actor(world.ben))
        attend(item_id=item.pk, person_id=world.ben.pk, actor=make.actor(world.ben))
    ada, ben = world.sign_in(world.ada), world.sign_in(world.ben)
    operator = world.sign_in(world.cy, "Operator")
    auditor = world.sign_in(make.person("Una Auditor"), "Auditor")
    group = f"/access/{world.group.object_id}/"
    campaign = a_campaign(world, "")
    urgent = make.pim_group(accounts=1)
    used = in_emergency(world.ada, urgent, world.ben, world.as_role)
    owed = let_through(used, ago=timedelta(days=8))
    return {
        "home": (ada, "/"),
        "home live": (ada, "/live/"),
        "catalogue": (ada, "/access/"),
        "group": (ada, group),
        "request form": (ada, group + "request/"),
        "emergency form": (ada, f"/access/{urgent.object_id}/emergency/"),
        "emergency": (ada, f"/requests/{used.request_id}/"),
        "emergency reviews": (ben, "/emergencies/"),
        "emergency review": (ben, f"/emergencies/{owed.pk}/"),
        "emergencies": (operator, "/operations/emergencies/"),
        "several form": (ada, several_address(world)),
        "overview": (ada, f"/requests/{several_asked(world).request_id}/"),
        "preview": (ada, group + "request/preview/?length=60"),
        "my requests": (ada, "/requests/"),
        "request": (ada, f"/requests/{item.request_id}/"),
        "request that waits": (ada, f"/requests/{waiting.request_id}/"),
        "request live": (ada, f"/requests/{item.request_id}/live/"),
        "thread": (ben, f"/requests/{item.request_id}/thread/"),
        "revoke": (ben, f"/requests/{held.request_id}/revoke/"),
        "inbox": (ben, "/approvals/"),
        "together": (ben, f"/approvals/{item.pk}/together/"),
        "decision": (ben, f"/approvals/{item.pk}/"),
        "decision live": (ben, f"/approvals/{item.pk}/live/"),
        "queue": (operator, "/operations/queue/"),
        "queue live": (operator, "/operations/queue/live/"),
        "preferences": (ada, "/preferences/"),
        "messages": (operator, "/operations/notifications/?kind=decide&language=de"),
        "tokens": (auditor, "/audit/tokens/"),
        "exports": (auditor, "/audit/exports/"),
        "exports live": (auditor, "/audit/exports/live/"),
        "as of": (auditor, f"/audit/as-of/?account={held.scope.all()[0].account_id}"),
        "absence": (ben, "/me/absence/"),
        "absences": (operator, "/operations/absences/?q=ben"),
        "absence of somebody": (operator, f"/operations/absences/{world.ben.object_id}/"),
        "own activity": (ada, f"/requests/{held.request_id}/activity/"),
        "activity": (auditor, f"/audit/requests/{held.request_id}/activity/"),
        "changes": (auditor, f"/audit/changes/?show=all&account={held.scope.all()[0].account_id}"),
        "timeline": (auditor, "/audit/?since=2020-01-01"),
        "event": (auditor, f"/audit/events/{Event.objects.order_by('id')[0].pk}/"),
        "controls": (auditor, "/audit/controls/"),
        "reviews": (ben, "/reviews/"),
        "review": (ben, f"/reviews/{campaign}/"),
        "campaigns": (operator, "/operations/reviews/"),
        "campaign": (operator, f"/operations/reviews/{campaign}/"),
        "campaign to start": (operator, "/operations/reviews/new/"),
        "reviewers": (operator, f"/operations/reviews/{campaign}/groups/{world.group.object_id}/"),
        "components": (ada, "/components/"),
        "health": (operator, "/operations/"),
        "settings in force": (operator, "/operations/settings/"),
        "alerts": (operator, "/operations/alerts/"),
        "drift": (operator, "/operations/drift/"),
        "incidents": (operator, "/operations/incidents/"),
        "incident search": (operator, "/operations/incidents/new/?q=account"),
        "incident to confirm": (operator, confirm_address(world)),
        "incident": (operator, f"/operations/incidents/{an_incident(world).pk}/"),
        "rules": (operator, "/operations/rules/"),
        "rule history": (auditor, "/operations/rules/history/"),
        "rule": (operator, f"/operations/rules/{world.rule.rule_id}/"),
        "rules to propose": (operator, "/operations/rules/propose/"),
        "change of the rules": (operator, f"/operations/rules/changes/{a_rule_change(world).pk}/"),
        "finding": (operator, f"/operations/drift/{make.finding(world.ada, world.group).pk}/"),
    }


# Session, user, sign-in and person come first (4), then the footer's age and the inbox's count (up to 5).
MOST_QUERIES = {
    "home": 18,
    "home live": 15,
    "catalogue": 22,
    "group": 24,
    "request form": 34,
    "emergency form": 25,
    "emergency": 20,
    "emergency reviews": 12,
    "emergency review": 15,
    "emergencies": 12,
    "several form": 26,
    "overview": 16,
    "preview": 20,
    "my requests": 14,
    "request": 17,
    "request that waits": 22,
    "request live": 14,
    "thread": 20,
    "revoke": 19,
    "inbox": 18,
    "together": 23,
    "decision": 30,
    "decision live": 14,
    "queue": 15,
    "queue live": 8,
    "preferences": 11,
    "messages": 15,
    "as of": 17,
    "absence": 12,
    "absences": 13,
    "absence of somebody": 13,
    "own activity": 20,
    "activity": 20,
    "tokens": 12,
    "exports": 12,
    "exports live": 8,
    "changes": 22,
    "timeline": 24,
    "event": 20,
    "controls": 55,
    "reviews": 14,
    "review": 17,
    "campaigns": 14,
    "campaign": 19,
    "campaign to start": 11,
    "reviewers": 14,
    "components": 10,
    "health": 34,
    "alerts": 14,
    "settings in force": 10,
    "drift": 19,
    "incidents": 13,
    "incident search": 14,
    "incident to confirm": 19,
    "incident": 16,
    "rules": 20,
    "rule history": 13,
    "rule": 18,
    "rules to propose": 15,
    "change of the rules": 28,
    "finding": 11,
}


def test_queries_are_bounded_and_do_not_grow(world: World, paths: Paths) -> None:
    def number(name: str) -> int:
        visitor, path = paths[name]
        visitor.get(path)  # whatever is written once in ten seconds or a minute is written now
        with CaptureQueriesContext(connection) as asked:
            assert visitor.get(path).status_code == 200, name
        return len([each for each in asked.captured_queries if "ROLE" not in each["sql"]])

    few = {name: number(name) for name in paths}
    more_of_everything(world, 8)
    many = {name: number(name) for name in paths}
    # On a machine that stands still between the two looks it is written again. What grows does so at each look.
    many |= {name: number(name) for name in paths if many[name] > few[name] + 2}
    assert {name: many[name] - few[name] for name in few if many[name] > few[name] + 2} == {}
    assert {name: count for name, count in many.items() if count > MOST_QUERIES[name]} == {}


@pytest.mark.proof
def test_a_page_with_its_styles_and_scripts_is_small(world: World, paths: Paths) -> None:
    more_of_everything(world, 12)
    for name, (visitor, path) in paths.items():
        body = visitor.get(path).content
        total = len(gzip.compress(body)) + sum(len(gzip.compress(each)) for each in assets_of(body.decode()))
        assert total <= LARGEST_PAGE, f"{name}: {total}"


def assets_of(page: str) -> Iterator[bytes]:
    for address in re.findall(r'(?:src|href)="/static/([^"]+)"', page):
        found = finders.find(address)
        assert isinstance(found, str), address
        yield Path(found).read_bytes()


# --- Nothing inline: what the content security policy would refuse, found without a browser

FORBIDDEN = {
    "an inline style": re.compile(r"\sstyle\s*=", re.IGNORECASE),
    "a style element": re.compile(r"<style\b", re.IGNORECASE),
    "an event attribute": re.compile(r"\son[a-z]+\s*=\s*[\"']", re.IGNORECASE),
    "htmx's event attribute": re.compile(r"\shx-on\b", re.IGNORECASE),
    "a script without an address": re.compile(r"<script(?![^>]*\ssrc=)", re.IGNORECASE),
    "a script address in a link": re.compile(r"javascript:", re.IGNORECASE),
    "a data address": re.compile(r"[\"'(]data:", re.IGNORECASE),
    "something from elsewhere": re.compile(
        r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?:https?:)?//", re.IGNORECASE
    ),
    "unescaped output": re.compile(r"\|\s*safe\b|{%\s*autoescape\s+off"),
}

# It leaves in an evidence pack and is opened from a disk, where our stylesheets aren't.
ALLOWED = {"templates/audit/pack.html": ["a style element"]}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_templates_carry_nothing_inline(path: Path) -> None:
    text = path.read_text()
    found = [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]
    assert found == ALLOWED.get(str(path.relative_to(ROOT)), [])


def test_the_scan_finds_what_it_is_for() -> None:
    samples = [
        '<p style="color:red">',
        "<style>",
        "<a onclick='x()'>",
        '<a hx-on:click="x">',
        "<script>x</script>",
        '<a href="javascript:x">',
        '<img src="data:x">',
        '<script src="//cdn.example/x.js">',
        "{{ words|safe }}",
    ]
    assert [any(p.search(sample) for p in FORBIDDEN.values()) for sample in samples] == [True] * len(samples)


def test_styles_load_nothing() -> None:
    for path in (ROOT / "static").rglob("*.css"):
        assert not re.search(r"url\(|@import", path.read_text()), path


def test_scripts_make_no_code_from_text() -> None:
    for path in (ROOT / "static").rglob("*.js"):
        assert not re.search(
            r"\beval\(|new Function|innerHTML|outerHTML|document\.write", path.read_text()
        ), path


def test_templates_are_formatted() -> None:
    djade = [
        str(Path(sys.executable).with_name("djade")),
        "--check",
        "--target-version",
        "6.0",
        *map(str, TEMPLATES),
    ]
    done = subprocess.run(djade, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("anonymous", ["/", "/access/", "/requests/", "/approvals/", "/components/"])
def test_nothing_is_shown_to_somebody_not_signed_in(
    db: None, client: Visitor, as_role: Callable[[str], object], anonymous: str
) -> None:
    answer = client.get(anonymous)
    assert answer.status_code == 302
    assert "/signin/" in answer["Location"]


def test_audit_is_in_the_navigation_of_auditors_only(world: World) -> None:
    assert b'href="/audit/"' not in world.sign_in(world.ben).get("/").content
    assert b'href="/audit/"' in world.sign_in(make.person("Dee"), "Auditor").get("/").content
    assert not RequestItem.objects.exists()


def test_no_cache_keeps_what_somebody_is_shown(world: World) -> None:
    ada = world.sign_in(world.ada)
    shown = f"/requests/{world.ask().request_id}/"
    for address in ("/", "/live/", "/access/", "/requests/", shown, f"{shown}live/", "/no-such-page/"):
        assert ada.get(address)["Cache-Control"] == "private, no-store", address
    assert "no-store" in ada.post("/signout/")["Cache-Control"]
