"""One, four and sixteen writers: the ledger's event beside a change, against other ways to keep an audit trail.

Each does the same: lock a row, change it, tell of it, commit, through Django's ORM as the product does. They differ in
what they tell: nothing; the facts of an event as a row of a plain table, inserted by the ORM, to which the others are
compared; one column of JSON, inserted by SQL that is written by hand; an event of the ledger; the plain row in a chain of
hashes, for which writers take turns; and what django-auditlog makes of the change.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from statistics import median, quantiles
from typing import Any, ClassVar, Self
from uuid import UUID

import psycopg
from django.apps.registry import Apps
from django.conf import settings
from django.db import connection, connections, models
from django.test import override_settings
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now
from benchmarks.measuring import Figure
from benchmarks.setting import acting_as, database
from identity.models import Person, User
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant
from tests.pages.moving import bring
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer

ROUNDS = 7
WRITERS = (1, 4, 16)
CHANGES = 50  # of each writer, in each go
COMPARED_WITH = "a plain insert"
HELD = 0.005  # seconds of other work in a transaction, after its event and before its end
_PATIENCE = 300.0  # seconds for one go
_LOCK = 0x636861696E
# Found first by connections whose search path says so: the table without guards, and the other trails.
_PLAIN = """
CREATE SCHEMA plain;
CREATE TABLE plain.requests_app_grant (LIKE public.requests_app_grant INCLUDING ALL);
INSERT INTO plain.requests_app_grant SELECT * FROM public.requests_app_grant;
CREATE TABLE plain.bare (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body jsonb NOT NULL
);
GRANT USAGE ON SCHEMA plain TO portal_worker;
GRANT SELECT, UPDATE ON plain.requests_app_grant TO portal_worker;
GRANT SELECT, INSERT ON plain.bare TO portal_worker;
"""
# The other trails' own tables, as their models say; what django-auditlog's points to is left away.
_OTHERS = """
GRANT SELECT, INSERT ON plain.log, plain.chain, plain.auditlog_logentry TO portal_worker;
GRANT SELECT ON public.django_content_type TO portal_worker;
"""


class _Plain(models.Model):
    """What an application without a ledger writes beside a change: who did what to whom, in columns, and the rest."""

    at = models.DateTimeField()
    type = models.TextField()
    outcome = models.TextField()
    actor = models.UUIDField()
    actor_name = models.TextField()
    about = models.UUIDField()
    about_name = models.TextField()
    group = models.UUIDField()
    request = models.UUIDField()
    grant = models.UUIDField()
    version = models.IntegerField()
    data = models.JSONField()

    class Meta:
        abstract = True
        app_label = "benchmarks"
        apps = Apps()  # of their own: the product has no such models


class PlainRow(_Plain):
    """A row of it, with no index but its key."""

    objects: ClassVar = models.Manager["PlainRow"]()

    class Meta(_Plain.Meta):
        abstract = False
        db_table = "log"


class ChainedRow(_Plain):
    """The same with the hash of itself and of the row before."""

    objects: ClassVar = models.Manager["ChainedRow"]()

    hash = models.BinaryField()

    class Meta(_Plain.Meta):
        abstract = False
        db_table = "chain"


def run(
    server: PostgresServer,
    *,
    writers: tuple[int, ...] = WRITERS,
    changes: int = CHANGES,
    rounds: int = ROUNDS,
) -> Iterator[Figure]:
    """How many changes a second each way allows, as the ratio to the plain insert's of the same round."""
    for number in writers:
        with ExitStack() as stack:
            name = stack.enter_context(database(server))
            crew = stack.enter_context(_Crew(server, name, number))
            yield from _ratios(crew, changes, rounds, held=0.0)
            if number == max(writers):
                yield from _ratios(crew, changes, rounds, held=HELD)


def _ratios(crew: _Crew, changes: int, rounds: int, *, held: float) -> Iterator[Figure]:
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    order = list(WAYS)
    for _ in range(rounds + 1):  # one goes before
        order = [*order[1:], order[0]]
        for way in order:
            taken[way].append(crew.go(way, changes, held))
    plain = taken[COMPARED_WITH][1:]
    for way, seconds in taken.items():
        if way == COMPARED_WITH:
            continue
        ratios = [one / other for one, other in zip(plain, seconds[1:], strict=True)]
        low, _, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
        many = f"{crew.number} writer{'s' if crew.number > 1 else ''}"
        more = f", {HELD * 1000:.0f} ms of other work" if held else ""
        yield Figure(
            f"writers: {way}, {many}{more}, to {COMPARED_WITH}",
            f"{median(ratios):.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{crew.number * changes / median(seconds[1:]):.0f} changes a second "
            f"to {crew.number * changes / median(plain):.0f}",
        )


class _Crew:
    """Writers, each a process with a grant of its own, that wait until they are told what to do."""

    def __init__(self, server: PostgresServer, name: str, number: int) -> None:
        self.number = number
        self._server, self._name = server, name
        self._ends: list[Connection] = []
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        grants = _grants(self._server, self._name, self.number)
        _make_trails(self._server, self._name)
        context = multiprocessing.get_context("fork")
        connections.close_all()
        for grant_id in grants:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_write, args=(self._server, self._name, grant_id, theirs), daemon=True
            )
            process.start()
            self._ends.append(ours)
            self._processes.append(process)
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            end.send(None)
        for process in self._processes:
            process.join(_PATIENCE)

    def go(self, way: str, changes: int, held: float) -> float:
        """Seconds until all writers are through. Raises AssertionError when one isn't in time, or failed."""
        began = time.perf_counter()
        for end in self._ends:
            end.send((way, changes, held))
        for end in self._ends:
            assert end.poll(_PATIENCE), "a writer takes too long"
            said = end.recv()
            assert said == "done", said
        return time.perf_counter() - began


