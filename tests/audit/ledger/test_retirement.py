"""Removing a month: only what is over, sealed and anchored, by the owner alone, and everything else still verifies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection
from django_subatomic.db import transaction
from pytest_django import Settings

from audit.exporting.evidence import make_pack
from audit.exporting.offline.access_portal_verify import main
from audit.ledger.anchoring import anchor_newest
from audit.ledger.anchors import FileAnchor
from audit.ledger.checks import check_retention
from audit.ledger.keys import SealingKey, make_key, public_path
from audit.ledger.models import Event, Leaf, PersonalWords
from audit.ledger.reading import EventFilter, events
from audit.ledger.retirement import Month, removed, words_of
from audit.ledger.sealing import seal_everything
from audit.ledger.verifying import Report, verify
from audit.ledger.watched import unexplained_rows
from catalog.modes import set_mode
from tests.audit.ledger.factories import ask, note
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer, pointed_at
from tests.support.servers import as_role as as_application

type AsRole = Callable[[str], AbstractContextManager[None]]

# As if the portal had run since March 2021: what is there is one partition that reaches back to the beginning of time.
OLD_MONTHS = """
DO $$
DECLARE
    now_month text := 'audit_event_' || to_char(date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC'), 'YYYY_MM');
    begins timestamptz := date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
    each record;
BEGIN
    EXECUTE format('ALTER TABLE audit_event DETACH PARTITION %I', now_month);
    EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   now_month, begins, begins + interval '1 month');
    FOR each IN SELECT * FROM (VALUES ('audit_event_2021_03', 'MINVALUE', '2021-04-01Z'),
                                      ('audit_event_2021_04', '2021-04-01Z', begins::text)) AS month (name, since, until)
    LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF audit_event FOR VALUES FROM (%s) TO (%L)', each.name,
                       CASE each.since WHEN 'MINVALUE' THEN 'MINVALUE' ELSE quote_literal(each.since) END, each.until);
        EXECUTE format('ALTER TABLE %I OWNER TO portal_owner', each.name);
        PERFORM audit_guard_partition(each.name);
    END LOOP;
