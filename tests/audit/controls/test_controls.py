"""The controls page: its figures against the rows counted one by one, by index, and what it says."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from statistics import quantiles
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_subatomic.db import transaction
from pytest_django import DjangoDbBlocker, Settings

from audit.controls import figures, measuring
from audit.controls.figures import Figure, controls_page
from audit.controls.frameworks import EDITIONS, SUPPORTED
from audit.controls.measuring import Spread
from audit.controls.periods import Period
from audit.ledger.anchoring import AnchorState
from audit.ledger.models import Event
from audit.ledger.recorder import Actor
from audit.ledger.waiting import Waiting
from base.clock import business_now, real_now
from catalog.models import Eligibility, PimGroup
from identity.absences.declaring import declare
from identity.models import AppRole, DirectoryGroup, DirectoryMembership
from oversight.drift import writing
from oversight.models import FindingKind, FindingStatus
from policy.approvers import somebody_can_decide
from policy.demands import Approvers, Demands, Stage
from requests_app.activity.models import ActivityPlace, ActivityUse
from requests_app.lifecycle import DecisionStatus, EndReason, GrantStatus, ItemStatus
from requests_app.models import AccessRequest, Decision, Grant, RequestItem
from requests_app.overdue import Overdue
from requests_app.waivers.models import OwedReview
from requests_app.waivers.reviewing import review
from tests.audit.history.conftest import AsRole, auditor, browser_of
from tests.audit.history.test_as_of import nodes
from tests.audit.ledger.factories import note
from tests.audit.ledger.test_reading import explain
from tests.pages.conftest import World, world
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make
from tests.requests_app.activity.rows import activity
from tests.requests_app.emergencies import in_emergency, let_through
from tests.support.servers import PostgresServer, pointed_at

__all__ = ["auditor", "world"]

MANY, PEOPLE, DAYS = 8_000, 25, 400
START = datetime(2025, 1, 1, tzinfo=UTC)
YEAR = Period(date(2025, 1, 10), date(2026, 1, 9))
WORK_WEEK = Period(date(2025, 6, 9), date(2025, 6, 13))
MONTH = Period(date(2025, 6, 10), date(2025, 7, 9))


@pytest.fixture(autouse=True)
def _site(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.ENTRA_TENANT_ID = make.TENANT


# --- Many requests, written past the guards: one of each kind through the models, the rest copied from it


def _write_templates() -> dict[str, Any]:
    people = [make.person(f"Person {n:02}", employee_id=f"N{n:02}") for n in range(PEOPLE)]
    # The same humans as the first two, with other accounts.
    twins = [make.person(f"Admin {n}", employee_id=f"N{n:02}") for n in range(2)]
    groups = [make.pim_group(f"AWS - {n}", accounts=0) for n in range(4)]
    Eligibility.objects.bulk_create(
        Eligibility(person=who, group=group, instance_id=f"{who.pk} {group.pk}")
        for who in people
        for group in groups
    )
    Eligibility.objects.create(person=twins[0], group=groups[0], instance_id="over", ends_at=START)
    request = AccessRequest.objects.create(
        requester=people[0], justification="x", created_at=START, created_real_at=START
    )
    item = RequestItem.objects.create(
        request=request, requester=people[0], group=groups[0], duration=timedelta(hours=1),
        status=ItemStatus.APPROVED, terms=make.terms(make.rule(people[1])), scope_hash="", created_at=START,
        longest_session=timedelta(hours=1), lapses_at=START, decided_at=START,
    )  # fmt: skip
    decision = Decision.objects.create(
        item=item, approver=people[1], verdict="approve", stage=0, status=DecisionStatus.COUNTED,
        submitted_at=START, settled_at=START,
    )  # fmt: skip
    grant = Grant.objects.create(
        person=people[0], group=groups[0], first_request=request, status=GrantStatus.ENDED, starts_at=START,
        ends_at=START + timedelta(hours=1), longest_session=timedelta(hours=1), created_at=START,
        end_reason=EndReason.WINDOW_OVER,
    )  # fmt: skip
    return {
        "people": [who.pk for who in people],
        "twins": [who.pk for who in twins],
        "groups": [group.pk for group in groups],
        "request": request.pk,
        "item": item.pk,
        "decision": decision.pk,
        "grant": grant.pk,
        "start": START,
        "step": timedelta(days=DAYS) / MANY,
        "many": MANY,
    }


# Whoever asks is n mod 25; every thousandth approval is by whoever asked, or by their other account.
_COPIES = (
    (
        "INSERT INTO requests_app_accessrequest SELECT (jsonb_populate_record(kept, jsonb_build_object("
        " 'id', md5('request' || n)::uuid))).* FROM requests_app_accessrequest kept, generate_series(1, %(many)s::bigint) n"
        " WHERE kept.id = %(request)s"
    ),
    (
        "INSERT INTO requests_app_requestitem SELECT (jsonb_populate_record(kept, jsonb_build_object("
        " 'id', md5('item' || n)::uuid, 'request_id', md5('request' || n)::uuid,"
        " 'requester_id', (%(people)s::bigint[])[n %% 25 + 1], 'created_at', %(start)s + n * %(step)s,"
        " 'decided_at', %(start)s + n * %(step)s + (n * 7919 %% 36000) * interval '1 second',"
        " 'status', (ARRAY['approved', 'approved', 'denied', 'lapsed'])[n %% 4 + 1]))).*"
        " FROM requests_app_requestitem kept, generate_series(1, %(many)s::bigint) n WHERE kept.id = %(item)s"
    ),
    (
        "INSERT INTO requests_app_decision SELECT (jsonb_populate_record(kept, jsonb_build_object("
        " 'id', md5('decision' || n)::uuid, 'item_id', item.id, 'settled_at', item.decided_at, 'approver_id',"
        " CASE WHEN n %% 1000 = 0 THEN item.requester_id WHEN n %% 1000 = 1 THEN (%(twins)s::bigint[])[2]"
        " ELSE (%(people)s::bigint[])[(n + 1) %% 25 + 1] END))).*"
        " FROM requests_app_decision kept, generate_series(1, %(many)s::bigint) n"
        " JOIN requests_app_requestitem item ON item.id = md5('item' || n)::uuid WHERE kept.id = %(decision)s"
    ),
    (
        "INSERT INTO requests_app_grant SELECT (jsonb_populate_record(kept, jsonb_build_object("
        " 'id', md5('grant' || n)::uuid, 'person_id', (%(people)s::bigint[])[n %% 25 + 1],"
        " 'group_id', (%(groups)s::bigint[])[n %% 3 + 1], 'starts_at', began, 'ends_at', began + interval '1 hour',"
        " 'arrived_at', began + interval '1 minute', 'end_reason', (ARRAY['window_over', 'ended_early'])[n %% 2 + 1],"
        " 'removal_started_at', began + (50 + n %% 20) * interval '1 minute',"
        # Every fortieth lasts for twenty days.
        " 'last_possible_use_at', began + CASE WHEN n %% 40 = 0 THEN interval '20 days' ELSE interval '4 hours' END,"
        " 'fell_back_to', CASE WHEN n %% 16 = 0 THEN began + interval '30 minutes' END,"
        " 'out_of_aws_at', began + interval '2 hours' + (n * 104729 %% 3600) * interval '1 second'))).*"
        " FROM requests_app_grant kept, generate_series(1, %(many)s::bigint) n,"
        " LATERAL (SELECT %(start)s + n * %(step)s AS began) AS moment WHERE kept.id = %(grant)s"
    ),
)


@pytest.fixture(scope="module")
def many(
    postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker, worker_id: str
) -> Iterator[None]:
    name = f"portal_{worker_id}_controls"
    postgres_server.clone(name)
    with psycopg.connect(postgres_server.conninfo("postgres", name), autocommit=True) as direct:
        for table in ("accessrequest", "requestitem", "decision", "grant"):
            direct.execute(f"ALTER TABLE requests_app_{table} DISABLE TRIGGER USER".encode())
        with django_db_blocker.unblock():
            with pointed_at(postgres_server, name, role="portal_owner"):
                keys = _write_templates()
            for statement in _COPIES:
                direct.execute(statement.encode(), keys)
            direct.execute("ANALYZE")
            with pointed_at(postgres_server, name, step_into="portal_web"):
                yield
    postgres_server.drop(name)


def _as_counted(spans: list[tuple[datetime, float]], period: Period, found: Spread) -> None:
    """Compare a spread with its spans, of which each ended at an instant and took so many seconds."""
    mine = [(ended, took) for ended, took in spans if period.since <= ended < period.until]
    assert found.number == len(mine) == sum(part.number for part in found.parts) > 100
    _close(found.typical, found.slow, [took for _, took in mine])
    assert found.longest == timedelta(seconds=max(took for _, took in mine))
    for part in found.parts:
        begin = datetime.combine(part.day, datetime.min.time(), tzinfo=UTC)
        inside = [took for ended, took in mine if begin <= ended < begin + period.step]
        assert part.number == len(inside), part
        _close(part.typical, part.slow, inside)


def _close(typical: timedelta | None, slow: timedelta | None, spans: list[float]) -> None:
    assert typical is not None
    assert slow is not None
    cuts = quantiles(spans, n=20, method="inclusive")
    assert typical.total_seconds() == pytest.approx(cuts[9], abs=0.01)
    assert slow.total_seconds() == pytest.approx(cuts[18], abs=0.01)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("period", [MONTH, YEAR], ids=["by day", "by week"])
def test_times_are_those_of_the_rows_counted_one_by_one(period: Period) -> None:
    decided = [
        (ended, (ended - began).total_seconds())
        for began, ended, status in RequestItem.objects.values_list("created_at", "decided_at", "status")
        if status in ("approved", "denied") and ended
    ]
    _as_counted(decided, period, measuring.time_to_decide(period))
    removed = []
    for row in Grant.objects.exclude(out_of_aws_at=None):
        assert row.removal_started_at
        assert row.out_of_aws_at
        began = row.removal_started_at
        if row.end_reason == EndReason.WINDOW_OVER:  # a late beginning is no excuse
            began = min(began, row.fell_back_to or row.ends_at)
        removed.append((row.out_of_aws_at, (row.out_of_aws_at - began).total_seconds()))
    _as_counted(removed, period, measuring.time_to_remove(period))


@pytest.mark.usefixtures("many")
def test_self_approvals_are_found_by_any_account(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Decision.objects.select_related("approver", "item__requester")
    inside = [row for row in rows if row.settled_at and YEAR.since <= row.settled_at < YEAR.until]
    own = [
        row
        for row in inside
        if row.approver_id == row.item.requester_id
        or row.approver.employee_id == row.item.requester.employee_id
    ]
    found = measuring.self_approvals(YEAR)
    assert (found.counted, found.own) == (len(inside), len(own))
    assert {row.approver_id == row.item.requester_id for row in own} == {True, False}
    assert len(found.cases) == min(len(own), measuring.MOST_NAMED)
    assert list(figures._self_approvals(found, YEAR).details) == []
    monkeypatch.setattr(measuring, "MOST_NAMED", 3)
    few = figures._self_approvals(measuring.self_approvals(YEAR), YEAR)
    assert (few.value, len(few.behind), list(few.details)) == (
        str(len(own)),
        1 + 3,
        ["3 of them are named here."],
    )


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("period", [MONTH, Period(MONTH.first, MONTH.first)], ids=["a month", "a day"])
def test_an_eligibility_is_unused_when_no_access_in_the_period_came_of_it(period: Period) -> None:
    arrived = Grant.objects.filter(arrived_at__lt=period.until, last_possible_use_at__gt=period.since)
    pairs = set(arrived.values_list("person__object_id", "group__object_id"))
    found = measuring.unused_eligibilities(period, business_now())
    assert (found.held, found.unused) == (100, 100 - len(pairs))
    assert 0 < len(pairs) < 100
    assert arrived.filter(arrived_at__lt=period.since).count() > 5
    named = {(each.person_object_id, each.group_object_id) for each in found.some}
    assert len(named) == min(found.unused, measuring.MOST_NAMED)
    assert named.isdisjoint(pairs)
    (figure,) = [each for each in controls_page(period).figures if each.key == "unused"]
    assert len(figure.behind) == 1 + len(named)
    assert list(figure.details) == ["20 of them are named here."]
    assert f"person={found.some[0].person_object_id}&group=" in figure.behind[1].address


@pytest.mark.usefixtures("many")
def test_every_statement_about_the_period_is_served_by_an_index() -> None:
    with CaptureQueriesContext(connection) as captured:
        controls_page(WORK_WEEK)
    big = {"requests_app_requestitem", "requests_app_decision", "requests_app_grant"}
    reads = [query["sql"] for query in captured if any(table in query["sql"] for table in big)]
    assert len(reads) >= 4
    for statement in reads:
        plan = explain(statement)
        whole = [
            each for each in nodes(plan) if each["Node Type"] == "Seq Scan" and each["Relation Name"] in big
        ]
        assert whole == [], plan
    spans = [statement for statement in reads if "tstzrange" in statement]
    assert spans
    assert any(each.get("Index Name") == "grant_held" for each in nodes(explain(spans[0])))


# --- The page

type Asked = tuple[RequestItem, RequestItem, RequestItem]


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, response.content.decode()[:2000]
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.fixture
def asked(db: None, as_role: AsRole) -> Asked:
    """Three requests of Ada's, of which two can be decided by nobody, and two findings about her."""
    ada, ben, gil = make.person("Ada Asker"), make.person("Ben Boss"), make.person("Gil Gone", enabled=False)
    group = make.pim_group("AWS - Amazon EC2 Admin")
    others = make.pim_group("AWS - Lost"), make.pim_group("AWS - Own")
    of = zip((group, *others), (make.rule(ben), make.rule(gil), make.rule(ada)), strict=True)
    with as_role("portal_web"):
        fine, lost, own = (make.pending_item(ada, each, version) for each, version in of)
    make.finding(ada, group, FindingKind.ORPHAN)
    make.finding(ada, group, FindingKind.GHOST)
    PimGroup.objects.update(eligibilities_read_at=business_now())
    PimGroup.objects.filter(pk=group.pk).update(eligibilities_read_at=datetime(2020, 1, 2, tzinfo=UTC))
    return fine, lost, own


