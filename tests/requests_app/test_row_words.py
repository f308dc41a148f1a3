"""What people wrote in rows goes with the words beside the events: only what is old, only with its event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from io import StringIO
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction
from pytest_django import Settings

from audit.ledger import row_words
from audit.ledger.canonical import Value
from audit.ledger.models import Event
from audit.ledger.recorder import Actor, record
from audit.ledger.row_words import erase_rows_due, erased_words, places
from audit.ledger.tasks import erase_words
from base.clock import BusinessClock, business_clock, configure, real_now
from identity.models import Person
from oversight.drift.resolving import handle_finding
from oversight.models import Finding
from oversight.rules.models import RuleChange
from oversight.rules.proposing import propose, reject
from policy.document import parse_document
from requests_app.actions import freezing
from requests_app.freezes.models import Freeze
from requests_app.models import AccessRequest
from requests_app.waivers.models import OwedReview, Waiver
from requests_app.waivers.reviewing import lift_block, review
from tests.oversight.rules.conftest import operator, wording
from tests.requests_app import factories as make
from tests.requests_app.emergencies import in_emergency, let_through
from tests.support.servers import PostgresServer

type AsRole = Callable[[str], AbstractContextManager[None]]


def test_every_place_is_a_column_with_a_time_and_an_event(committed_db: str) -> None:
    assert [(place.table, place.column) for place in places()] == [
        ("oversight_finding", "reason"),
        ("oversight_rulechange", "decision_reason"),
        ("oversight_rulechange", "reason"),
        ("requests_app_accessrequest", "justification"),
        ("requests_app_decision", "comment"),
        ("requests_app_freeze", "lift_reason"),
        ("requests_app_freeze", "reason"),
        ("requests_app_owedreview", "comment"),
        ("requests_app_owedreview", "lift_reason"),
        ("requests_app_remark", "words"),
        ("requests_app_revocation", "reason"),
        ("requests_app_waiver", "why"),
        ("reviews_reviewentry", "reason"),
    ]
    # Each statement runs, and finds nothing in a new portal.
    assert erase_rows_due("*=30", dry_run=True) == []


def test_old_words_go_with_an_event_and_leave_a_sentence(
    committed_db: str,
    postgres_server: PostgresServer,
    as_role: AsRole,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ada, ben = make.person("Ada Asker"), make.person("Ben Boss")
    items = []
    for name in ("A", "B", "C"):
        group = make.pim_group(name)
        rule = make.rule(ben, groups=(group,))
        with as_role("portal_web"):
            items.append(make.pending_item(ada, group, rule))
    with psycopg.connect(postgres_server.conninfo("postgres", committed_db), autocommit=True) as superuser:
        superuser.execute(
            "UPDATE requests_app_accessrequest SET created_real_at = created_real_at - interval '100 days' "
            "- random() * interval '1 hour' WHERE id = ANY(%s)",
            [[item.request_id for item in items[:2]]],
        )

    def words() -> list[str]:
        found = dict(AccessRequest.objects.values_list("id", "justification"))
        return [found[item.request_id] for item in items]

    written = words()
    erase_words()
    assert words() == written, "nothing is configured"
    settings.AUDIT_WORDS_KEPT_DAYS = "request=90"
    call_command("erase_words", dry_run=True, stdout=(said := StringIO()))
    assert "2 texts would be erased: in justification of requests_app_accessrequest before" in said.getvalue()
    assert words() == written
    monkeypatch.setattr(row_words, "MOST", 1)  # so that it takes two transactions
    for _ in range(2):
        erase_words()
        gone = erased_words(real_now().date())
        assert words() == [gone, gone, written[2]]
    told = Event.objects.filter(type="ledger.row_words_erased")
    assert [each.data["fields"]["texts"] for each in told] == [1, 1]
    assert told[0].data["fields"]["of"] == "request.submitted"


@pytest.mark.django_db
def test_a_worker_erases_nothing_that_is_young_elsewhere_or_untold(as_role: AsRole) -> None:
    fields: dict[str, Value] = {
        "table": "requests_app_accessrequest",
        "column": "justification",
        "of": "request.submitted",
        "before": real_now() - timedelta(days=31),
        "kept_days": 31,
        "texts": 0,
    }
    cases: list[tuple[dict[str, Value], str]] = [
        ({"before": real_now() - timedelta(days=29)}, "kept for at least 30 days"),
        ({"table": "identity_person"}, "Nothing is erased from"),
        ({"column": "reference"}, "Nothing is erased from"),
        ({"texts": 5}, "5 texts are erased, and there are 0"),
    ]
    for changes, complaint in cases:
        with pytest.raises(DatabaseError, match=complaint), transaction.atomic():
            _erase(record("ledger.row_words_erased", actor=Actor.worker(), fields={**fields, **changes}))
    with pytest.raises(DatabaseError, match="No event of this transaction"), transaction.atomic():
        _erase(0)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        AccessRequest.objects.update(justification="something else")
    with (
        as_role("portal_web"),
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
    ):
        _erase(0)


def _erase(told: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_erase_row_words(%s)", [told])


@contextmanager
def long_ago() -> Iterator[None]:
    """The body happens a hundred days ago, on the business clock, which rows carry."""
    before, now = business_clock(), real_now()
    configure(BusinessClock(1.0, now, now - timedelta(days=100)))
    try:
        yield
    finally:
        configure(before)


def freeze(who: Person, by: Person) -> UUID:
    return freezing.freeze(
        kind=Freeze.Kind.PERSON,
        subject=who.object_id,
        person_id=by.pk,
        reason=f"{who.display_name} lost a laptop",
        actor=make.actor(by),
    )


@pytest.mark.django_db
def test_why_something_was_frozen_waived_accepted_or_changed_goes_once_it_is_over(as_role: AsRole) -> None:
    with long_ago():
        ada, ben, cleo = make.person("Ada Asker"), make.person("Ben Boss"), make.person("Cleo Clerk")
        one, other = operator("Olga Operator", as_role), operator("Oskar Operator", as_role)
        waived = in_emergency(ada, make.pim_group("A"), ben, as_role)
        used = in_emergency(ada, make.pim_group("B"), ben, as_role)
        owed, late = let_through(waived), let_through(used, ago=timedelta(days=90))
        found = make.finding(cleo, make.pim_group("C"))
        with as_role("portal_web"):
            lifted, stands = freeze(cleo, one), freeze(ben, one)
        freezing.carry_freezes()
        with as_role("portal_web"):
            freezing.lift(freeze_id=lifted, person_id=other.pk, reason="It is found", actor=make.actor(other))
            review(
                review_id=owed.pk,
                person_id=ben.pk,
                verdict="in_order",
                comment="As it was",
                actor=make.actor(ben),
            )
            lift_block(review_id=late.pk, person_id=one.pk, reason="Ben is ill", actor=make.actor(one))
            handle_finding(finding_id=found.pk, by=one, reason="A test of ours", actor=make.actor(one))
            change = propose(
                rules={"Everything": parse_document(wording(ben))},
                person_id=one.pk,
                reason="Shorter windows",
                actor=make.actor(one),
            )
            reject(change_id=change, person_id=other.pk, reason="Not short enough", actor=make.actor(other))
        make.finding(ada, make.pim_group("D"))  # nobody has said anything about it
    # Whoever may write such a column can't pretend to erase it.
    with as_role("portal_web"), pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        Freeze.objects.filter(pk=lifted).update(lift_reason=erased_words(real_now().date()))

    erase_rows_due("*=90")
    gone = erased_words(real_now().date())
    freezes = dict(Freeze.objects.values_list("pk", "reason"))
    assert (freezes[lifted], freezes[stands]) == (gone, "Ben Boss lost a laptop"), (
        "while it holds, it says why"
    )
    said = RuleChange.objects.values_list("reason", "decision_reason").get()
    assert {
        *said,
        Freeze.objects.get(pk=lifted).lift_reason,
        *Waiver.objects.values_list("why", flat=True),
        OwedReview.objects.get(pk=owed.pk).comment,
        OwedReview.objects.get(pk=late.pk).lift_reason,
        *Finding.objects.exclude(resolved_at=None).values_list("reason", flat=True),
    } == {gone}
    assert Finding.objects.get(resolved_at=None).reason == ""
    assert erase_rows_due("*=90") == []
    # With an event that says so, nothing else goes along, and nothing but the sentence comes.
    for changes in (
        {"lift_reason": "(erased on 2020-01-01)", "version": 3},
        {"lift_reason": "Another story"},
    ):
        with (
            as_role("portal_web"),
            pytest.raises(IntegrityError, match="never changes"),
            transaction.atomic(),
        ):
            Freeze.objects.filter(pk=lifted).update(**changes)
