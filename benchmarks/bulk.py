"""Rows by the ten thousand, made by the roles that make them in the product and past none of its guards."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection, transaction

from audit.ledger.canonical import FORMAT, canonical, check_fields, instant
from audit.ledger.registry import Kind, event_type
from base.clock import business_now, real_now
from benchmarks.setting import acting_as
from catalog.models import (
    AccountAssignment,
    AwsAccount,
    Eligibility,
    PermissionSet,
    PimGroup,
    ProvisioningState,
    SyncRun,
)
from catalog.sync.engine import KEEP_RUNS
from catalog.sync.intervals import INTERVALS
from catalog.sync.scopes import refresh_scopes
from identity.models import Person
from policy.models import RuleVersion
from tests.requests_app import factories as make
from tests.support.servers import PostgresServer

BATCH = 5_000
EVERYWHERE = "ReadOnly"  # the permission set that every request opens
_PERSON, _GROUP, _REQUEST, _ITEM = "aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"
_SALT = b"benchmark's salt"
# The number of the group that request number i is for, in SQL: no two of one person are alike.
_GROUP_OF = "(i + i / %(people)s) %% %(groups)s"

_ASK = (
    (
        "INSERT INTO requests_app_accessrequest "
        "(id, version, requester_id, justification, reference, created_at, created_real_at) "
        "SELECT request, 1, requester, 'Fix the stuck deployment', '', at, at FROM asked"
    ),
    (
        "INSERT INTO requests_app_requestitem "
        "(id, request_id, requester_id, group_id, duration, status, version, stage, terms_id, "
        "scope_hash, longest_session, created_at, lapses_at, close_reason) "
        "SELECT item, request, requester, pim, interval '1 hour', 'pending', 1, 0, %(rule)s, "
        "'scope', interval '1 hour', at, now() + interval '1 day', '' FROM asked"
    ),
)
# Of each group's accounts the first only: rows enough to filter by.
_OPEN = (
    "INSERT INTO requests_app_requestscope "
    "(item_id, account_id, account_name, permission_set_arn, permission_set_name, session_duration) "
    "SELECT asked.item, account.account_id, account.name, permission.arn, permission.name, "
    "permission.session_duration "
    "FROM asked JOIN catalog_accountassignment opened ON opened.group_id = asked.pim "
    "JOIN catalog_awsaccount account ON account.id = opened.account_id "
    "JOIN catalog_permissionset permission ON permission.id = opened.permission_set_id "
    "WHERE opened.account_id = (SELECT min(same.account_id) FROM catalog_accountassignment same "
    "WHERE same.group_id = asked.pim)"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world is. Everybody's requests go to all groups in turn; the newest `pending` are open."""

    accounts: int
    permission_sets: int
    groups: int
    people: int
    requests: int
    pending: int
    eligible: int = 40  # groups that the first person may ask for
    wide: int = 50  # AWS accounts that the first group opens
    events: int = 0  # at least so many in the ledger


def person_id(number: int) -> str:
    """The object id of the person of that number."""
    return f"{_PERSON}-0000-4000-8000-{number:012x}"


def group_id(number: int) -> str:
    """The object id of the PIM group of that number."""
    return f"{_GROUP}-0000-4000-8000-{number:012x}"


def _id(prefix: str, number: str) -> str:
    """The same in SQL, for an expression that is a number."""
    return f"('{prefix}-0000-4000-8000-' || lpad(to_hex({number}), 12, '0'))"


def fill(server: PostgresServer, database: str, size: Size) -> Person:
    """Make a world of that size; gives the one person who decides on everything."""
    with acting_as(server, database, "worker"):
        people_and_catalogue(size)
        boss = make.person("Bea Boss")
        version = make.rule(boss)
    with acting_as(server, database, "web"), transaction.atomic():
        _ask(size, version)
    with acting_as(server, database, "worker"):
        with transaction.atomic():
            _lapse(size)
        _fill_up(size)
    with psycopg.connect(server.conninfo("portal_owner", database), autocommit=True) as owner:
        owner.execute("VACUUM (ANALYZE)")
    return boss


