"""Requests by the million with everything that happened to them: lives that were played, copied by Postgres.

`bulk` goes through every guard, which takes a tenth of a millisecond an event and more. This takes a hundredth: it is
done by the tables' owner, with guards, keys and indexes away meanwhile, a month of events at a time. What is written is
what the guards would have let through; `audit_verify` finds nothing (`tests/benchmarks/test_loading.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from audit.ledger.sql import DERIVED
from benchmarks.bulk import Size, people_and_catalogue
from benchmarks.lives import SALT, Life, Played, play
from benchmarks.setting import acting_as
from benchmarks.unguarded import unguarded
from identity.models import Person
from tests.requests_app import factories as make
from tests.support.servers import DEFAULT_ROLE, PostgresServer, pointed_at

SPAN = timedelta(days=720)  # over which the requests are spread evenly
# The newest request is so old that everything which followed has happened.
_LATEST = timedelta(hours=30)
RARE_EVERY = 100_000  # requests of which one is somebody's, for a group and in words, that no other is
RARE_WORD, COMMON_WORDS = "quasar", "stuck deployment"
_TABLES = (
    *("requests_app_accessrequest", "requests_app_requestitem", "requests_app_requestscope"),
    *(
        "requests_app_decision",
        "requests_app_grant",
        "requests_app_grantinterval",
        "audit_version",
        "audit_pii",
    ),
)
# What each of a life's rows says otherwise in a copy; columns of `copied`, or of `opened` for a scope.
_REQUEST = {
    "id": "copied.request",
    "requester_id": "copied.person",
    "justification": "copied.why",
    "reference": "copied.reference",
}
_ITEM = {
    "id": "copied.item",
    "request_id": "copied.request",
    "requester_id": "copied.person",
    "group_id": "copied.pim",
    "scope_hash": "copied.scope_hash",
    "lapses_at": "CASE life WHEN 'pending' THEN now() + interval '1 day' ELSE model.lapses_at + moved END",
    "chase_at": "CASE life WHEN 'pending' THEN now() + interval '1 day' END",
}
_SCOPE = {
    "item_id": "copied.item",
    "account_id": "opened.account",
    "account_name": "opened.account_name",
    "permission_set_arn": "opened.arn",
    "permission_set_name": "opened.permission_set",
    "content_hash": "opened.content_hash",
}
_ENDS = "CASE life WHEN 'active' THEN now() + interval '2 hours' ELSE model.ends_at + moved END"
_GRANT = {
    "id": "copied.access",
    "person_id": "copied.person",
    "group_id": "copied.pim",
    "first_request_id": "copied.request",
    "ends_at": _ENDS,
    "next_action_at": "CASE life WHEN 'active' THEN now() + interval '2 hours' END",
}
_OVERRIDES: Mapping[str, Mapping[str, str]] = {
    "requests_app_accessrequest": _REQUEST,
    "requests_app_requestitem": _ITEM,
    "requests_app_requestscope": _SCOPE,
    "requests_app_decision": {"id": "copied.decision", "item_id": "copied.item"},
    "requests_app_grant": _GRANT,
    "requests_app_grantinterval": {
        "item_id": "copied.item",
        "grant_id": "copied.access",
        "ends_at": _ENDS,
    },
}
# Of every group's accounts the first only, and all of what somebody is still concerned with.
_OPENED = """
CREATE UNLOGGED TABLE bench.opened AS
SELECT given.group_id AS pim, account.account_id AS account, account.name AS account_name, permission.arn,
       permission.name AS permission_set, permission.content_hash,
       dense_rank() OVER (PARTITION BY given.group_id ORDER BY account.account_id) = 1 AS first
FROM catalog_accountassignment given JOIN catalog_awsaccount account ON account.id = given.account_id
JOIN catalog_permissionset permission ON permission.id = given.permission_set_id
"""
_COPIED = """
CREATE UNLOGGED TABLE bench.copied AS
SELECT i, life, moment, person.id AS person, person.object_id AS oid, pim.id AS pim, pim.object_id AS group_oid,
       pim.display_name AS group_name, pim.scope_hash, why, 'CHG-' || lpad(i::text, 7, '0') AS reference,
       md5('request' || i)::uuid AS request, md5('item' || i)::uuid AS item, md5('decision' || i)::uuid AS decision,
       md5('access' || i)::uuid AS access,
       encode(sha256(%(salt)s::bytea || convert_to(person.display_name, 'UTF8')), 'hex') AS about_them,
       encode(sha256(%(salt)s::bytea || convert_to(why, 'UTF8')), 'hex') AS why_promised, person.display_name AS name