def test_each_figure_says_what_it_is_and_leads_to_what_is_behind_it(asked: Asked, auditor: Client) -> None:
    fine, lost, own = asked
    page = text_of(auditor, "/audit/controls/")
    body = auditor.get("/audit/controls/").content.decode()
    assert "Requests without a reachable approver Look into it 2 Of 3 requests" in page
    assert f"/audit/requests/{lost.request_id}/" in body
    assert f"/audit/requests/{own.request_id}/" in body
    assert f"/audit/requests/{fine.request_id}/" not in body
    assert "Members without a grant Look into it 1" in page
    long_ago = text_of(auditor, "/audit/controls/?since=2020-01-01&until=2020-01-31")
    assert "Members without a grant Look into it 0" in long_ago
    assert "1 is open now, and 0 accepted as known exceptions, whenever first seen" in long_ago
    assert "Self-approvals As it should be 0" in page
    assert (
        "as last read from PIM, of no group longer ago than 2020-01-02 00:00 UTC, brought no access" in page
    )
    assert "CloudTrail isn't read now" in html.unescape(page)
    assert "ISO 27001 A.5.3" in page
    for action in ("decision.counted", "grant.overdue", "drift.found", "item.lapsed", "grant.arrived"):
        (address,) = {found for found in re.findall(r'href="(/audit/\?[^"]+)"', body) if action in found}
        assert auditor.get(address.replace("&amp;", "&")).status_code == 200


