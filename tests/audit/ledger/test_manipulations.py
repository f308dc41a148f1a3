"""Eight ways to make the trail lie, each with the rights of the application, of the tables' owner and of the superuser.

The application is refused. The owner and the superuser are stopped by the guards until they switch them off; then what
they do is found, by its name, in what they leave behind or in what was anchored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.db import DatabaseError, connection
from django.db import transaction as django_transaction
from django.db.transaction import Atomic
from pytest_django import DjangoDbBlocker

from audit.history.proof import proven_event
from audit.ledger import sealing, verifying
from audit.ledger.anchored import Compared, anchored_lines
from audit.ledger.anchoring import anchor_newest
from audit.ledger.anchors import FileAnchor
from audit.ledger.checks import check_guards
from audit.ledger.keys import SealingKey, make_key
from audit.ledger.models import Event
from audit.ledger.sealing import seal_everything
from tests.audit.ledger.factories import note
from tests.requests_app import factories as make
from tests.support.servers import DEFAULT_ROLE, PostgresServer, as_role, pointed_at

MIGHTY = ("portal_owner", "postgres")


@dataclass(frozen=True)
class Trail:
    """A sealed trail in a database of its own: four batches, the second and the fourth anchored."""

    database: str
    key: SealingKey
    anchors: Path
    grant: UUID  # at version 1


@pytest.fixture(scope="module")
def trail(
    postgres_server: PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
) -> Iterator[Trail]:
    """Made once: whoever manipulates it takes everything back."""
    folder, database = tmp_path_factory.mktemp("trail"), f"manipulated_{worker_id}"
    key, anchors = make_key(folder / "key"), folder / "seals.jsonl"
    postgres_server.clone(database)
    try:
        with django_db_blocker.unblock(), pointed_at(postgres_server, database, step_into=DEFAULT_ROLE):
            person, group = make.person(), make.pim_group(accounts=1)
            version = make.rule(make.person(), groups=(group,))
            with as_role("portal_web"):
                item = make.pending_item(person, group, version)
            grant = make.scheduled_grant(item)
            for number in range(4):
                note(f"note {number}")
                with as_role("portal_sealer"):
                    seal_everything(key)
                    if number % 2:
                        anchor_newest(FileAnchor(anchors), every=timedelta(0))
        yield Trail(database, key, anchors, grant.pk)
    finally:
        postgres_server.drop(database)


@contextmanager
def taken_back() -> Iterator[None]:
    """A transaction that ends in nothing, in which the product's own transactions may be opened."""
    outer = Atomic(using=None, savepoint=True, durable=False)
    outer._from_testcase = True  # type: ignore[attr-defined]  # as Django's own test cases mark theirs
    with outer:
        yield
        django_transaction.set_rollback(True)


@pytest.fixture(params=MIGHTY)
def mighty(
    request: pytest.FixtureRequest,
    trail: Trail,
    postgres_server: PostgresServer,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[str]:
    """Everything runs as the owner, then as the superuser, and is taken back."""
    with (
        django_db_blocker.unblock(),
        pointed_at(postgres_server, trail.database, role=request.param),
        taken_back(),
    ):
        yield request.param


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def codes(trail: Trail) -> set[str]:
    """What verification finds, with the anchors; here, for it may open no transaction of its own."""
    report = verifying.Report(anchored=Compared())
    findings = verifying._everything({trail.key.id: trail.key.trusted}, report, anchored_lines(trail.anchors))
    return {finding.code for finding in findings}


def insert(trail: Trail, *, hours_ago: int = 0, subject: bool = False) -> None:
    """An event of somebody's own making."""
    said: dict[str, object] = {
        "type": "trial.noted",
        "outcome": "done",
        "business_at": "2026-01-01T00:00:00.000000Z",
        "actor": {"kind": "person", "oid": "x"},
    }
    if subject:
        said["subject"] = {"kind": "grant", "id": str(trail.grant), "version": 2}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_event (at, canon) VALUES (clock_timestamp() - make_interval(hours => %s), %s)",
            [hours_ago, json.dumps(said)],
        )


