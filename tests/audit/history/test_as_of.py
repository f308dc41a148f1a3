"""Who had access at a minute: against an oracle that tries every second, by index, and as a page."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_subatomic.db import transaction
from pytest_django import DjangoDbBlocker, Settings

from audit.history import changes as changing
from audit.history.as_of import MOST_SCOPE, Held, as_of
from audit.history.changes import Change, changes
from audit.history.forms import ChangesForm
from audit.ledger.recorder import Actor
from base.clock import business_now
from base.errors import Invalid
from catalog.models import AwsAccount
from identity.models import AppRole
from oversight.drift import writing
from oversight.models import FindingKind, FindingStatus
from requests_app.lifecycle import GrantStatus, ItemStatus
from requests_app.models import AccessRequest, Grant, GrantInterval, RequestItem, RequestScope
from tests.audit.history.conftest import AsRole, browser_of
from tests.audit.ledger.test_reading import explain
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer, pointed_at
from tests.support.stage import Stage, stage

MANY, PEOPLE, GROUPS, ACCOUNTS = 3_000, 30, 8, 40
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 200
S = GrantStatus


@dataclass
class Told:
    """One grant as the oracle knows it: when it began and ended in each sense, and what it opened from when on."""

    id: UUID
    person: str
    group: str
    status: GrantStatus
    begin: datetime
    assigned: datetime | None = None
    arrived: datetime | None = None
    out_of_entra: datetime | None = None
    out_of_aws: datetime | None = None
    last_use: datetime | None = None
    ended: datetime | None = None
    opened: list[tuple[datetime, str]] = field(default_factory=list)  # from when, which account


class Past:
    """A made-up past of many grants, in a database of its own and in memory."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.told: list[Told] = []

    def write(self) -> None:
        """As the owner, the guards being off."""
        self.people = [make.person(f"Person {n:02}") for n in range(PEOPLE)]
        self.groups = [make.pim_group(f"AWS - {n}", accounts=0) for n in range(GROUPS)]
        AwsAccount.objects.bulk_create(
            AwsAccount(account_id=f"{n:012}", name=f"account-{n}", state="ACTIVE") for n in range(ACCOUNTS)
        )
        self.version = make.rule(self.people[0])
        self.rows: dict[type[Any], list[Any]] = {
            model: [] for model in (AccessRequest, RequestItem, RequestScope, Grant, GrantInterval)
        }
        taken: set[tuple[int, int]] = set()
        for _ in range(MANY):
            self._grant(taken)
        for model, rows in self.rows.items():
            model.objects.bulk_create(rows, batch_size=1_000)

    def _later(self, moment: datetime, most: int) -> datetime:
        return moment + timedelta(seconds=self.dice.randrange(1, most))

    def _grant(self, taken: set[tuple[int, int]]) -> None:
        pair = (self.dice.randrange(PEOPLE), self.dice.randrange(GROUPS))
        status = self.dice.choice([S.ENDED] * 8 + [S.NEVER_ARRIVED, S.CANCELLED, S.NOT_GRANTED, S.SCHEDULED])
        if pair not in taken and self.dice.random() < 0.05:
            taken.add(pair)
            status = self.dice.choice([S.ACTIVATING, S.PROVISIONING, S.ACTIVE, S.REMOVING, S.DEPROVISIONING])
        elif self.dice.random() < 0.02:
            status = S.DRAINING
        begin = START + timedelta(seconds=self.dice.randrange(DAYS * 86_400))
        told = Told(uuid4(), self.people[pair[0]].object_id, self.groups[pair[1]].object_id, status, begin)
        end = begin + timedelta(hours=self.dice.randrange(1, 9))
        if status in (S.CANCELLED, S.NOT_GRANTED):
            told.ended = begin + timedelta(seconds=self.dice.randrange(-7_200, 600))
        elif status != S.SCHEDULED:
            self._happened(told, end)
        self.told.append(told)
        self._rows_of(told, pair, end)

    def _happened(self, told: Told, end: datetime) -> None:
        """What the clouds showed, as far as the status says that they did."""
        seen = told.status not in (S.ACTIVATING, S.REMOVING) or self.dice.random() < 0.5
        if seen and self.dice.random() < 0.95:
            told.assigned = self._later(told.begin, 600)
        if seen and told.status not in (S.ACTIVATING, S.PROVISIONING, S.NEVER_ARRIVED):
            told.arrived = self._later(told.assigned or told.begin, 1_200)
        if told.status in (S.DEPROVISIONING, S.DRAINING, S.ENDED, S.NEVER_ARRIVED):
            told.out_of_entra = self._later(end, 600)
            if told.status == S.NEVER_ARRIVED:
                told.ended = self._later(told.out_of_entra, 3_600)
        if told.out_of_entra and told.status in (S.DRAINING, S.ENDED):
            told.out_of_aws = self._later(told.out_of_entra, 3_600)
            told.last_use = self._later(told.out_of_aws, 13 * 3_600)
            told.ended = told.last_use if told.status == S.ENDED else None

    def _rows_of(self, told: Told, pair: tuple[int, int], end: datetime) -> None:
        person, group = self.people[pair[0]], self.groups[pair[1]]
        spans = [(told.begin, end)]
        if self.dice.random() < 0.1:
            spans.append((end, end + timedelta(hours=1)))
        for number, (since, until) in enumerate(spans):
            request = AccessRequest(
                requester=person, justification="x", created_at=since, created_real_at=since
            )
            item = RequestItem(
                request=request, requester=person, group=group, duration=until - since,
                status=ItemStatus.APPROVED, terms=make.terms(self.version), scope_hash="", created_at=since,
                longest_session=timedelta(hours=1), lapses_at=since, decided_at=since,
            )  # fmt: skip
            if number == 0:
                grant = Grant(
                    id=told.id, person=person, group=group, first_request=request, status=told.status,
                    starts_at=told.begin, ends_at=spans[-1][1], longest_session=timedelta(hours=1),
                    created_at=told.begin, assigned_at=told.assigned, arrived_at=told.arrived,
                    out_of_entra_at=told.out_of_entra, out_of_aws_at=told.out_of_aws,
                    last_possible_use_at=told.last_use, ended_at=told.ended,
                )  # fmt: skip
                self.rows[Grant].append(grant)
            self.rows[AccessRequest].append(request)
            self.rows[RequestItem].append(item)
            self.rows[GrantInterval].append(
                GrantInterval(grant_id=told.id, item=item, starts_at=since, ends_at=until)
            )
            for account in self.dice.sample(range(ACCOUNTS), 3):
                told.opened.append(
                    (datetime.min.replace(tzinfo=UTC) if number == 0 else since, f"{account:012}")
                )
                self.rows[RequestScope].append(_scope_row(item, account))

    def expected(self, at: datetime, **wanted: str) -> dict[UUID, tuple[Held, Held, Held, int]]:
        """By trying every second of the minute."""
        found = {}
        for told in self.told:
            accounts = {account for since, account in told.opened if since < at + timedelta(minutes=1)}
            if wanted.get("account"):
                accounts &= {wanted["account"]}
            fits = (
                wanted.get("person", told.person) == told.person
                and wanted.get("group", told.group) == told.group
            )
            if told.status in (S.SCHEDULED, S.CANCELLED, S.NOT_GRANTED) or not accounts or not fits:
                continue
            three = _three(told, at)
            if three[2] is not Held.NO:
                found[told.id] = (*three, len(accounts))
        return found