def test_nobody_without_a_grant_is_good_only_where_all_was_compared_and_nothing_accepted(db: None) -> None:
    groups = [make.pim_group() for _ in range(3)]
    today = business_now().date()

    def figure() -> Figure:
        return figures._ungranted(Period(today, today), measuring.managed_groups())

    assert (figure().value, figure().tone) == ("0", figures.LOOK)
    assert "No managed group has been compared yet." in figure().sentence
    for group in groups[1:]:
        writing.write(group, [], now=business_now())
    assert (figure().tone, "; 1 group never." in figure().sentence) == (figures.LOOK, True)
    writing.write(groups[0], [], now=business_now() - timedelta(days=2))
    assert figure().tone == figures.PLAIN, "what is old says little of now"
    writing.write(groups[0], [], now=business_now())
    assert figure().tone == figures.GOOD
    writing.not_looked(groups[0], "Entra refused it.")
    assert figure().tone == figures.LOOK
    assert "; 1 group could not be compared when it was last tried." in figure().sentence
    writing.write(groups[0], [], now=business_now())
    long_ago, later = business_now() - timedelta(days=90), business_now() + timedelta(days=30)
    row = make.finding(make.person(), groups[0], FindingKind.STANDING, first_seen_at=long_ago)
    with transaction():
        writing.change(
            row, FindingStatus.ACCEPTED, "drift.accepted", actor=Actor.worker(), now=business_now(),
            accepted_until=later, fields={"until": later},
        )  # fmt: skip
    assert (figure().value, figure().tone) == ("0", figures.PLAIN)
    assert "0 are open now, and 1 accepted as known exceptions" in figure().sentence
    assert "Permanent membership: 0, open now 0, accepted 1" in figure().details