OFF = tuple(
    f"ALTER TABLE {table} DISABLE TRIGGER {table}_unchanged"
    for table in ("audit_event", "audit_pii", "audit_leaf", "audit_seal", "audit_anchor")
)
CUT = (
    "DELETE FROM audit_pii WHERE event_id IN (SELECT event_id FROM audit_leaf WHERE batch > 2)",
    "DELETE FROM audit_event WHERE id IN (SELECT event_id FROM audit_leaf WHERE batch > 2)",
    "DELETE FROM audit_leaf WHERE batch > 2",
    "DELETE FROM audit_seal WHERE batch > 2",
)
UNSEAL = ("DELETE FROM audit_leaf WHERE batch > 2", "DELETE FROM audit_seal WHERE batch > 2")
FORGET = "DELETE FROM audit_anchor WHERE batch > 2"
# With what was read of the text, or a constraint would refuse it.
EDIT = (
    "UPDATE audit_event SET canon = replace(canon, 'note ', 'Note '), data = replace(canon, 'note ', 'Note ')::jsonb "
    "WHERE canon LIKE '%note {}%'"
)


DELETE = "DELETE FROM audit_event WHERE canon LIKE '%note 1%'"


def edit(trail: Trail) -> None:
    run(*OFF, EDIT.format(1))


def forge(trail: Trail) -> None:
    insert(trail, hours_ago=3)


def forge_ahead(trail: Trail) -> None:
    """Of a time to come, so that it stands first on every page until then."""
    insert(trail, hours_ago=-3)
    seal_everything(trail.key)


def forge_aside(trail: Trail) -> None:
    """With a leaf of a batch that comes before the first, so that no seal is asked for it."""
    insert(trail, hours_ago=3)
    run(
        "INSERT INTO audit_leaf SELECT id, at, 0, 0, sha256('') FROM audit_event "
        "WHERE id NOT IN (SELECT event_id FROM audit_leaf)"
    )


def forge_a_change(trail: Trail) -> None:
    run("ALTER TABLE audit_version DISABLE TRIGGER subject_grant")
    insert(trail, subject=True)


def delete(trail: Trail) -> None:
    run(*OFF, "DELETE FROM audit_leaf WHERE batch = 2", DELETE)


def cut(trail: Trail) -> None:
    run(*OFF, *CUT)


def rewrite(trail: Trail) -> None:
    """With the sealing key in hand, and with batches as large as they were."""
    run(*OFF, *UNSEAL, FORGET, EDIT.format(2))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sealing, "BATCH", 1)
        seal_everything(trail.key)


SWAP = (
    "UPDATE audit_leaf SET idx = 1000 WHERE batch = 1 AND idx = 0",
    "UPDATE audit_leaf SET idx = 0 WHERE batch = 1 AND idx = 1",
    "UPDATE audit_leaf SET idx = 1 WHERE batch = 1 AND idx = 1000",
)


def reorder(trail: Trail) -> None:
    run(*OFF, *SWAP)


def put_back(trail: Trail) -> None:
    run(*OFF, *CUT, FORGET)


