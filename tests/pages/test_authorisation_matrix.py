"""Every address and method for everybody: the answers are those of the table in docs/authorisation.md."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, include, path
from django.views.decorators.http import require_http_methods
from pytest_django import Settings

from audit.api.models import ApiToken
from audit.api.tokens import make_token
from audit.history.saving import save_search
from audit.ledger.models import Event
from base.clock import business_now
from catalog.models import PimGroup
from identity.models import Person
from notifications.models import DemoMail
from oversight.rules.proposing import propose
from oversight.rules.state import in_force
from policy.models import RuleVersion
from policy.reading import read_rules
from requests_app.actions.conversing import remark
from requests_app.actions.freezing import carry_freezes, freeze
from requests_app.actions.pathing import take_place
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant, RequestItem
from requests_app.path_models import PathKind, PathTicket
from reviews.models import ReviewEntry
from stack.running import ROOT
from tests.pages.conftest import World
from tests.pages.moving import bring, decide
from tests.pages.test_economy import a_campaign, an_export
from tests.requests_app import factories as make
from tests.requests_app.emergencies import emergency_rule, in_emergency, let_through

DOCUMENT = ROOT / "docs" / "authorisation.md"
HEADING = "## The table\n"
WHO = (
    "anonymous",
    "employee",
    "other requester",
    "other approver",
    "requester",
    "approver",
    "auditor",
    "operator",
    "disabled",
)
NOWHERE = "/no-such-address/"
# What fits into an address and names nothing.
ABSENT = {"uuid": "00000000-0000-4000-8000-000000000000", "int": "999999999"}
METRICS_TOKEN = "the-token-of-the-monitoring"
HOW_TO_ADD = (
    "Add it to the table of docs/authorisation.md with an answer for everybody, and what to send, where the address "
    "holds an id or takes a form, to `what_to_send` in tests/pages/test_authorisation_matrix.py."
)


# ------------------------------------------------------------ the document


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    route: str
    methods: tuple[str, ...]
    answers: Mapping[str, str]  # by who


def rows_of(document: str) -> list[Row]:
    """The table below HEADING. Raises AssertionError for one that can't be read."""
    lines = re.findall(r"^\|(.*)\|$", document.partition(HEADING)[2].partition("\n## ")[0], re.MULTILINE)
    head, _, *body = [[cell.strip() for cell in line.split("|")] for line in lines]
    assert head == ["address", "method", *WHO], f"The columns are {head}"
    for cells in body:
        assert len(cells) == len(head), f"{cells[0]} has {len(cells)} cells instead of {len(head)}"
    return [
        Row(cells[0].strip("`"), tuple(cells[1].split(", ")), dict(zip(WHO, cells[2:], strict=True)))
        for cells in body
    ]


def routes(found: URLResolver, prefix: str = "/") -> Iterator[str]:
    """Every address of a URLconf, as its patterns spell it."""
    for each in found.url_patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield route
        else:
            yield from routes(each, route)


def filled(route: str, values: Mapping[str, object]) -> str:
    """An address: ids by the name that the pattern gives them, else absent ones."""
    return re.sub(
        r"<(\w+):(\w+)>", lambda found: str(values.get(found[2], ABSENT.get(found[1], "absent"))), route
    )


# ------------------------------------------------------------ who asks, and what for


@dataclass(frozen=True)
class Sent:
    """What is put into an address, and the form with which the allowed succeed."""

    ids: Mapping[str, object] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    yes: tuple[int, ...] = ()  # by default 200, and 302 with an entry in the trail for a POST


FORM = "application/x-www-form-urlencoded"
# What differs from page to page.
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')


@dataclass(frozen=True)
class Answer:
    """Everything by which two answers could be told apart, and whether the trail has an entry more."""

    method: str
    status: int
    body: str
    headers: Mapping[str, str]
    recorded: bool

    def word(self, sent: Sent) -> str:
        """The table's word for it; what isn't one says what was wrong."""
        if self.status == 302 and self.headers["Location"].startswith("/signin/?"):
            return "sign in"
        if self.status == 404:
            return "no, but something is recorded" if self.recorded else "no"
        if self.method == "POST" and not sent.yes:
            return (
                "yes" if self.status == 302 and self.recorded else f"{self.status}, recorded: {self.recorded}"
            )
        return "yes" if self.status in (sent.yes or (200,)) else str(self.status)