FROM (
    SELECT i, %(begin)s::timestamptz + (i + 1) * (%(span)s::interval / %(n)s) AS moment,
           CASE WHEN i >= %(n)s - %(pending)s THEN 'pending'
                WHEN i >= %(n)s - %(pending)s - %(active)s THEN 'active'
                WHEN i::bigint * 7919 %% 1000 < %(ended)s THEN 'ended'
                WHEN i %% 2 = 0 THEN 'denied' ELSE 'lapsed' END AS life,
           CASE WHEN i %% %(rare)s = 7 THEN 'Look at the quasar' ELSE 'Fix the stuck deployment' END
               || ' of service-' || i %% 1000 AS why,
           CASE WHEN i %% %(rare)s = 7 THEN %(people)s - 1 ELSE i %% (%(people)s - 1) END AS who,
           CASE WHEN i %% %(rare)s = 7 THEN %(groups)s - 1 ELSE (i + i / (%(people)s - 1)) %% (%(groups)s - 1) END AS what
    FROM generate_series(0, %(n)s - 1) AS i
) AS numbers
JOIN identity_person person ON person.object_id = ('aaaaaaaa-0000-4000-8000-' || lpad(to_hex(who), 12, '0'))
JOIN catalog_pimgroup pim ON pim.object_id = ('bbbbbbbb-0000-4000-8000-' || lpad(to_hex(what), 12, '0'))
"""
_TELL = """
WITH made AS MATERIALIZED (
    SELECT %(newest)s + row_number() OVER (ORDER BY copied.moment + told.after, i, place) AS id,
           copied.moment + told.after AS at, told.place, told.life, told.subject_kind, told.subject, told.version,
           request, item, decision, access, why, name,
           format(told.form, to_char((copied.moment + told.after) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                  oid, about_them, why_promised, reference, group_oid, group_name, request, item, decision, access)
               AS canon
    FROM bench.copied JOIN bench.told USING (life)
    WHERE copied.moment >= %(since)s::timestamptz - interval '3 days' AND copied.moment < %(until)s
      AND copied.moment + told.after >= %(since)s AND copied.moment + told.after < %(until)s
), events AS (
    INSERT INTO {partition} (id, at, canon, {derived})
    SELECT id, at, canon, {derivations}
    -- OFFSET: else the text would be parsed for each of the columns.
    FROM (SELECT id, at, canon, canon::jsonb AS said FROM made OFFSET 0) AS parsed
), versions AS (
    INSERT INTO audit_version (subject_kind, subject_id, version, event_id)
    SELECT subject_kind, CASE subject WHEN 'request' THEN request WHEN 'item' THEN item
                                      WHEN 'decision' THEN decision ELSE access END, version, id
    FROM made WHERE subject_kind IS NOT NULL
), words AS (
    INSERT INTO audit_pii (event_id, field, salt, words)
    SELECT id, field, %(salt)s, CASE kind WHEN 'name' THEN name WHEN 'why' THEN why ELSE said END
    FROM made JOIN bench.said USING (life, place)
)
SELECT coalesce(max(id), %(newest)s) FROM made
"""
# A month on its way has no trigger that would write its columns. Business time is what the copies' texts say it is.
_DERIVED = {name: how for name, (how, _) in DERIVED.items()} | {"business_at": "at"}


@dataclass(frozen=True, slots=True)
class World:
    """A database that was loaded, the one who decides, and how much there is."""

    name: str
    boss: Person
    size: Size
    events: int


@dataclass(frozen=True, slots=True)
class Much:
    """How much to load. The newest `pending` requests are open, the `active` before them hold access."""

    size: Size
    events: int  # about
    active: int


def load(server: PostgresServer, database: str, much: Much) -> World:
    """Fill a migrated database. As many requests end in access as it takes for so many events."""
    with pointed_at(server, database, step_into=DEFAULT_ROLE):
        played = play()
    with acting_as(server, database, "worker"):
        people_and_catalogue(much.size)
        make.rule(played.boss)
    with psycopg.connect(server.conninfo("portal_owner", database), autocommit=True) as owner:
        owner.execute("SET maintenance_work_mem = '512MB'")
        owner.execute("SET work_mem = '256MB'")
        owner.execute("SET max_parallel_maintenance_workers = 0")
        owner.execute("SET TimeZone = 'UTC'")
        owner.execute("CREATE SCHEMA bench")
        began = datetime.now(UTC) - _LATEST - SPAN
        _plan(owner, played, much, began)
        with unguarded(owner, _TABLES):
            for table in _OVERRIDES:
                for name, life in played.lives.items():
                    _copy_rows(owner, table, name, life)
            _tell(owner, began)
        owner.execute("DROP SCHEMA bench CASCADE")
        owner.execute("VACUUM (ANALYZE)")
        row = owner.execute("SELECT count(*) FROM audit_event").fetchone()
    return World(database, played.boss, much.size, row[0] if row else 0)


def _plan(owner: psycopg.Connection[Any], played: Played, much: Much, began: datetime) -> None:
    """Say which request is whose, for what, when, and what becomes of it."""
    size = much.size
    full = len(played.lives["ended"].told)
    short = (len(played.lives["denied"].told) + len(played.lives["lapsed"].told)) / 2
    ended = round(1000 * (much.events / size.requests - short) / (full - short))
    owner.execute(_OPENED)
    owner.execute("CREATE INDEX ON bench.opened (pim)")
    owner.execute(
        _COPIED,
        {
            "salt": SALT,
            "begin": began,
            "span": SPAN,
            "n": size.requests,
            "pending": size.pending,
            "active": much.active,
            "ended": min(max(ended, 0), 1000),
            "rare": RARE_EVERY,
            "people": size.people,
            "groups": size.groups,
        },
    )
    owner.execute("CREATE INDEX ON bench.copied (moment)")
    owner.execute(
        "CREATE UNLOGGED TABLE bench.told (life text, place int, after interval, form text, subject_kind text, "
        "subject text, version int)"
    )
    owner.execute("CREATE UNLOGGED TABLE bench.said (life text, place int, field text, kind text, said text)")
    for name, life in played.lives.items():
        _plan_life(owner, name, life)
    owner.execute("ANALYZE bench.copied, bench.told, bench.said, bench.opened")


def _plan_life(owner: psycopg.Connection[Any], name: str, life: Life) -> None:
    for place, told in enumerate(life.told):
        kind, subject, version = told.subject or (None, None, None)
        owner.execute(
            "INSERT INTO bench.told VALUES (%s, %s, %s, %s, %s, %s, %s)",
            # Of events that happened at once, each comes a millisecond after the one before.
            [name, place, told.after + place * timedelta(milliseconds=1), told.form, kind, subject, version],
        )
        for field, said in told.words.items():
            source = {None: "name", "": "why"}.get(said, "said")
            owner.execute(
                "INSERT INTO bench.said VALUES (%s, %s, %s, %s, %s)", [name, place, field, source, said]
            )


def _copy_rows(owner: psycopg.Connection[Any], table: str, name: str, life: Life) -> None:
    """Copies of the life's rows of one table; times are moved as the ask is, everything else stays."""
    keys = life.rows[table]
    if not keys:
        return
    overrides = _OVERRIDES[table]
    columns = owner.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
        "AND table_name = %s AND is_identity = 'NO' AND is_generated = 'NEVER' ORDER BY ordinal_position",
        [table],
    ).fetchall()
    values = [
        overrides.get(column)
        or (f"model.{column} + moved" if kind.startswith("timestamp") else f"model.{column}")
        for column, kind in columns
    ]
    opened = ""
    if table == "requests_app_requestscope":
        all_of_it = "TRUE" if name in ("pending", "active") else "opened.first"
        opened = f"JOIN bench.opened ON opened.pim = copied.pim AND {all_of_it}"
    owner.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {values} "
            "FROM (SELECT *, moment - %(began)s::timestamptz AS moved FROM bench.copied WHERE life = %(life)s) AS copied "
            "{opened} CROSS JOIN {table} AS model WHERE model.id = %(key)s"
        ).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(sql.Identifier(column) for column, _ in columns),
            values=sql.SQL(", ").join(sql.SQL(value) for value in values),
            opened=sql.SQL(opened),
        ),
        {"began": life.began, "life": name, "key": keys[0]},
    )


