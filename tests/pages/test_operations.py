"""The operator's pages: who may open which, and what they say."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from audit.ledger.models import Event
from base.clock import business_now, real_now
from catalog.models import ProvisioningState, SyncRun
from oversight.models import Alert, DriftRun, GroupLook
from oversight.settings_in_force import SHOWN
from oversight.tabs import TABS
from requests_app.cutting.models import FastRemoval
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant, RequestItem
from tests.pages.conftest import World, main_of
from tests.pages.moving import bring
from tests.requests_app import factories as make

OF_OPERATORS = "/operations/settings/"
OF_AUDITORS_TOO = "/operations/"


def test_only_operators_have_the_entry_in_the_navigation(world: World) -> None:
    operator, auditor = world.sign_in(world.ada, "Operator"), world.sign_in(world.ben, "Auditor")
    employee = world.sign_in(world.cy)
    navigation = [
        visitor.get("/").content.decode().partition("<nav")[2].partition("</nav>")[0]
        for visitor in (operator, auditor, employee)
    ]
    assert ["/operations/" in each for each in navigation] == [True, False, False]


@pytest.mark.parametrize(
    ("roles", "health", "in_force"),
    [((), 404, 404), (("Auditor",), 200, 404), (("Operator",), 200, 200)],
    ids=["employee", "auditor", "operator"],
)
def test_who_may_open_what(world: World, roles: tuple[str, ...], health: int, in_force: int) -> None:
    visitor = world.sign_in(world.cy, *roles)
    assert visitor.get(OF_AUDITORS_TOO).status_code == health
    assert visitor.get(OF_OPERATORS).status_code == in_force


def test_an_auditor_sees_only_the_tabs_that_open(world: World) -> None:
    auditor = world.sign_in(world.ben, "Auditor")
    page = main_of(auditor.get("/operations/"))
    for tab in TABS:
        assert (f"{tab.name}</a>" in page) is tab.auditors, tab.name


def test_the_current_tab_is_marked(world: World) -> None:
    operator = world.sign_in(world.ada, "Operator")
    page = main_of(operator.get(OF_OPERATORS))
    assert 'href="/operations/settings/" aria-current="page"' in page
    assert 'href="/operations/" aria-current' not in page


# ------------------------------------------------------------ drift


def test_drift_says_when_nothing_was_compared_and_when_nothing_differs(world: World) -> None:
    operator = world.sign_in(world.ada, "Operator")
    assert "Not compared yet" in main_of(operator.get("/operations/drift/"))
    DriftRun.objects.create(status="done", started_at=business_now(), finished_at=business_now(), looked=3)
    page = main_of(operator.get("/operations/drift/"))
    assert "No drift" in page
    assert "3 groups looked at" in page


def test_what_was_not_looked_at_is_shown_with_its_reason(world: World) -> None:
    GroupLook.objects.create(group=world.group, problem="Entra did not answer.")
    DriftRun.objects.create(
        status="failed", started_at=business_now(), finished_at=business_now(), problem="Graph is away."
    )
    page = main_of(world.sign_in(world.ada, "Operator").get("/operations/drift/"))
    assert "Entra did not answer." in page
    assert "Graph is away." in page


def test_findings_are_listed_filtered_and_shown_with_their_evidence(world: World) -> None:
    orphan = make.finding(world.cy, world.group)
    make.finding(world.ada, world.group, "standing", sentence="It never ends.")
    make.finding(
        world.ben, world.group, principal="store:90-1", principal_name="break-glass@aws", person=None
    )
    auditor = world.sign_in(world.ben, "Auditor")
    page = main_of(auditor.get("/operations/drift/"))
    assert "Cy Bystander" in page
    assert "It never ends." in page
    assert "break-glass@aws" in page
    assert "Cy Bystander" not in main_of(auditor.get("/operations/drift/?kind=standing"))
    assert "It never ends." not in main_of(auditor.get("/operations/drift/?holder=bystander"))
    assert "Nothing fits" in main_of(auditor.get("/operations/drift/?status=handled"))
    assert auditor.get("/operations/drift/?kind=nonsense&page=x").status_code == 200
    shown = main_of(auditor.get(f"/operations/drift/{orphan.pk}/"))
    assert "abc-123" in shown
    assert "<form" not in shown, "an auditor reads only"
    assert (
        auditor.post(f"/operations/drift/{orphan.pk}/resolve/", how="handled", reason="x").status_code == 404
    )
    assert auditor.get("/operations/drift/00000000-0000-4000-8000-000000000000/").status_code == 404


def test_an_operator_resolves_with_a_reason_or_until_a_date(world: World) -> None:
    operator = world.sign_in(world.ada, "Operator")
    row = make.finding(world.cy, world.group)
    path = f"/operations/drift/{row.pk}/resolve/"
    answer = operator.post(path, how="accepted", reason="Known")
    assert answer.status_code == 422
    assert "Say until when" in main_of(answer)
    answer = operator.post(path, how="accepted", reason="Known", until="2001-01-01")
    assert answer.status_code == 422
    assert "Choose a date in the future" in main_of(answer)
    soon = (business_now() + timedelta(days=30)).date().isoformat()
    assert operator.post(path, how="accepted", reason="Break-glass account", until=soon).status_code == 302
    row.refresh_from_db()
    assert (row.status, row.reason, row.resolved_by) == ("accepted", "Break-glass account", world.ada)
    assert operator.post(path, how="handled", reason="Removed after all").status_code == 302
    assert operator.post(path, how="handled", reason="Again").status_code == 409
    told = Event.objects.filter(type__startswith="drift.").order_by("id").values_list("type", "actor_oid")
    assert list(told)[1:] == [("drift.accepted", world.ada.object_id), ("drift.handled", world.ada.object_id)]


def test_the_case_page_shows_what_was_found_about_its_grant(world: World) -> None:
    item = world.ask()
    grant = make.scheduled_grant(item)
    row = make.finding(world.ada, world.group, "changed_end", grant=grant, sentence="PIM will end it later.")
    page = main_of(world.sign_in(world.ben, "Auditor").get(f"/audit/requests/{item.request_id}/"))
    assert "PIM will end it later." in page
    assert f"/operations/drift/{row.pk}/" in page


# ------------------------------------------------------------ provisioning in quarantine or paused


def stop_provisioning(code: str = "Quarantine", **changes: object) -> None:
    ProvisioningState.objects.update(code=code, **changes)


def test_a_quarantine_is_said_on_every_page_concerned_with_the_next_attempt(world: World) -> None:
    item = world.ask()
    stop_provisioning(
        quarantine_reason="EncounteredQuarantineException",
        next_attempt_at=business_now() + timedelta(hours=6),
    )
    ada, ben = world.sign_in(world.ada), world.sign_in(world.ben)
    operator = world.sign_in(world.cy, "Operator")
    group = f"/access/{world.group.object_id}/"
    for visitor, path in (
        (ada, "/"), (ada, "/access/"), (ada, group), (ada, f"{group}request/"), (ben, "/approvals/"),
        (ben, f"/approvals/{item.pk}/"), (operator, "/operations/"), (operator, "/operations/drift/"),
    ):  # fmt: skip
        page = main_of(visitor.get(path))
        assert "Nothing is carried to AWS now" in page, path
        assert "the SCIM token has expired" in page, path
        assert "Entra tries again" in page, path
    stop_provisioning("Active")
    assert "Nothing is carried" not in main_of(ada.get("/"))


@pytest.mark.parametrize("code", ["Quarantine", "Paused"])
def test_nothing_new_is_asked_or_approved_meanwhile_but_denied(world: World, code: str) -> None:
    item = world.ask()
    stop_provisioning(code)
    ben, cy = world.sign_in(world.ben), world.sign_in(world.ada)
    answer = cy.post(
        f"/access/{world.group.object_id}/request/", justification="Fix the stuck deployment", length="60"
    )
    assert answer.status_code in (409, 422)
    assert RequestItem.objects.count() == 1
    answer = ben.post(f"/approvals/{item.pk}/", verdict="approve", comment="", shown=make.shown(item))
    assert answer.status_code == 409
    assert "Your approval was not taken" in answer.content.decode()
    assert not item.decisions.exists()
    denial = {"verdict": "deny", "comment": "Not while it stands", "shown": make.shown(item)}
    assert ben.post(f"/approvals/{item.pk}/", **denial).status_code == 302


# ------------------------------------------------------------ ends and alerts


def test_an_operator_records_when_the_scim_token_ends(world: World) -> None:
    operator, auditor = world.sign_in(world.ada, "Operator"), world.sign_in(world.ben, "Auditor")
    soon = (real_now() + timedelta(days=10)).date().isoformat()
    assert auditor.post("/operations/ends/", day=soon).status_code == 404
    assert operator.post("/operations/ends/", day="2001-01-01").status_code == 422
    assert "Write a day, such as 2026-05-01." in operator.post("/operations/ends/", day="soon").text
    assert operator.post("/operations/ends/", day=soon).status_code == 302
    page = main_of(operator.get("/operations/"))
    assert "In 9 days" in page
    assert Event.objects.filter(type="operations.end_recorded", actor_oid=world.ada.object_id).count() == 1


def test_alerts_are_counted_in_the_navigation_and_listed(world: World) -> None:
    Alert.objects.create(
        kind="stuck", key="active", sentence="Nobody takes it.", address="/operations/", raised_at=real_now()
    )
    operator = world.sign_in(world.ada, "Operator")
    assert '1<span class="visually-hidden"> alerts' in operator.get("/").content.decode()
    assert "Nobody takes it." in main_of(operator.get("/operations/alerts/"))
    assert world.sign_in(world.ben, "Auditor").get("/operations/alerts/").status_code == 404


def test_fast_removal_is_offered_for_what_provisioning_leaves_behind_where_it_is_on(
    world: World, settings: Settings
) -> None:
    grant = make.scheduled_grant(world.ask())
    bring(grant, GrantStatus.DEPROVISIONING)
    Grant.objects.filter(pk=grant.pk).update(out_of_entra_at=business_now() - timedelta(hours=2))
    operator, auditor = world.sign_in(world.ada, "Operator"), world.sign_in(world.ben, "Auditor")
    path = f"/operations/remove/{grant.pk}/"
    settings.FAST_REMOVAL = "off"
    assert path not in main_of(operator.get("/operations/"))
    assert operator.post(path).status_code == 409
    settings.FAST_REMOVAL = "direct"
    assert path in main_of(operator.get("/operations/"))
    assert path not in main_of(auditor.get("/operations/"))
    assert auditor.post(path).status_code == 404
    assert operator.post(path).status_code == 302
    assert FastRemoval.objects.get().grant == grant


# ------------------------------------------------------------ settings


def test_settings_in_force_show_no_secret(world: World, settings: Settings) -> None:
    settings.ENTRA_SIGNIN_CLIENT_SECRET = "a-secret-that-nobody-may-see"
    settings.ENTRA_TENANT_ID = ""
    page = main_of(world.sign_in(world.ada, "Operator").get(OF_OPERATORS))
    assert "a-secret-that-nobody-may-see" not in page
    assert django_settings.SECRET_KEY not in page
    assert "not set" in page
    assert "40 min" in page


def test_every_setting_that_is_shown_exists() -> None:
    names = [name for _, rows in SHOWN for name, _ in rows]
    assert [name for name in names if not hasattr(django_settings, name)] == []


def test_a_failing_part_of_the_catalogue_is_a_trouble(world: World) -> None:
    SyncRun.objects.create(
        part="groups", status="failed", started_at=real_now(), finished_at=real_now(), error="Graph said no."
    )
    page = main_of(world.sign_in(world.ada, "Operator").get("/operations/"))
    assert "Graph said no." in page
    assert "Failing" in page