def _grants(server: PostgresServer, name: str, number: int) -> list[UUID]:
    with acting_as(server, name, "worker"):
        rule = make.rule(make.person("Bea Boss"))
        asked = [(make.person(), make.pim_group()) for _ in range(number)]
    with acting_as(server, name, "web"):
        items = [make.pending_item(person, group, rule) for person, group in asked]
        make.login(Person.objects.get(display_name="Bea Boss"))
    with acting_as(server, name, "worker"):
        return [bring(make.scheduled_grant(item), GrantStatus.REMOVING).pk for item in items]


def _make_trails(server: PostgresServer, name: str) -> None:
    with psycopg.connect(server.conninfo("portal_owner", name), autocommit=True) as owner:
        owner.execute(_PLAIN)
    with acting_as(server, name, "migrate"), _with_auditlog():
        with connection.cursor() as cursor:
            cursor.execute("SET search_path = plain, public")
        from auditlog.models import LogEntry  # a model that isn't installed before

        with connection.schema_editor() as editor:
            for each in (PlainRow, ChainedRow, LogEntry):
                editor.create_model(each)
        with connection.cursor() as cursor:
            cursor.execute(_OTHERS)


def _with_auditlog() -> override_settings:
    return override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, "auditlog"])


# --- In a writer's process


def _write(server: PostgresServer, name: str, grant_id: UUID, end: Connection) -> None:
    with acting_as(server, name, "worker"), _with_auditlog():
        usual = connections.settings["default"]
        usual["OPTIONS"]["options"] = (
            f"{usual['OPTIONS'].get('options', '')} -c search_path=plain,public".strip()
        )
        teller = _Teller(grant_id)
        while order := end.recv():
            try:
                teller.change(*order)
                end.send("done")
            except Exception as error:  # noqa: BLE001 - told to whoever measures
                end.send(repr(error))


class _Teller:
    """Changes one grant again and again, and tells of it in one of WAYS."""

    def __init__(self, grant_id: UUID) -> None:
        self._key = grant_id
        grant = Grant.objects.select_related("person", "group").get(pk=grant_id)
        self._person, self._group, self._request = grant.person, grant.group, grant.first_request_id
        self._boss = User.objects.select_related("person").get()

    def change(self, way: str, changes: int, held: float) -> None:
        """Do it so many times, each in a transaction of its own."""
        tell = WAYS[way]
        with ExitStack() as stack:
            if way == "django-auditlog":
                stack.enter_context(_auditlog(self._boss))
            for _ in range(changes):
                with transaction():
                    grant = Grant.objects.select_for_update().get(pk=self._key)
                    forth = grant.status == GrantStatus.REMOVING
                    grant.status = GrantStatus.DEPROVISIONING if forth else GrantStatus.REMOVING
                    grant.version += 1
                    grant.save(update_fields=["status", "version"])
                    tell(self, grant)
                    if held:
                        time.sleep(held)

    def facts(self, grant: Grant) -> Mapping[str, str]:
        """What is told of the change."""
        return {
            "group_name": self._group.display_name,
            "source": "removing",
            "target": str(grant.status),
            "vendor_request_id": "8a1f",
        }

    def row(self, grant: Grant) -> dict[str, Any]:
        """The same with everybody concerned, as columns."""
        boss = self._boss.person
        return {
            "at": business_now(),
            "type": "grant.out_of_entra",
            "outcome": "done",
            "actor": boss.object_id,
            "actor_name": boss.display_name,
            "about": self._person.object_id,
            "about_name": self._person.display_name,
            "group": self._group.object_id,
            "request": self._request,
            "grant": grant.pk,
            "version": grant.version,
            "data": self.facts(grant),
        }

    def plain(self, grant: Grant) -> None:
        PlainRow.objects.create(**self.row(grant))

    def bare(self, grant: Grant) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO plain.bare (body) VALUES (%s)", [_text(self.row(grant))])

    def ledger(self, grant: Grant) -> None:
        boss = self._boss.person
        record(
            "grant.out_of_entra",
            actor=Actor.person(boss.object_id, boss.display_name),
            fields=self.facts(grant),
            about_oid=self._person.object_id,
            about_name=self._person.display_name,
            group_oid=self._group.object_id,
            request_id=self._request,
            grant_id=grant.pk,
        )

    def chain(self, grant: Grant) -> None:
        """The lock in a statement of its own: whoever reads the last hash in the same one reads an old one."""
        row = self.row(grant)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        last = ChainedRow.objects.order_by("-pk").values_list("hash", flat=True).first()
        digest = hashlib.sha256(bytes(last or b"") + _text(row).encode()).digest()
        ChainedRow.objects.create(**row, hash=digest)

    def nothing(self, grant: Grant) -> None:
        """Nothing more: django-auditlog's signals have done it, or nobody does."""


def _text(row: Mapping[str, Any]) -> str:
    return json.dumps(row, default=str)


def _auditlog(actor: User) -> ExitStack:
    """Changes of grants are noted by django-auditlog while this is entered, in that actor's name."""
    from auditlog.context import set_actor
    from auditlog.registry import auditlog

    stack = ExitStack()
    auditlog.register(Grant)
    stack.callback(auditlog.unregister, Grant)
    stack.enter_context(set_actor(actor))
    return stack


type Tell = Callable[[_Teller, Grant], None]
WAYS: Mapping[str, Tell] = {
    "no trail": _Teller.nothing,
    COMPARED_WITH: _Teller.plain,
    "a bare row of JSON": _Teller.bare,
    "an event of the ledger": _Teller.ledger,
    "a locked chain of hashes": _Teller.chain,
    "django-auditlog": _Teller.nothing,
}