def _scope_row(item: RequestItem, account: int) -> RequestScope:
    return RequestScope(
        item=item, account_id=f"{account:012}", account_name=f"account-{account}",
        permission_set_arn="arn:a", permission_set_name="Admin", session_duration=timedelta(hours=1),
    )  # fmt: skip


def _three(told: Told, at: datetime) -> tuple[Held, Held, Held]:
    begin, end = told.assigned or told.begin, datetime.max.replace(tzinfo=UTC)
    seconds = [at + timedelta(seconds=n) for n in range(60)]

    def ever(since: datetime | None, until: datetime) -> bool:
        return since is not None and any(since <= second < until for second in seconds)

    entra, aws, sessions = Held.NO, Held.NO, Held.NO
    if ever(begin, told.out_of_entra or end):
        entra = Held.YES if told.assigned else Held.POSSIBLE
    if ever(told.arrived, told.out_of_aws or end):
        aws = Held.YES
    elif ever(begin, told.out_of_aws or told.ended or end):
        aws = Held.POSSIBLE
    if ever(told.arrived, told.last_use or end):
        sessions = Held.YES
    elif ever(begin, told.last_use or told.ended or end):
        sessions = Held.POSSIBLE
    return entra, aws, sessions


@pytest.fixture(scope="module")
def past(
    postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker, worker_id: str
) -> Iterator[Past]:
    name = f"portal_{worker_id}_past"
    postgres_server.clone(name)
    made = Past(seed=20_260_501)
    with psycopg.connect(postgres_server.conninfo("postgres", name), autocommit=True) as direct:
        for table in ("accessrequest", "requestitem", "requestscope", "grant", "grantinterval"):
            direct.execute(f"ALTER TABLE requests_app_{table} DISABLE TRIGGER USER".encode())
        with django_db_blocker.unblock():
            with pointed_at(postgres_server, name, role="portal_owner"):
                made.write()
            direct.execute("ANALYZE")
            with pointed_at(postgres_server, name, step_into="portal_web"):
                yield made
    postgres_server.drop(name)