def _tell(owner: psycopg.Connection[Any], began: datetime) -> None:
    """The events, month by month; indexes come with a month's place in the trail."""
    row = owner.execute("SELECT max(id) FROM audit_event").fetchone()
    newest = row[0] if row else 0
    months = list(_months(began))
    this_month = f"audit_event_{months[-1]:%Y_%m}"
    owner.execute(sql.SQL("ALTER TABLE audit_event DETACH PARTITION {}").format(sql.Identifier(this_month)))
    for month, following in itertools.pairwise([*months, _next(months[-1])]):
        name = f"audit_event_{month:%Y_%m}"
        first = month == months[0]
        with owner.transaction():
            if month != months[-1]:
                owner.execute(
                    sql.SQL(
                        "CREATE TABLE {} (LIKE audit_event INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS)"
                    ).format(sql.Identifier(name))
                )
            told = owner.execute(
                sql.SQL(_TELL).format(
                    partition=sql.Identifier(name),
                    derived=sql.SQL(", ").join(map(sql.Identifier, _DERIVED)),
                    derivations=sql.SQL(", ").join(map(sql.SQL, _DERIVED.values())),
                ),
                {"newest": newest, "since": month, "until": following, "salt": SALT},
            ).fetchone()
            newest = told[0] if told else newest
            owner.execute(
                sql.SQL("ALTER TABLE audit_event ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                    sql.Identifier(name),
                    sql.SQL("MINVALUE") if first else sql.Literal(month),
                    sql.Literal(following),
                )
            )
            if month != months[-1]:
                owner.execute("SELECT audit_guard_partition(%s)", [name])
    owner.execute(sql.SQL("ALTER TABLE audit_event ALTER id RESTART WITH {}").format(sql.Literal(newest + 1)))


def _months(began: datetime) -> Iterator[datetime]:
    """The first instants of the months from that one to the one that is."""
    month = began.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while month <= datetime.now(UTC):
        yield month
        month = _next(month)


def _next(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)