END
$$
"""


@dataclass
class Trail:
    """Two events of March 2021 with words, one of April, one of today, all sealed and anchored."""

    key: SealingKey
    march: list[int]
    april: int
    today: int
    owner: Callable[[], AbstractContextManager[None]]
    superuser: Callable[..., None]

    def verified(self) -> Report:
        return verify({self.key.id: self.key.trusted})

    def retire(self, month: str, **options: bool) -> str:
        said = StringIO()
        with self.owner():
            call_command("audit_retire", month, stdout=said, **options)
        return said.getvalue()


@pytest.fixture
def unanchored(
    committed_db: str, postgres_server: PostgresServer, as_role: AsRole, tmp_path: Path, settings: Settings
) -> Trail:
    settings.PORTAL_PROCESS, settings.AUDIT_EVENTS_KEPT_DAYS = "migrate", "trial=365 *=400"
    key = make_key(tmp_path / "key")

    def run(*statements: str, about: int = 0) -> None:
        conninfo = postgres_server.conninfo("postgres", committed_db)
        with psycopg.connect(conninfo, options="-c timezone=UTC", autocommit=True) as superuser:
            for statement in statements:
                superuser.execute(statement.replace("ABOUT", str(about)).encode())

    with transaction():
        march = [ask(), ask()]
    april, today = note("in April"), note("today")
    move = "UPDATE audit_event SET at = '{} 12:00:00Z'::timestamptz + id * interval '1 s' WHERE id IN ({})"
    run(
        OLD_MONTHS,
        "ALTER TABLE audit_event DISABLE TRIGGER audit_event_unchanged",
        "ALTER TABLE audit_event DISABLE TRIGGER audit_event_version",  # to another partition is an insert there
        move.format("2021-03-05", ", ".join(map(str, march))),
        move.format("2021-04-05", april),
        "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_unchanged",
        "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_version",
    )
    with as_role("portal_sealer"):
        seal_everything(key)
    return Trail(
        key, march, april, today, lambda: pointed_at(postgres_server, committed_db, role="portal_owner"), run
    )


@pytest.fixture
def trail(unanchored: Trail, as_role: AsRole, tmp_path: Path) -> Trail:
    with as_role("portal_sealer"):
        anchor_newest(FileAnchor(tmp_path / "seals.jsonl"))
    return unanchored


def test_a_month_goes_with_its_event_and_the_rest_still_verifies(
    trail: Trail, as_role: AsRole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "2 events of 2021-03 would be removed" in trail.retire("2021-03", dry_run=True)
    assert Event.objects.filter(id__in=trail.march).count() == 2
    assert "The 2 events of 2021-03 were removed, sealed in batches 1 to 1." in trail.retire("2021-03")
    assert "The 1 events of 2021-04 were removed" in trail.retire("2021-04")

    assert Event.objects.earliest("id").id == trail.today
    assert not PersonalWords.objects.filter(event_id__in=trail.march).exists()
    assert Leaf.objects.filter(event_id__in=trail.march).count() == 2
    told = Event.objects.filter(type="ledger.month_removed").order_by("id")[1]
    assert [each["month"] for each in told.data["fields"]["months"]] == ["2021-03", "2021-04"]
    with as_role("portal_sealer"):
        seal_everything(trail.key)
        report = trail.verified()
    assert report.sound, report.findings
    said = words_of(report.removed)
    assert (
        said
        == f"3 events of 2021-03 to 2021-04, before 2021-05-01T00:00:00.000000Z, were removed, as event {told.id} says."
    )
    (tmp_path / "pack.zip").write_bytes(make_pack(events(EventFilter()).entries, title="All").file.getvalue())
    assert main([str(tmp_path / "pack.zip"), "--public-key", str(public_path(tmp_path / "key"))]) == 0
    assert (
        f"REMOVED: The 1 events of 2021-04 were removed, as event {told.id} says" in capsys.readouterr().out
    )


def test_a_setting_older_than_the_trail_is_told_of_again(
    unanchored: Trail, as_role: AsRole, tmp_path: Path
) -> None:
    set_mode(make.pim_group().object_id, as_person=True, reason="PIM's own policy shall hold")
    told = Event.objects.get(type="catalog.activation_mode_changed")
    unanchored.superuser(
        *(
            f"ALTER TABLE audit_event DISABLE TRIGGER {guard}"
            for guard in ("audit_event_rows", "audit_event_unchanged")
        ),
        "UPDATE audit_event SET at = '2021-03-06Z' WHERE id = ABOUT",
        *(
            f"ALTER TABLE audit_event ENABLE ALWAYS TRIGGER {guard}"
            for guard in ("audit_event_rows", "audit_event_unchanged")
        ),
        about=told.pk,
    )
    with as_role("portal_sealer"):
        seal_everything(unanchored.key)
        anchor_newest(FileAnchor(tmp_path / "seals.jsonl"))
    unanchored.retire("2021-03")
    with as_role("portal_sealer"):
        assert list(unexplained_rows()) == []
    again = Event.objects.filter(type="ledger.rows_known")
    rows = [row for event in again for row in event.data["rows"]]
    assert sorted(map(str, rows)) == sorted(map(str, told.data["rows"]))


def test_what_is_gone_without_being_told_so_is_found(trail: Trail, as_role: AsRole) -> None:
    trail.retire("2021-03")
    with as_role("portal_sealer"):
        seal_everything(trail.key)
    trail.superuser("DROP TABLE audit_event_2021_04")
    found = {(each.code, each.event_id) for each in trail.verified().findings}
    assert found == {("event_missing", trail.april), ("words_altered", trail.april)}


def test_leaves_of_a_removed_month_that_were_changed_are_found(trail: Trail, as_role: AsRole) -> None:
    trail.retire("2021-03")
    with as_role("portal_sealer"):
        seal_everything(trail.key)
    trail.superuser(
        "ALTER TABLE audit_leaf DISABLE TRIGGER audit_leaf_unchanged",
        "UPDATE audit_leaf SET at = '2021-05-01Z' WHERE event_id = ABOUT",
        about=trail.march[0],
    )
    assert {each.code for each in trail.verified().findings} >= {"removal_differs", "event_missing"}


def test_what_is_not_over_stays(trail: Trail, settings: Settings) -> None:
    for month, kept, said in (
        ("2021-04", "*=365", "Months go in their order, and 2021-03 is the oldest"),
        ("2021-03", "note=365", "keeps for ever what it doesn't name: trial.asked in 2021-03"),
        ("2021-03", "trial=99999", "kept for 99999 days"),
        ("2021-03", "trial=364", "kept for at least 365 days"),
        ("2021-03", "", "keeps for ever"),
        ("2019-01", "*=365", "There is no month 2019-01"),
        ("March", "*=365", "is no month"),
    ):
        settings.AUDIT_EVENTS_KEPT_DAYS = kept
        with pytest.raises(CommandError, match=said):
            trail.retire(month)
    assert Event.objects.filter(id__in=trail.march).count() == 2
    assert removed().months == ()
    settings.AUDIT_EVENTS_KEPT_DAYS = "*=365"
    for role in ("portal_web", "portal_worker", "portal_sealer"):
        with as_application(role), pytest.raises(ProgrammingError, match="must be owner"):
            _drop()
    settings.PORTAL_PROCESS = "worker"
    with pytest.raises(CommandError, match="PORTAL_PROCESS=migrate"):
        call_command("audit_retire", "2021-03")


def _drop() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE audit_event_2021_03")


def test_what_is_not_anchored_not_sealed_or_not_as_sealed_stays(
    unanchored: Trail, as_role: AsRole, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="no anchor has receipted"):
        unanchored.retire("2021-03")
    with as_role("portal_sealer"):
        anchor_newest(FileAnchor(tmp_path / "seals.jsonl"))
    unanchored.superuser(
        "ALTER TABLE audit_event DISABLE TRIGGER audit_event_unchanged",
        "UPDATE audit_event SET at = at + interval '1 s' WHERE id = ABOUT",
        about=unanchored.march[0],
    )
    with pytest.raises(CommandError, match=f"Event {unanchored.march[0]} of 2021-03 isn't sealed"):
        unanchored.retire("2021-03")
    assert Event.objects.filter(id__in=unanchored.march).count() == 2


def test_the_setting_is_checked_and_a_month_knows_its_ends(settings: Settings) -> None:
    settings.AUDIT_WORDS_KEPT_DAYS, settings.AUDIT_EVENTS_KEPT_DAYS = "", "*=30"
    [found] = check_retention()
    assert (found.id, "at least 365 days" in found.msg) == ("ledger.E012", True)
    december = Month.parse("2021-12")
    assert (december.partition, f"{december.until:%Y-%m-%d}") == ("audit_event_2021_12", "2022-01-01")