@pytest.fixture(autouse=True)
def _tenant(settings: Settings) -> None:
    settings.ENTRA_TENANT_ID = make.TENANT


def found_at(at: datetime, **wanted: str) -> dict[UUID, tuple[Held, Held, Held, int]]:
    """Everything that the pages show, one after the other."""
    form = {"person": "", "group": "", "account": "", "permission_set": "", **wanted, "at": at}
    page = as_of(form)
    counted, found, seen = page.counted, {}, []
    while True:
        for access in page.accesses:
            three = access.entra.held, access.aws.held, access.sessions.held
            found[access.grant.pk] = (*three, access.opened)
            seen.append(access.grant.person.display_name)
        if page.after is None:
            break
        page = as_of(form, page.after)
    assert counted == len(found) == len(seen)
    assert seen == sorted(seen, key=str.lower)
    return found


def test_every_minute_is_what_trying_each_second_says(past: Past) -> None:
    dice, some, kinds = random.Random(7), past.told, set()
    for _ in range(40):
        told = dice.choice(some)
        # Around the instants at which something changes, the seconds matter.
        near = dice.choice(
            [told.begin, *filter(None, (told.assigned, told.out_of_aws, told.last_use, told.ended))]
        )
        at = near.replace(second=0) + timedelta(minutes=dice.choice([-1, 0, 0, 1]))
        wanted = dice.choice(
            [{}, {"person": told.person}, {"group": told.group}, {"account": dice.choice(told.opened)[1]},
             {"account": told.opened[0][1], "group": told.group}]
        )  # fmt: skip
        expected = past.expected(at, **wanted)
        assert found_at(at, **wanted) == expected, (at, wanted)
        kinds |= {three[:3] for three in expected.values()}
    assert {Held.YES, Held.POSSIBLE, Held.NO} <= {one[0] for one in kinds}
    assert {Held.YES, Held.POSSIBLE, Held.NO} <= {one[1] for one in kinds}


# --- What changed between two minutes, against the same oracle

type Changed = dict[tuple[str, str], tuple[Change, set[UUID], set[UUID]]]