@dataclass(frozen=True)
class Cast:
    """Who asks. Everybody but the anonymous carries the cookie of a session of their own."""

    world: World
    sessions: Mapping[str, str]  # the value of the cookie, by who

    def ask(
        self, who: str, method: str, address: str, form: Mapping[str, str] | None = None, **headers: str
    ) -> Answer:
        """One request in a browser that has nothing but the session. Whatever it did is undone."""
        client = Client()
        if who in self.sessions:
            client.cookies[django_settings.SESSION_COOKIE_NAME] = self.sessions[who]
        sent = urlencode(form or {}) if method == "POST" else ""
        before, save = newest_event() if method == "POST" else None, transaction.savepoint_create()
        with self.world.as_role("portal_web"):
            answer = client.generic(method, address, sent, FORM, headers=headers)
            # Within these rights, because an export works while it is read.
            body = answer.getvalue().decode(errors="replace")
        recorded = method == "POST" and newest_event() != before
        transaction.savepoint_rollback(save)
        return Answer(method, answer.status_code, TOKEN.sub("", body), dict(answer.headers), recorded)


def newest_event() -> int | None:
    """The trail's newest entry, but for sessions, which end here whatever was asked for, and for the attempt itself."""
    found = Event.objects.exclude(type__in=["signin.ended", "action.refused"]).order_by("-id")
    return found.values_list("id", flat=True).first()


@pytest.fixture
def cast(world: World, settings: Settings) -> Iterator[Cast]:
    settings.PORTAL_ORIGIN = "http://testserver"
    settings.METRICS_TOKEN = METRICS_TOKEN
    settings.ENTRA_TENANT_ID = make.TENANT
    settings.FAST_REMOVAL = "direct"
    logging.disable(logging.CRITICAL)  # a line for each of a thousand answers
    elsewhere = make.pim_group()
    lead = make.person("Leo Lead")
    rule = make.rule(lead, groups=(elsewhere,))
    other = make.person("Oda Other")
    make.eligibility(other, elsewhere)
    with world.as_role("portal_web"):
        make.pending_item(other, elsewhere, rule)
    # Whoever is switched off would be let in everywhere.
    gone = make.person("Gil Gone")
    browsers = {
        "employee": world.sign_in(world.cy),
        "other requester": world.sign_in(other),
        "other approver": world.sign_in(lead),
        "requester": world.sign_in(world.ada),
        "approver": world.sign_in(world.ben),
        "auditor": world.sign_in(make.person("Una Auditor"), "Auditor"),
        "operator": world.sign_in(make.person("Olga Operator"), "Operator"),
        "disabled": world.sign_in(gone, "Auditor", "Operator"),
    }
    Person.objects.filter(pk=gone.pk).update(enabled=False)
    name = django_settings.SESSION_COOKIE_NAME
    yield Cast(world, {who: browser.client.cookies[name].value for who, browser in browsers.items()})
    logging.disable(logging.NOTSET)