@pytest.fixture
def emergencies(db: None, as_role: AsRole) -> dict[str, OwedReview]:
    """One use that is to be reviewed, one whose review is overdue, one that is reviewed, and a drill."""
    ada, ben = make.person("Ada Asker"), make.person("Ben Boss")
    asked = {name: in_emergency(ada, make.pim_group(), ben, as_role) for name in ("fresh", "late", "done")}
    owed = {
        name: let_through(item, ago=timedelta(days=3 if name == "late" else 0))
        for name, item in asked.items()
    }
    let_through(in_emergency(ada, make.pim_group(), ben, as_role, drill=True))
    with as_role("portal_web"):
        review(
            review_id=owed["done"].pk,
            person_id=ben.pk,
            verdict="in_order",
            comment="Paged at night",
            actor=make.actor(ben),
        )
    return owed


def test_emergencies_without_a_review_are_counted_from_the_reviews_and_drills_apart(
    emergencies: dict[str, OwedReview], auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = text_of(auditor, "/audit/controls/")
    body = auditor.get("/audit/controls/").content.decode()
    assert "Emergency requests without a review Look into it 2" in page
    assert "1 of them overdue. In the period, 3 emergencies went without an approval" in page
    assert "Drills, which are granted nothing, count apart: 1." in page
    assert auditor.get(reverse("operations_emergencies")).status_code == 200
    assert f'href="{reverse("operations_emergencies")}"' in body
    named = {name for name, owed in emergencies.items() if f"/emergencies/{owed.pk}/" in body}
    assert named == {"fresh", "late"}
    monkeypatch.setattr(measuring, "MOST_NAMED", 1)
    page = text_of(auditor, "/audit/controls/")
    assert "Emergency requests without a review Look into it 2" in page
    assert "1 of them is named here." in page


def test_a_figure_names_controls_of_every_framework() -> None:
    for key, controls in SUPPORTED.items():
        assert [each.framework for each in controls] == list(EDITIONS), key
        assert all(each.ids for each in controls), key


def test_the_same_is_counted_for_the_period_that_the_address_names(auditor: Client) -> None:
    assert "From 2020-01-01 to 2020-01-31" in text_of(
        auditor, "/audit/controls/?since=2020-01-01&until=2020-01-31"
    )
    refused = text_of(auditor, "/audit/controls/?since=2020-02-01&until=2020-01-31", status=422)
    assert "This is before the first day" in refused


def test_it_is_for_auditors(as_role: AsRole, db: None) -> None:
    operator = make.person("Otto Operator")
    with as_role("portal_web"):
        assert browser_of(operator, "Operator").get("/audit/controls/").status_code == 404


def test_the_judgement_is_that_of_a_request_being_made(db: None, as_role: AsRole) -> None:
    ada, ben, cy = make.person("Ada Asker"), make.person("Ben Boss"), make.person("Cy Boss")
    twin = make.person("Ada Admin", employee_id=ada.employee_id)
    gone, guest = make.person(enabled=False), make.person(guest=True)
    whose, nobodys = make.person(guest=True), make.person(guest=True, employee_id="")
    away, tired, helped = (make.person(name) for name in ("Away Alone", "Tired Too", "Helped Hal"))
    with as_role("portal_web"):
        for person, delegate in ((away, None), (tired, away), (helped, cy)):
            declare(
                person_id=person.pk,
                delegate_id=delegate.pk if delegate else None,
                begins_at=None,
                ends_at=business_now() + timedelta(days=1),
                by_id=person.pk,
                actor=make.actor(person),
            )
    rules = [
        make.rule(*named, quorum=quorum)
        for named, quorum in (
            *(((ben,), 1), ((ben,), 2), ((ben, cy), 2), ((ada, ben), 1), ((ada, ben), 2), ((ada, twin), 1)),
            *(((gone,), 1), ((guest,), 1), ((gone, guest, cy), 1), ((ben, twin, cy), 2)),
            *(((away,), 1), ((tired,), 1), ((helped,), 1), ((helped, cy), 2), ((helped, ben), 2)),
        )
    ]
    rules += [make.rule(each, guests_decide=True) for each in (whose, nobodys)]
    asked = [(make.pim_group(), version) for version in rules]
    with as_role("portal_web"):
        items = [make.pending_item(ada, group, version) for group, version in asked]
        found = measuring.undecidable(business_now())
        expected = [not somebody_can_decide(each.parsed.demands, ada) for each in rules]
    assert [item in found.found for item in items] == expected
    assert set(expected) == {True, False}
    assert (found.looked_at, found.not_looked) == (len(rules), False)


def test_who_has_approved_it_is_not_waited_for_again(db: None) -> None:
    ada, ben, cy = (make.person(name) for name in ("Ada Asker", "Ben Boss", "Cy Boss"))
    first, second = ([each.object_id for each in named] for named in ((ben, cy), (cy,)))
    stages = [{"people": first, "quorum": 1}, {"people": second, "quorum": 1}]
    demands = make.rule(stages=stages).parsed.demands
    humans = measuring._humans([demands], business_now())
    item = RequestItem(requester=ada, stage=1)
    assert measuring._seated(demands, humans, RequestItem(requester=ada, stage=0), [])
    assert measuring._seated(demands, humans, item, [Decision(approver=ben, stage=0)])
    assert not measuring._seated(demands, humans, item, [Decision(approver=cy, stage=0)])


def test_access_was_unused_where_cloudtrail_was_read_whole_and_shows_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One was used, one not; of one the reading isn't over, one has a gap, one was never read."""
    grants = []
    for _ in range(5):
        group = make.pim_group(accounts=1)
        with world.as_role("portal_web"):
            item = make.pending_item(world.ada, group, world.rule)
        decide(item, world.ben, "approve", world.as_role)
        grants.append(bring(make.scheduled_grant(item), GrantStatus.ACTIVE))
    used, unused, going_on, with_a_gap, _unread = grants
    for grant, how in ((used, {}), (unused, {}), (going_on, {"complete": False}), (with_a_gap, {})):
        activity(grant, **how)
    ActivityUse.objects.exclude(place__look__grant=used).delete()
    ActivityPlace.objects.filter(look__grant=with_a_gap).update(problem="It could not be read.")
    today = business_now().date()
    today_alone = Period(today, today)
    with world.as_role("portal_web"):
        found = measuring.use_of_access(today_alone)
        figure = next(
            each for each in controls_page(Period(today, today)).figures if each.key == "unused_access"
        )
        monkeypatch.setattr(measuring, "MOST_ACCOUNTS", 1)
        bounded = measuring.use_of_access(Period(today, today))
    assert (found.arrived, found.known, found.unused, found.cases) == (5, 2, 1, [unused])
    assert (bounded.known, bounded.unused) == (1, 0), "of what wasn't asked it isn't known"
    assert figure.value == "1"
    assert (
        "Of 5 accesses that became ready in the period, CloudTrail says of 2 whether they were used."
        in figure.sentence
    )
    assert "no proof that there was none" in figure.sentence
    assert [each.address for each in figure.behind] == [f"/audit/requests/{unused.first_request_id}/"]
    monkeypatch.setattr(measuring, "use_of_access", lambda period: replace(found, unused=2))
    with world.as_role("portal_web"):
        (told,) = [each for each in controls_page(today_alone).figures if each.key == "unused_access"]
    assert list(told.details) == ["1 of them is named here."]
    (took,) = [each for each in controls_page(today_alone).figures if each.key == "time_to_decide"]
    (behind,) = took.behind
    assert "5 decisions" in took.sentence
    olga = world.sign_in(make.person("Olga Auditor"), AppRole.AUDITOR)
    assert re.search(r">\s*5 events", olga.get(behind.address).content.decode())


def test_a_removal_that_is_overdue_now_leads_to_its_case(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = world.ask()
    decide(item, world.ben, "approve", world.as_role)
    late = Overdue(make.scheduled_grant(item), "AWS", business_now())
    monkeypatch.setattr(figures, "overdue_grants", lambda: [late])
    today = business_now().date()
    with world.as_role("portal_web"):
        shown = controls_page(Period(today, today)).figures
    (found,) = [each for each in shown if each.key == "late_removals"]
    assert "1 removal is overdue now." in found.sentence
    assert found.tone == figures.LOOK
    assert [each.address for each in found.behind[1:]] == [f"/audit/requests/{item.request_id}/"]
    monkeypatch.setattr(figures, "number_overdue", lambda overdue: 10_001)
    with world.as_role("portal_web"):
        many = figures._late_removals(measuring.time_to_remove(Period(today, today)), Period(today, today))
    assert "left AWS in the period; more than 10,000 removals are overdue now." in many.sentence
    assert (list(found.details), list(many.details)) == ([], ["1 of them is named here."])


def test_the_lags_of_seals_and_anchors_lead_to_the_events_behind_them(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = Event.objects.get(id=note("waits"))
    state = AnchorState("file", 3, real_now(), timedelta(0), waits_since=event.at, newest_event=event.id)
    monkeypatch.setattr(figures, "anchor_states", lambda places: [state])
    today = business_now().date()
    shown = {each.name: each for each in controls_page(Period(today, today)).figures}
    seal, anchor = shown["Seal lag"], shown["Anchor lag: file"]
    (page, *_), (since, proof, _) = seal.behind, anchor.behind
    assert page.address == since.address
    assert "waits" in auditor.get(page.address).content.decode()
    assert auditor.get(proof.address).status_code == 200
    for figure in (seal, anchor):
        assert figure.behind[-1].address == "/operations/"
    waiting = Waiting(10_001, timedelta(hours=1), event.business_at)
    monkeypatch.setattr(figures, "waiting_for_seal", lambda real: waiting)
    assert figures._seal_lag().sentence == "More than 10,000 events of the trail wait for a seal now."
    monkeypatch.setattr(figures, "waiting_for_seal", lambda real: Waiting(0, timedelta(0), None))
    assert figures._seal_lag().behind[0].address == "/audit/"


def test_controls_stand_in_their_publishers_order() -> None:
    named = ["A.8.15", "AU-10", "10.3.2", "A.5.18", "AC-2(3)", "7.2.1", "AC-2", "A.5.3", "AU-9(2)"]
    ordered = ["7.2.1", "10.3.2", "A.5.3", "A.5.18", "A.8.15", "AC-2", "AC-2(3)", "AU-9(2)", "AU-10"]
    assert sorted(named, key=figures._in_order) == ordered


def test_of_a_large_group_as_many_are_read_as_could_matter(db: None) -> None:
    large, small = (DirectoryGroup.objects.create(object_id=make.oid()) for _ in range(2))
    for group, number in ((large, 9), (small, 1)):
        for _ in range(number):
            DirectoryMembership.objects.create(group=group, person=make.person())
    both = Approvers(people=frozenset(), groups=frozenset({large.object_id, small.object_id}))
    found = measuring._humans(
        [Demands((Stage(approvers=both, quorum=2), Stage(approvers=both, quorum=1)))], business_now()
    )
    assert {key: len(humans) for key, humans in found.items()} == {
        (
            large.object_id,
            False,
        ): 7,  # the requester, and for each of three seats who spoke and in whose right
        (small.object_id, False): 1,
    }