def expected_changes(past: Past, since: datetime, until: datetime, **wanted: str) -> Changed:
    """Whoever the oracle has at either minute, by person and PIM group."""
    told = {each.id: each for each in past.told}
    found: dict[tuple[str, str], tuple[set[UUID], set[UUID]]] = {}
    for place, at in enumerate((since, until)):
        for grant in past.expected(at, **wanted):
            found.setdefault((told[grant].person, told[grant].group), (set(), set()))[place].add(grant)
    kinds = {(False, True): Change.GAINED, (True, False): Change.LOST, (True, True): Change.SAME}
    return {pair: (kinds[bool(one), bool(two)], one, two) for pair, (one, two) in found.items()}


def found_changes(
    since: datetime, until: datetime, show: str, **wanted: str
) -> tuple[Changed, dict[str, int]]:
    """Everything that the pages show, one after the other, and the counts of the first."""
    form = {"person": "", "group": "", "account": "", "permission_set": "", "show": show, **wanted}
    page = changes({**form, "since": since, "until": until})
    counts, found, names = dict(page.counts), {}, []
    for number in range(1, page.page.paginator.num_pages + 1):
        page = changes({**form, "since": since, "until": until}, str(number))
        for row in page.rows:
            (grant, *_) = [access.grant for access in (*row.before, *row.after)]
            assert all(access.opened for access in (*row.before, *row.after))
            one, two = ({access.grant.pk for access in each} for each in (row.before, row.after))
            found[grant.person.object_id, grant.group.object_id] = (row.pair.change, one, two)
            names.append(row.pair.person.lower())
    assert len(names) == len(found)
    assert names == sorted(names)
    return found, counts


def test_what_changed_is_what_the_oracle_has_at_either_minute(past: Past) -> None:
    dice, kinds = random.Random(11), set()
    for number in range(9):
        told = dice.choice(past.told)
        since = (told.assigned or told.begin).replace(second=0) - timedelta(minutes=dice.choice([0, 1, 90]))
        until = since + timedelta(minutes=(60, 1, 24 * 60, 60 * 24 * 60)[number % 4])
        # The longer times first without a filter: there all kinds of change are.
        wanted: dict[str, str] = {}
        if number > 2:
            wanted = dice.choice(
                [{"person": told.person}, {"group": told.group}, {"account": told.opened[0][1]}]
            )
        expected = expected_changes(past, since, until, **wanted)
        found, counts = found_changes(since, until, "all", **wanted)
        assert found == expected, (since, until, wanted)
        each = [change for change, _, _ in expected.values()]
        assert counts == {change.value: each.count(change) for change in Change}
        kinds |= set(each)
        moved, _ = found_changes(since, until, "", **wanted)
        assert moved == {pair: row for pair, row in expected.items() if row[0] is not Change.SAME}
    assert kinds == set(Change)


def test_more_than_can_be_compared_is_refused(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "MOST_HELD", 3)
    with pytest.raises(Invalid, match="More than 3 accesses"):
        found_changes(START + timedelta(days=100), START + timedelta(days=101), "")


@pytest.mark.parametrize(
    ("since", "until", "refusal"),
    [
        ("2026-01-02", "2026-01-01", "not after the first minute"),
        ("2026-01-02T10:00", "2026-01-02T10:00", "not after the first minute"),
        ("", "2199-01-01", "has not come yet"),
        ("1900-01-01", "", "between the years"),
    ],
)
def test_two_minutes_follow_each_other_and_have_come(since: str, until: str, refusal: str) -> None:
    form = ChangesForm({"since": since, "until": until})
    assert not form.is_valid()
    assert refusal in str(form.errors)


def test_a_permission_set_is_a_filter_too(past: Past) -> None:
    told = next(told for told in past.told if told.arrived)
    assert told.arrived
    with pytest.raises(Invalid, match="No permission sets have this name"):
        found_at(told.arrived, permission_set="Nothing")