def what_to_send(world: World) -> dict[str, Sent]:
    """By address: a request, decision, grant or finding on which whoever may act succeeds now."""
    groups = [make.pim_group() for _ in range(9)]
    for group in groups:
        make.eligibility(world.ada, group)
    rule = make.rule(world.ben, Person.objects.get(display_name="Gil Gone"), groups=tuple(groups))
    fresh, asked, denied, held, leaving, *waiting = groups
    pending = ask(world, asked, rule)
    with world.as_role("portal_web"):  # so that its requester has something to answer
        remark(item_id=pending.pk, person_id=world.ben.pk, words="Why today?", actor=make.actor(world.ben))
    refused = ask(world, denied, rule)
    decide(refused, world.ben, "deny", world.as_role)
    active = grant(world, held, rule, GrantStatus.ACTIVE)
    leaves = grant(world, leaving, rule, GrantStatus.DEPROVISIONING)
    queued = [grant(world, group, rule, GrantStatus.ACTIVATING) for group in waiting]
    # The path is narrow: nobody is at its end yet.
    for each in [*queued, *(grant(world, make.pim_group(), rule, GrantStatus.ACTIVATING) for _ in range(4))]:
        take_place(each, PathKind.ASSIGN)
    ticket = PathTicket.objects.order_by("-pk")[0]
    finding = make.finding(world.ada, held)
    urgent = make.pim_group()
    emergency_rule(world.ada, urgent, world.ben)
    make.eligibility(world.ada, urgent)
    used = in_emergency(world.ada, make.pim_group(), world.ben, world.as_role)
    review = {"review_id": let_through(used, ago=timedelta(days=8)).pk}
    drill = {"why": "We try it out every month", "drill": "on"}  # her earlier use, unreviewed, blocks another
    campaign = a_campaign(world, world.group.display_name)
    with world.as_role("portal_web"):
        entry = ReviewEntry.objects.get(campaign=campaign).pk
    incident, account, pia = an_incident(world)
    change, rules = a_rule_change(world, pia)
    kept = DemoMail.objects.create(sent_at=business_now(), recipient="a@example.com", subject="x", text="x")
    with world.as_role("portal_web"):
        kept_token = a_token()
    request, item = {"request_id": pending.request_id}, {"item_id": pending.pk}
    running = {"request_id": active.first_request_id}
    group_id = {"group_id": fresh.object_id}
    because = {"reason": "The change was called off"}
    asking = {"length": "60", "justification": "Fix the stuck deployment"}
    end = {"day": business_now().date().replace(year=business_now().year + 1, day=1).isoformat()}
    away = {"ends": f"{business_now() + timedelta(days=1):%Y-%m-%dT%H:%M}"}
    return {
        "/me/absence/": Sent(form=away),
        "/operations/absences/<uuid:person_id>/": Sent({"person_id": world.ada.object_id}, away),
        "/signin/": Sent(yes=(200, 302)),
        "/signin/start/": Sent(yes=(302, 502)),
        "/accounts/oidc/entra/login/callback/": Sent(yes=(400,)),
        "/signout/": Sent(yes=(302,)),
        "/access/request/": Sent(yes=(302,)),  # nothing is ticked: back to the catalogue
        "/access/<uuid:group_id>/": Sent(group_id),
        "/access/<uuid:group_id>/request/": Sent(group_id, asking),
        "/access/<uuid:group_id>/request/preview/": Sent(group_id, query="?length=60"),
        "/access/<uuid:group_id>/emergency/": Sent(
            {"group_id": urgent.object_id}, asking | {"length": "30"} | drill
        ),
        "/emergencies/<uuid:review_id>/": Sent(review, {"verdict": "in_order", "comment": "Paged at night"}),
        "/emergencies/<uuid:review_id>/lift/": Sent(review, because),
        "/access/<uuid:group_id>/favourite/": Sent(group_id, {"star": "on"}, yes=(302,)),
        "/requests/<uuid:request_id>/": Sent(request),
        "/requests/<uuid:request_id>/live/": Sent(request),
        "/requests/<uuid:request_id>/repeat/": Sent({"request_id": refused.request_id}),
        "/requests/<uuid:request_id>/thread/": Sent(request, {"words": "Which host is it?"}),
        "/requests/<uuid:request_id>/withdraw/": Sent(request),
        "/requests/<uuid:request_id>/end/": Sent(running),
        "/requests/<uuid:request_id>/sign-in/": Sent(running, yes=(302,)),
        "/requests/<uuid:request_id>/revoke/": Sent(running, because),
        "/approvals/<uuid:item_id>/": Sent(
            item, {"verdict": "approve", "comment": "", "shown": make.shown(pending)}
        ),
        "/approvals/<uuid:item_id>/together/": Sent(
            item, {"item": str(pending.pk), "verdict": "approve", f"shown-{pending.pk}": make.shown(pending)}
        ),
        "/approvals/<uuid:item_id>/attention/": Sent(item),
        "/approvals/<uuid:item_id>/live/": Sent(item),
        "/audit/events/<int:event_id>/": Sent({"event_id": Event.objects.order_by("id")[0].pk}),
        "/audit/requests/<uuid:request_id>/": Sent(request),
        "/audit/requests/<uuid:request_id>/activity/": Sent(running),
        "/requests/<uuid:request_id>/activity/": Sent(running),
        "/preferences/": Sent(form={"language": "de", "time_zone": "Europe/Berlin", "digest": "never"}),
        "/preferences/keyboard/": Sent(form={"shortcuts": "off"}, yes=(302,)),
        "/audit/requests/<uuid:request_id>/evidence/": Sent(request, yes=(200,)),
        "/audit/tokens/": Sent(
            form={"name": "Log store", "scopes": "events", "days": "30"},
            yes=(200,),
        ),
        "/audit/tokens/<int:token_id>/revoke/": Sent({"token_id": kept_token.pk}),
        "/api/v1/cases/<uuid:request_id>": Sent(request),
        "/audit/export/": Sent(form={"form": "csv"}, yes=(200,)),
        # Its entry is that of its end, which the process that streams it writes.
        "/audit/exports/<uuid:export_id>/cancel/": Sent(
            {"export_id": an_export(world, Person.objects.get(display_name="Una Auditor")).pk}, yes=(302,)
        ),
        "/audit/searches/": Sent(form={"name": "Refusals", "outcome": "refused"}),
        "/audit/searches/<uuid:search_id>/remove/": Sent({"search_id": a_saved_search(world)}),
        "/demo/mail/<int:mail_id>/": Sent({"mail_id": kept.pk}),
        "/demo/mail/<int:mail_id>/html/": Sent({"mail_id": kept.pk}),
        "/operations/ends/": Sent(form=end),
        "/operations/remove/<uuid:grant_id>/": Sent({"grant_id": leaves.pk}),
        "/operations/drift/<uuid:finding_id>/": Sent({"finding_id": finding.pk}),
        "/operations/drift/<uuid:finding_id>/resolve/": Sent(
            {"finding_id": finding.pk}, {"how": "handled", **because}
        ),
        "/operations/incidents/new/confirm/": Sent(form=because, query=f"?kind=account&subject={account}"),
        "/operations/incidents/<uuid:freeze_id>/": Sent({"freeze_id": incident}),
        "/operations/incidents/<uuid:freeze_id>/lift/": Sent({"freeze_id": incident}, because),
        "/reviews/<uuid:campaign_id>/": Sent(
            {"campaign_id": campaign}, {"entry": str(entry), "verdict": "keep", "reason": "On call"}
        ),
        "/operations/reviews/new/": Sent(
            form={"name": "Next", "due_on": end["day"], "begins": "", "reviewed_by": "owners"}
        ),
        "/operations/reviews/<uuid:campaign_id>/": Sent({"campaign_id": campaign}),
        "/operations/reviews/<uuid:campaign_id>/groups/<uuid:group_id>/": Sent(
            {"campaign_id": campaign, "group_id": world.group.object_id}, {"who": world.cy.object_id}
        ),
        "/operations/reviews/<uuid:campaign_id>/close/": Sent({"campaign_id": campaign}),
        "/operations/reviews/<uuid:campaign_id>/removals/": Sent({"campaign_id": campaign}, yes=(200,)),
        "/operations/rules/<int:rule_id>/": Sent({"rule_id": rule.rule_id}),
        "/operations/rules/propose/": Sent(form=rules),
        "/operations/rules/changes/<uuid:change_id>/": Sent({"change_id": change}),
        "/operations/rules/changes/<uuid:change_id>/decide/": Sent(
            {"change_id": change}, {"verdict": "reject", **because}
        ),
        "/operations/queue/<int:ticket_id>/front/": Sent({"ticket_id": ticket.pk}),
    }


