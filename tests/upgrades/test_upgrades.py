"""Releases before this one, with everything in flight: the newest migrations take them on, and each grant ends right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from psycopg import sql
from pytest_django import DjangoDbBlocker

from audit.ledger.checks import check_guards
from audit.ledger.findings import Finding
from audit.ledger.unexplained import further
from policy.unexplained import unexplained_rules
from requests_app.lifecycle import DecisionStatus, GrantStatus, ItemStatus, WaiverStatus
from requests_app.models import Decision, Grant, RequestItem
from requests_app.waivers.models import Waiver
from stack.postgres import SUPERUSER
from tests.support import invariants, servers
from tests.support.fleet import Fleet, fleet, taken_up
from tests.support.stage import AsRole
from tests.upgrades import snapshot

RELEASES = sorted(Path(__file__).parent.glob("release-*.json.gz"))
# Statuses that a release had: its snapshot holds each of them.
FIRST = {
    *("scheduled", "activating", "provisioning", "active", "removing", "deprovisioning", "draining"),
    *("ended", "never_arrived", "not_granted", "cancelled"),
}
FIRST_ITEMS = {"pending", "approved", "denied", "withdrawn", "lapsed"}


@contextmanager
def upgraded(
    server: servers.PostgresServer, blocker: DjangoDbBlocker, name: str, kept: dict[str, Any]
) -> Iterator[None]:
    """A database of the release with its rows, taken to the newest migrations as an upgrade does it."""
    _create(server, name)
    try:
        with blocker.unblock():
            with servers.pointed_at(server, name, role="portal_owner"):
                for app, migration in kept["migrations"].items():
                    call_command("migrate", app, migration, verbosity=0, interactive=False)
                    assert check_guards(databases=["default"]) == [], "and so no other could go on from here"
            snapshot.load(server, name, kept)
            with servers.pointed_at(server, name, role="portal_owner"):
                call_command("migrate", verbosity=0, interactive=False)
            with servers.pointed_at(server, name, step_into=servers.DEFAULT_ROLE):
                yield
    finally:
        server.drop(name)


def _create(server: servers.PostgresServer, name: str) -> None:
    """As stack/bootstrap.sql makes it."""
    with psycopg.connect(server.conninfo(SUPERUSER), autocommit=True) as root:
        root.execute(
            sql.SQL(
                "CREATE DATABASE {} OWNER portal_owner TEMPLATE template0 ENCODING 'UTF8' "
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
            ).format(sql.Identifier(name))
        )
    with psycopg.connect(server.conninfo(SUPERUSER, name)) as root:
        root.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        root.execute("GRANT USAGE ON SCHEMA public TO portal_web, portal_worker, portal_sealer")


@pytest.mark.proof
@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name.partition(".")[0])
def test_each_grant_in_flight_ends_right(
    postgres_server: servers.PostgresServer,
    django_db_blocker: DjangoDbBlocker,
    as_role: AsRole,
    worker_id: str,
    release: Path,
) -> None:
    kept = snapshot.read(release)
    with upgraded(postgres_server, django_db_blocker, f"upgraded_{worker_id}", kept):
        assert set(Grant.objects.values_list("status", flat=True)) >= FIRST, "the snapshot lacks a status"
        assert set(RequestItem.objects.values_list("status", flat=True)) >= FIRST_ITEMS
        begun = set(Grant.objects.values_list("pk", flat=True))
        assert not _unexplained()
        with taken_up(as_role, kept) as play:
            _play_out(play)
            ended = dict(Grant.objects.values_list("person__object_id", "status"))
            assert ended == kept["finals"], play.describe()
            assert begun <= set(Grant.objects.values_list("pk", flat=True))
            assert not Decision.objects.filter(status=DecisionStatus.SUBMITTED).exists()
            invariants.check(play.scene())
            assert not invariants.nothing_is_owed()
            assert not _unexplained()
            with play.as_role("portal_sealer"):
                assert not invariants.seal_is_sound()


@pytest.mark.proof
@pytest.mark.usefixtures("committed_db")
def test_what_a_snapshot_of_now_would_hold(as_role: AsRole) -> None:
    """The next release is taken on from every status that this one has, and each grant ends as it says."""
    with fleet(as_role, people=snapshot.PEOPLE, groups=1) as play:
        finals = snapshot.populate(play)
        for model, statuses in (
            (Grant, GrantStatus),
            (RequestItem, ItemStatus),
            (Decision, DecisionStatus),
            (Waiver, WaiverStatus),
        ):
            assert set(model.objects.values_list("status", flat=True)) >= set(statuses.values), model
        _play_out(play)
        ended = dict(Grant.objects.values_list("person__object_id", "status"))
        assert ended == finals, play.describe()
        invariants.check(play.scene())


def _unexplained() -> list[Finding]:
    """What `audit_verify` would find that no event tells of; the snapshot's rules were written without any."""
    return [each for check in further() if check is not unexplained_rules for each in check(None)]


def _play_out(play: Fleet) -> None:
    last = play.time.now + timedelta(days=3)
    while invariants.nothing_is_owed():
        assert play.time.now < last, play.describe()
        play.work()
        play.step(play.until_next())