FOUND: dict[str, tuple[Callable[[Trail], None], str]] = {
    "edit": (edit, "event_altered"),
    "forge": (forge, "event_unsealed"),
    "forge ahead": (forge_ahead, "event_postdated"),
    "forge aside": (forge_aside, "leaf_without_seal"),
    "forge a change": (forge_a_change, "subject_set_back"),
    "delete in the middle": (delete, "leaf_missing"),
    "cut the tail": (cut, "tail_cut"),
    "rewrite with new seals": (rewrite, "rewritten"),
    "reorder": (reorder, "leaf_altered"),
    "replay an old backup": (put_back, "old_backup"),
}
# What each takes, as the guards see it; a forged time needs the right to set it, which the owner has.
REFUSED = {
    "edit": (EDIT.format(1),),
    "forge": ("INSERT INTO audit_event (at, canon) VALUES (now(), '{}')",),
    "forge ahead": ("INSERT INTO audit_event (at, canon) VALUES (now() + interval '3 hours', '{}')",),
    "forge aside": ("INSERT INTO audit_leaf SELECT 999999, now(), 0, 0, sha256('')",),
    "forge a change": ("INSERT INTO audit_version VALUES ('grant', gen_random_uuid(), 1, 999999)",),
    "delete in the middle": (DELETE,),
    "cut the tail": CUT[1:],
    "rewrite with new seals": (UNSEAL[1], "UPDATE audit_seal SET seal = sha256('')"),
    "reorder": ("UPDATE audit_leaf SET idx = idx + 10",),
    "replay an old backup": ("TRUNCATE audit_event, audit_leaf, audit_seal", FORGET),
    "disable a trigger": OFF,
}
BY_THE_OWNER_UNTIL_FOUND = {"forge", "forge ahead", "forge aside", "disable a trigger"}


def test_there_are_eight_of_them() -> None:
    assert len(REFUSED) == len(FOUND | {"disable a trigger": None}) == 11  # forging has four


@pytest.mark.parametrize("what", REFUSED)
def test_the_application_is_refused(
    what: str, trail: Trail, postgres_server: PostgresServer, django_db_blocker: DjangoDbBlocker
) -> None:
    with (
        django_db_blocker.unblock(),
        pointed_at(postgres_server, trail.database, step_into=DEFAULT_ROLE),
        taken_back(),
    ):
        for role in ("portal_web", "portal_worker"):
            for statement in REFUSED[what]:
                refused(as_role(role), statement, r"permission denied|must be owner")
        assert codes(trail) == set()


def refused(rights: AbstractContextManager[None], statement: str, why: str) -> None:
    with rights, pytest.raises(DatabaseError, match=why), django_transaction.atomic():
        run(statement)


@pytest.mark.parametrize("what", [name for name in REFUSED if name not in BY_THE_OWNER_UNTIL_FOUND])
def test_the_guards_stop_the_owner_and_the_superuser(what: str, trail: Trail, mighty: str) -> None:
    for statement in REFUSED[what]:
        with (
            pytest.raises(DatabaseError, match=r"only grows|which it has not come to"),
            django_transaction.atomic(),
        ):
            run(statement, "SET CONSTRAINTS ALL IMMEDIATE")
    assert codes(trail) == set()


@pytest.mark.parametrize("what", FOUND)
def test_past_the_guards_it_is_found_by_its_name(what: str, trail: Trail, mighty: str) -> None:
    act, code = FOUND[what]
    assert codes(trail) == set()
    act(trail)
    assert code in codes(trail)


def test_columns_that_say_something_else_are_found_on_the_events_page_too(trail: Trail, mighty: str) -> None:
    """Pages show what columns say, and the text is what is sealed."""
    event_id = Event.objects.get(canon__contains="note 1").pk
    sealed = proven_event(event_id).proof
    assert sealed is not None
    assert sealed.wrong == []
    change = "UPDATE audit_event SET data = replace(canon, 'note 1', 'note 9')::jsonb WHERE id = "
    run(*OFF, "ALTER TABLE audit_event DROP CONSTRAINT audit_event_says", f"{change}{event_id}")
    assert codes(trail) == {"columns_differ"}
    shown = proven_event(event_id)
    assert shown.row.entry.fields["note"] == "note 9"
    assert shown.proof is not None
    assert shown.proof.wrong == ["What is shown of the event isn't what its sealed text says."]


@pytest.mark.parametrize("guard", ["audit_event.audit_event_unchanged", "audit_version.subject_grant"])
def test_a_disabled_trigger_is_named(guard: str, trail: Trail, mighty: str) -> None:
    table, _, trigger = guard.partition(".")
    assert check_guards(databases=["default"]) == []
    run(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    (problem,) = check_guards(databases=["default"])
    assert problem.id in {"ledger.E003", "ledger.E007"}
    assert trigger.removeprefix("subject_") in problem.msg