def a_token() -> ApiToken:
    owner = make.person("Una Owner")
    return make_token(
        owner=owner, name="Log store", scopes=["events"], lasts=timedelta(days=1), actor=make.actor(owner)
    ).token


def a_saved_search(world: World) -> UUID:
    """One of the auditor's."""
    una = Person.objects.get(display_name="Una Auditor")
    with world.as_role("portal_web"):
        return save_search(
            owner=una, name="Failures", kept={"outcome": "failed"}, shared=True, actor=make.actor(una)
        )


def a_rule_change(world: World, operator: Person) -> tuple[UUID, dict[str, str]]:
    """A change of the rules that another operator has proposed, and what proposes one."""
    text = f"rules: [{{name: New, fallback: true, stages: [{{people: [{world.ben.object_id}]}}]}}]"
    with world.as_role("portal_web"):
        made = propose(
            rules=read_rules(text).rules,
            person_id=operator.pk,
            reason="Simpler",
            actor=make.actor(operator),
        )
    return made, {"text": text, "reason": "Simpler", "base": json.dumps(in_force()[1])}


def an_incident(world: World) -> tuple[UUID, str, Person]:
    """Something that another operator has frozen, with all of it carried, an AWS account that nobody has frozen, and
    that operator.
    """
    first, other = [
        row.account.account_id for row in make.pim_group().account_assignments.select_related("account")
    ]
    pia = make.person("Pia Operator")
    world.sign_in(pia, "Operator")
    with world.as_role("portal_web"):
        made = freeze(
            kind="account",
            subject=first,
            person_id=pia.pk,
            reason="A key was published",
            actor=make.actor(pia),
        )
    carry_freezes()
    return made, other, pia


