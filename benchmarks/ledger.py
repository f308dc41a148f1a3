"""What an audited step of a grant costs: against the same UPDATE with a plain row in one table beside it."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from uuid import UUID

import psycopg
from django.db import connections
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor
from benchmarks.measuring import Figure, Timer, ratio
from benchmarks.setting import acting_as, database
from requests_app.actions.moving import move
from requests_app.lifecycle import GrantStatus
from requests_app.models import Grant
from tests.pages.moving import bring
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer

ROUNDS = 15
STEPS = 60  # of each writer, in each go
WRITERS = (1, 4)
_PATIENCE = 120.0  # seconds for one go
# A way round that a grant may go for ever: out of Entra, seen there again.
_ROUND = {
    GrantStatus.REMOVING: GrantStatus.DEPROVISIONING,
    GrantStatus.DEPROVISIONING: GrantStatus.REMOVING,
}
# The same tables without guards; found first by connections whose search path says so.
_PLAIN = """
CREATE SCHEMA plain;
CREATE TABLE plain.requests_app_grant (LIKE public.requests_app_grant INCLUDING ALL);
INSERT INTO plain.requests_app_grant SELECT * FROM public.requests_app_grant;
CREATE TABLE plain.log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body jsonb NOT NULL
);
GRANT USAGE ON SCHEMA plain TO portal_worker;
GRANT SELECT, UPDATE ON plain.requests_app_grant TO portal_worker;
GRANT SELECT, INSERT ON plain.log TO portal_worker;
"""


def run(
    server: PostgresServer, *, writers: tuple[int, ...] = WRITERS, steps: int = STEPS, rounds: int = ROUNDS
) -> Iterator[Figure]:
    """Audited to plain, for each number of writers at once; every writer is a process with a grant of its own."""
    for number in writers:
        with ExitStack() as stack:
            name = stack.enter_context(database(server))
            grants = _grants(server, name, number)
            with psycopg.connect(server.conninfo("portal_owner", name), autocommit=True) as owner:
                owner.execute(_PLAIN)
            spawn = multiprocessing.get_context("spawn")
            pools = [
                stack.enter_context(
                    ProcessPoolExecutor(1, mp_context=spawn, initializer=_begin, initargs=(server, name, pk))
                )
                for pk in grants
            ]
            yield ratio(
                f"ledger: a step with its event, {number} writer{'s' if number > 1 else ''}, to a plain one",
                _together(pools, steps, plain=False),
                _together(pools, steps, plain=True),
                rounds=rounds,
                what="for each step of one writer",
            )


def _together(pools: list[ProcessPoolExecutor], steps: int, *, plain: bool) -> Timer:
    """Seconds until all writers are through, by the number of steps that each one does."""

    def one_go() -> float:
        began = time.perf_counter()
        for waiting in [pool.submit(_walk, steps, plain=plain) for pool in pools]:
            waiting.result(timeout=_PATIENCE)
        return (time.perf_counter() - began) / steps

    return one_go


def _grants(server: PostgresServer, name: str, number: int) -> list[UUID]:
    """Grants that are being removed, brought there along the life cycle."""
    with acting_as(server, name, "worker"):
        rule = make.rule(make.person("Bea Boss"))
        asked = [(make.person(), make.pim_group()) for _ in range(number)]
    with acting_as(server, name, "web"):
        items = [make.pending_item(person, group, rule) for person, group in asked]
    with acting_as(server, name, "worker"):
        return [bring(make.scheduled_grant(item), GrantStatus.REMOVING).pk for item in items]


# --- In a writer's process

_audited: Grant
_plain: Grant
_stay = ExitStack()


def _begin(server: PostgresServer, name: str, grant_id: UUID) -> None:
    """Connect twice as a worker does: to the guarded tables, and as "plain" to those without guards."""
    global _audited, _plain
    _stay.enter_context(acting_as(server, name, "worker"))
    usual = connections.settings["default"]
    words = f"{usual['OPTIONS'].get('options', '')} -c search_path=plain,public".strip()
    connections.settings["plain"] = {**usual, "OPTIONS": {**usual["OPTIONS"], "options": words}}
    rows = Grant.objects.select_related("person", "group")
    _audited = rows.get(pk=grant_id)
    _plain = rows.using("plain").get(pk=grant_id)


def _walk(steps: int, *, plain: bool) -> None:
    for _ in range(steps):
        if plain:
            _plain_step(_plain)
        else:
            _audited_step(_audited)


def _audited_step(grant: Grant) -> None:
    name = grant.group.display_name
    with transaction():
        move(
            grant,
            _ROUND[GrantStatus(grant.status)],
            actor=Actor.worker(),
            fields={"group_name": name, "vendor_request_id": "8a1f"},
        )


def _plain_step(grant: Grant) -> None:
    source, target = grant.status, _ROUND[GrantStatus(grant.status)]
    body = {
        "type": "grant.moved",
        "actor": "worker",
        "about": grant.person.object_id,
        "about_name": grant.person.display_name,
        "group": grant.group.object_id,
        "group_name": grant.group.display_name,
        "grant": str(grant.pk),
        "source": source,
        "target": target,
        "vendor_request_id": "8a1f",
    }
    with transaction(using="plain"), connections["plain"].cursor() as cursor:
        rows = Grant.objects.using("plain").filter(pk=grant.pk, version=grant.version, status=source)
        assert rows.update(status=target, version=grant.version + 1) == 1
        cursor.execute("INSERT INTO plain.log (body) VALUES (%s)", [json.dumps(body)])
    grant.status, grant.version = target, grant.version + 1