def people_and_catalogue(size: Size) -> None:
    """People, accounts, permission sets, groups and what they open, and what the first person may ask for."""
    now = business_now()
    people = [
        Person(
            tenant_id=make.TENANT,
            object_id=person_id(n),
            display_name=f"Person {n:05}",
            given_name="Person",
            surname=f"{n:05}",
            user_principal_name=f"person.{n:05}@acme.example",
            employee_id=f"E{n:06}",
            store_user_id=f"store-{n}",
            synced_at=now,
        )
        for n in range(size.people)
    ]
    Person.objects.bulk_create(people, batch_size=BATCH)
    sets = [
        PermissionSet(
            arn=f"arn:aws:sso:::permissionSet/ssoins-2222222222222222/ps-{n:016x}",
            name=f"Set-{n:05}" if n else EVERYWHERE,
            summary="Reads objects of Amazon S3 and settings of Amazon EC2.",
            managed_policies=[{"name": "ReadOnlyAccess", "arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}],
        )
        for n in range(size.permission_sets)
    ]
    PermissionSet.objects.bulk_create(sets, batch_size=BATCH)
    accounts = [
        AwsAccount(account_id=f"{n + 100_000_000_001}", name=f"account-{n:05}", state="ACTIVE")
        for n in range(size.accounts)
    ]
    AwsAccount.objects.bulk_create(accounts, batch_size=BATCH)
    groups = [
        PimGroup(
            object_id=group_id(n),
            display_name=f"AWS - Group {n:05}",
            managed=True,
            assigned_to_application=True,
            store_group_id=f"store-{n}",
            policy_read_at=now,
            activation_maximum=timedelta(hours=8),
            assignment_maximum=timedelta(days=180),
            synced_at=now,
        )
        for n in range(size.groups)
    ]
    PimGroup.objects.bulk_create(groups, batch_size=BATCH)
    opened = (
        AccountAssignment(
            group=group, account=accounts[(n + k) % len(accounts)], permission_set=sets[position]
        )
        for n, group in enumerate(groups)
        for k in range(size.wide if n == 0 else 4)
        for position in {0, n % len(sets)}
    )
    for batch in itertools.batched(opened, BATCH):
        AccountAssignment.objects.bulk_create(batch)
    refresh_scopes(group.pk for group in groups)
    Eligibility.objects.bulk_create(
        Eligibility(person=people[0], group=group, instance_id=f"{group.object_id}_first")
        for group in groups[: size.eligible]
    )
    ProvisioningState.objects.create(job_id="job", code="Active", last_cycle_completed=True, observed_at=now)
    SyncRun.objects.bulk_create(_readings(real_now()), batch_size=BATCH)


def _readings(now: datetime) -> Iterator[SyncRun]:
    """The readings of the catalogue that are kept, as often as each part is read."""
    for part, every in INTERVALS.items():
        for number in range(KEEP_RUNS // every):
            at = now - number * every
            yield SyncRun(part=part, status=SyncRun.Status.SUCCEEDED, started_at=at, finished_at=at)


def _ask(size: Size, version: RuleVersion) -> None:
    """Requests of one item each, with their scope and both events; as the web process, in one transaction."""
    common = {
        "n": size.requests,
        "people": size.people,
        "groups": size.groups,
        "rule": make.terms(version).pk,
    }
    asked = f"""
        WITH asked AS (
            SELECT i, {_id(_REQUEST, "i")}::uuid AS request, {_id(_ITEM, "i")}::uuid AS item,
                   person.id AS requester, pim.id AS pim, now() - (%(n)s - i) * interval '1 minute' AS at
            FROM generate_series(0, %(n)s - 1) AS i
            JOIN identity_person person ON person.object_id = {_id(_PERSON, "i %% %(people)s")}
            JOIN catalog_pimgroup pim ON pim.object_id = {_id(_GROUP, _GROUP_OF)}
        )
    """  # noqa: S608 - names of this module only
    with connection.cursor() as cursor:
        for statement in _ASK:
            cursor.execute(asked + statement, common)
        _write("request.submitted", size, size.requests, kind="person", subject=("request", _REQUEST, 1))
        _write("item.requested", size, size.requests, kind="person", subject=("item", _ITEM, 1))
        # Only what its event has told of has a scope.
        cursor.execute(asked + _OPEN, common)


def _lapse(size: Size) -> None:
    """All but the newest have lapsed; as the worker, in one transaction."""
    lapsed = max(0, size.requests - size.pending)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE requests_app_requestitem SET status = 'lapsed', version = 2, decided_at = now() "
            "WHERE id < %s",
            [UUID(f"{_ITEM}-0000-4000-8000-{lapsed:012x}")],
        )
    _write("item.lapsed", size, lapsed, kind="worker", subject=("item", _ITEM, 2))


def _fill_up(size: Size) -> None:
    """Events of workers about those requests, until the ledger holds as many as wanted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_event")
        ((there,),) = cursor.fetchall()
    for begin in range(0, max(0, size.events - int(there)), 50_000):
        more = min(50_000, size.events - int(there) - begin)
        with transaction.atomic():
            _write("outside.assignment_answered", size, more, kind="worker")


def _write(
    name: str, size: Size, number: int, *, kind: str, subject: tuple[str, str, int] | None = None
) -> None:
    """Events 0 to `number` - 1 of one type, each about the request of its number, with the person's name beside it.

    The text is what `audit.ledger.recorder` writes; marks in it are replaced by Postgres.
    """
    document: dict[str, Any] = {
        "v": FORMAT,
        "type": name,
        "outcome": event_type(name).outcome.value,
        "business_at": instant(business_now()),
        "actor": {"kind": kind, **({"oid": "@person@"} if kind == "person" else {})},
        "fields": check_fields(event_type(name), _fields(name)),
        "commitments": {"about": "@promise@"},
        "about": "@person@",
        "group": "@group@",
        "request": "@request@",
    }
    if subject is not None:
        document["subject"] = {"kind": subject[0], "id": "@subject@", "version": subject[2]}
    text = "%(text)s"
    for mark, value in (
        ("person", "person.object_id"),
        ("group", _id(_GROUP, _GROUP_OF)),
        ("request", _id(_REQUEST, "i")),
        ("subject", _id(subject[1], "i") if subject else "''"),
        ("promise", "encode(sha256(%(salt)s::bytea || convert_to(person.display_name, 'UTF8')), 'hex')"),
    ):
        text = f"replace({text}, '@{mark}@', {value})"
    kept = (
        "jsonb_build_object('field', 'about', 'salt', encode(%(salt)s, 'hex'), 'words', person.display_name)"
    )
    statement = f"""
        SELECT count(public.audit_record({text}, jsonb_build_array({kept})::text))
        FROM (SELECT n %% %(requests)s AS i FROM generate_series(0, %(number)s - 1) AS n) AS numbers
        JOIN identity_person person ON person.object_id = {_id(_PERSON, "i %% %(people)s")}
    """  # noqa: S608 - names of this module only
    values: dict[str, str | int | bytes] = {
        "text": canonical(document),
        "number": number,
        "requests": size.requests,
        "people": size.people,
        "groups": size.groups,
        "salt": _SALT,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _fields(name: str) -> Mapping[str, Any]:
    values = {
        Kind.TEXT: "as it was",
        Kind.INSTANT: business_now(),
        Kind.DURATION: timedelta(hours=1),
        Kind.NUMBER: 1,
        Kind.ID: person_id(0),
    }
    return {field: values[declared.kind] for field, declared in event_type(name).fields.items()}