def ask(world: World, group: PimGroup, rule: RuleVersion) -> RequestItem:
    with world.as_role("portal_web"):
        return make.pending_item(world.ada, group, rule)


def grant(world: World, group: PimGroup, rule: RuleVersion, status: GrantStatus) -> Grant:
    item = ask(world, group, rule)
    decide(item, world.ben, "approve", world.as_role)
    return bring(make.scheduled_grant(item), status)


# ------------------------------------------------------------ comparing


def asking(row: Row) -> Iterator[tuple[str, str]]:
    """Methods and who asks: everybody; but HEAD, which Django answers as GET, one of those with the same answer."""
    one_of_each = {answer: who for who, answer in row.answers.items()}
    for method in row.methods:
        yield from ((method, who) for who in (one_of_each.values() if method == "HEAD" else WHO))


def differences(cast: Cast, row: Row, sent: Sent) -> Iterator[str]:
    """Where the portal answers otherwise than this row says."""
    for method, who in asking(row):
        what, wanted = f"{method} {row.route} for {who}", row.answers[who]
        address = filled(row.route, sent.ids) + sent.query
        answer = cast.ask(who, method, address, sent.form)
        if (found := answer.word(sent)) != wanted:
            yield f"{what}: {found}; the table says {wanted}"
        lost = filled(row.route, {}) + sent.query
        absent = cast.ask(who, method, lost, sent.form) if sent.ids and method != "HEAD" else None
        if absent and absent.word(sent) != (wanted if wanted in ("sign in", "401") else "no"):
            yield f"{what}: {absent.word(sent)} for an id of nothing"
        if wanted != "no" or method == "HEAD":
            continue
        if answer != (absent or cast.ask(who, method, NOWHERE)):
            yield f"{what}: what is forbidden looks different from what is absent"
        if sent.form and method == "POST" and answer != cast.ask(who, method, address):
            yield f"{what}: a form without content is answered differently"


def allowed(cast: Cast, route: str) -> set[str]:
    """The methods that an address takes, as it says to somebody whom it lets in and who sends another one."""
    for who in ("operator", "auditor"):
        answer = cast.ask(who, "TRACE", filled(route, {}), Authorization=f"Bearer {METRICS_TOKEN}")
        if answer.status == 405:
            return set(answer.headers["Allow"].split(", "))
    raise AssertionError(f"{route} takes any method: its view wants require_http_methods. {HOW_TO_ADD}")