@pytest.mark.parametrize("days", [1, DAYS // 2, DAYS - 1])
@pytest.mark.parametrize("account", ["", "000000000007"])
def test_a_minute_is_found_by_its_index(past: Past, days: int, account: str) -> None:
    form = {"person": "", "group": "", "account": account, "permission_set": ""}
    with CaptureQueriesContext(connection) as captured:
        as_of({**form, "at": START + timedelta(days=days)})
    reads = [query["sql"] for query in captured if '"requests_app_grant"."status" IN' in query["sql"]]
    assert reads
    for statement in reads:
        plan = explain(statement)
        assert any(each.get("Index Name") == "grant_held" for each in nodes(plan)), plan
        assert not any(
            each["Node Type"] == "Seq Scan"
            and each["Relation Name"] in ("requests_app_grant", "requests_app_requestscope")
            for each in nodes(plan)
        ), plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


# --- The page, over a grant that the life cycle itself has made


def text_of(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, response.content.decode()[:2000]
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


@pytest.fixture
def played(db: None, as_role: AsRole) -> Iterator[Stage]:
    with stage(as_role) as made:
        made.decide(made.ask())
        made.play_out()
        yield made


@pytest.fixture
def olga(played: Stage, as_role: AsRole) -> Iterator[Client]:
    person = make.person("Olga Auditor")
    with as_role("portal_web"):
        yield browser_of(person, AppRole.AUDITOR)


def test_the_three_are_told_apart_as_they_end(played: Stage, olga: Client) -> None:
    grant = played.grant()
    assert grant.assigned_at
    assert grant.arrived_at
    assert grant.out_of_aws_at
    assert grant.last_possible_use_at
    played.time.now += timedelta(hours=1)
    minute = timedelta(minutes=1)

    def page(moment: datetime) -> str:
        return text_of(olga, f"/audit/as-of/?at={moment:%Y-%m-%dT%H:%M}&group={grant.group.object_id}")

    assert "No grant" not in page(grant.arrived_at)
    inside = page(grant.arrived_at + minute)
    assert inside.count("member from") == 2
    assert "1 access" in inside
    assert grant.person.display_name in inside
    drained = page(grant.out_of_aws_at + minute)
    assert drained.count("out by then") == 2
    assert "possible from" in drained
    assert "Nobody who fits" in page(grant.last_possible_use_at + minute)
    assert "Nobody who fits" in page(grant.assigned_at - 2 * minute)
    case = f"/audit/requests/{grant.first_request_id}/"
    assert case in olga.get(f"/audit/as-of/?at={grant.arrived_at:%Y-%m-%dT%H:%M}").content.decode()


def test_the_page_says_who_gained_and_who_lost(played: Stage, olga: Client) -> None:
    grant = played.grant()
    assert grant.assigned_at
    assert grant.last_possible_use_at
    played.time.now += timedelta(hours=1)

    def page(since: datetime, until: datetime, show: str = "") -> str:
        return text_of(
            olga, f"/audit/changes/?since={since:%Y-%m-%dT%H:%M}&until={until:%Y-%m-%dT%H:%M}&show={show}"
        )

    before, inside = grant.assigned_at - timedelta(minutes=2), grant.assigned_at + timedelta(minutes=5)
    after = grant.last_possible_use_at + timedelta(minutes=2)
    assert "1 gained, 0 lost, 0 had it at both" in page(before, inside)
    lost = page(inside, after)
    assert "0 gained, 1 lost, 0 had it at both" in lost
    assert grant.person.display_name in lost
    assert "Nothing changed" in page(inside, inside + timedelta(minutes=1))
    assert "Same" in page(inside, inside + timedelta(minutes=1), "same")
    assert "Nothing changed" in page(before, after)


def test_what_a_widened_group_opened_is_not_denied(played: Stage, olga: Client, as_role: AsRole) -> None:
    grant = played.grant()
    assert grant.arrived_at
    seen, hour, day = grant.arrived_at, timedelta(hours=1), timedelta(days=1)
    played.time.now += hour
    with as_role("portal_worker"):
        row = make.finding(
            grant.person, grant.group, FindingKind.WIDENED, grant=grant, first_seen_at=seen, last_seen_at=seen
        )
        make.finding(grant.person, grant.group, FindingKind.LATE, first_seen_at=seen)
        with transaction():
            writing.change(row, FindingStatus.GONE, "drift.gone", actor=Actor.worker(), now=seen + hour)
    link = f"/operations/drift/{row.pk}/"

    def body(address: str) -> str:
        return str(olga.get(f"/audit/{address}").content.decode())

    at = f"as-of/?at={seen:%Y-%m-%dT%H:%M}"
    inside = body(f"{at}&account=999999999999")
    assert "had been shown to open this" in inside
    assert "Nobody who fits" not in inside
    assert inside.count("/operations/drift/") == 1 + 1, "the link of the page, and the one finding"
    assert link in inside
    assert link in body(
        f"{at}&account=999999999999&person={grant.person.object_id}&group={grant.group.object_id}"
    )
    assert link not in body(f"{at}&account=999999999999&person={make.oid()}")
    assert link not in body(f"{at}&account=999999999999&group={make.oid()}")
    assert link not in body(f"{at}&person={grant.person.object_id}"), "there nothing is looked for in scopes"
    assert link not in body(f"as-of/?at={seen - day:%Y-%m-%dT%H:%M}&account=999999999999")
    assert link not in body(f"as-of/?at={seen + 2 * hour:%Y-%m-%dT%H:%M}&account=999999999999")
    between = f"since={seen - day:%Y-%m-%dT%H:%M}&until={seen:%Y-%m-%dT%H:%M}"
    assert link in body(f"changes/?{between}&account=999999999999")
    assert link not in body(f"changes/?{between}")


def test_a_further_page_compares_the_same_two_minutes(olga: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [changing.Pair(f"Person {n}", "AWS", (), ()) for n in range(3)]
    monkeypatch.setattr(changing, "compare", lambda before, after: pairs)
    monkeypatch.setattr(changing, "PAGE", 1)
    ways = {}
    for page in ("1", "2"):
        body = olga.get(f"/audit/changes/?show=all&page={page}").content.decode()
        for way, rel in re.findall(r'href="([^"]+)" rel="(next|prev)"', body):
            ways[page, rel] = parse_qs(way.replace("&amp;", "&").lstrip("?"))
    assert ways.keys() == {("1", "next"), ("2", "next"), ("2", "prev")}
    now = business_now()
    for (page, rel), query in ways.items():
        assert query["show"] == ["all"]
        assert query["page"] == [str(int(page) + (1 if rel == "next" else -1))]
        since, until = (datetime.fromisoformat(f"{query[name][0]}+00:00") for name in ("since", "until"))
        assert until - since == timedelta(days=1)
        assert timedelta(0) <= now - until < timedelta(minutes=3)


def test_it_says_what_it_covers_and_refuses_what_it_cannot_know(olga: Client) -> None:
    assert "managed PIM groups" in text_of(olga, "/audit/as-of/")
    ahead = business_now() + timedelta(days=1)
    assert "has not come yet" in text_of(olga, f"/audit/as-of/?at={ahead:%Y-%m-%dT%H:%M}", status=422)
    assert "No people have this name" in text_of(olga, "/audit/as-of/?person=nobody", status=422)
    for junk in ("after=x", f"after={uuid4()}", "at=yesterday", "held__overlap=1"):
        assert olga.get(f"/audit/as-of/?{junk}").status_code in (200, 422)


def test_much_that_was_opened_is_numbered_not_listed(olga: Client, played: Stage, as_role: AsRole) -> None:
    grant = played.grant()
    item = grant.intervals.get().item
    before = item.scope.count()
    RequestScope.objects.bulk_create(
        RequestScope(
            item=item, account_id=f"{n:012}", account_name=f"much-{n}", permission_set_arn="arn:b",
            permission_set_name="Much", session_duration=timedelta(hours=1),
        )
        for n in range(MOST_SCOPE + 5)
    )  # fmt: skip
    assert grant.arrived_at
    text = text_of(olga, f"/audit/as-of/?at={grant.arrived_at:%Y-%m-%dT%H:%M}")
    assert f"{MOST_SCOPE + 5 + before} account assignments" in text
    assert f"and {before + 5} more" in text