def gaps(rows: Sequence[Row], cast: Cast, found: Sequence[str]) -> list[str]:
    """What an address and the table don't know of each other."""
    gone = [f"{row.route} is in the table and leads nowhere" for row in rows if row.route not in found]
    told = {route: [m for row in rows if row.route == route for m in row.methods] for route in found}
    lacking = [
        f"{route} takes {', '.join(sorted(taken))}; the table of docs/authorisation.md has "
        f"{', '.join(told[route]) or 'no row for it'}. {HOW_TO_ADD}"
        for route in found
        if (taken := allowed(cast, route)) != set(told[route]) or len(taken) != len(told[route])
    ]
    return gone + lacking


def test_every_address_and_method_has_its_row_and_something_to_send(cast: Cast) -> None:
    rows, sent, found = rows_of(DOCUMENT.read_text()), what_to_send(cast.world), list(routes(get_resolver()))
    unasked = [row.route for row in rows if "<" in row.route and row.route not in sent]
    assert unasked == [], HOW_TO_ADD
    assert set(sent) <= set(found), "what_to_send knows addresses that are gone"
    assert gaps(rows, cast, found) == []


# Some thousand requests.
@pytest.mark.proof(about=100)
def test_every_address_answers_everybody_as_the_table_says(cast: Cast) -> None:
    rows, sent = rows_of(DOCUMENT.read_text()), what_to_send(cast.world)
    assert [each for row in rows for each in differences(cast, row, sent.get(row.route, Sent()))] == []


class Pages(ModuleType):
    """A URLconf with an address that somebody has forgotten to put into the table, and one that takes anything."""

    urlpatterns = (
        path("", include("identity.urls")),
        path("new/<uuid:thing_id>/", require_http_methods(["GET", "POST"])(lambda *_, **__: HttpResponse())),
        path("anything/", lambda *_: HttpResponse()),
    )
    handler404 = "accessportal.views.not_found"


def test_an_address_without_a_row_is_named_with_what_to_add(cast: Cast, settings: Settings) -> None:
    settings.ROOT_URLCONF = Pages("tests.pages.forgotten")
    rows = rows_of(DOCUMENT.read_text())
    known = [row for row in rows if row.route in ("/signin/", "/signout/")]
    lost = Row("/gone/", ("GET",), {})
    wrong = Row("/signed-out/", ("GET", "POST"), {})
    gone, missing, more = gaps(
        [*known, lost, wrong], cast, ["/signin/", "/new/<uuid:thing_id>/", "/signed-out/", "/signout/"]
    )
    assert gone == "/gone/ is in the table and leads nowhere"
    assert missing.startswith(
        "/new/<uuid:thing_id>/ takes GET, POST; the table of docs/authorisation.md has no row for it. Add"
    )
    assert more.startswith("/signed-out/ takes GET; the table of docs/authorisation.md has GET, POST. Add")
    with pytest.raises(AssertionError, match="/anything/ takes any method"):
        gaps([], cast, ["/anything/"])


def test_a_wrong_answer_in_the_table_is_found(cast: Cast) -> None:
    sent = what_to_send(cast.world)["/requests/<uuid:request_id>/withdraw/"]
    (row,) = [each for each in rows_of(DOCUMENT.read_text()) if each.route.endswith("/withdraw/")]
    swapped = dict(row.answers) | {"employee": "yes", "requester": "no", "anonymous": "no"}
    found = list(differences(cast, Row(row.route, row.methods, swapped), sent))
    what = "POST /requests/<uuid:request_id>/withdraw/ for"
    assert f"{what} employee: no; the table says yes" in found
    assert f"{what} requester: yes; the table says no" in found
    assert f"{what} requester: what is forbidden looks different from what is absent" in found
    assert f"{what} anonymous: sign in; the table says no" in found
