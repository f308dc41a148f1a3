"""Facts of requests and grants that aren't what their events say. `audit_verify` asks.

Postgres refuses such rows and changes (`told`). What is found here was done by somebody who switched that off, or put back
another state of a table. Of a row whose event went with a removed month nothing is expected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from audit.ledger.checks import expect_guards
from audit.ledger.findings import Finding
from audit.ledger.row_words import ERASED
from audit.ledger.unexplained import may_read, register_further
from requests_app import queue_told
from requests_app.told import DIGEST_SQL, GUARDS
from requests_app.waivers import told as waivers

MOST = 10_000  # rows of one kind that are named
# What the sealer reads for this, beside what versions need.
READS = {
    "identity_person": "id, object_id",
    "catalog_pimgroup": "id, object_id",
    "requests_app_accessrequest": "requester_id, reference, item_count",
    "requests_app_requestitem": "request_id, requester_id, group_id, duration, wanted_start, scope_hash, lapses_at",
    "requests_app_requestscope": (
        "item_id, account_id, account_name, permission_set_arn, permission_set_name, session_duration, content_hash"
    ),
    "requests_app_decision": "item_id, approver_id, absence_id, verdict, duration, stage, shown",
    "requests_app_grant": "person_id, group_id, first_request_id, starts_at, ends_at, revision",
    "requests_app_grantinterval": "id, grant_id, item_id, starts_at, ends_at",
    "identity_absence": "person_id, delegate_id, begins_at, ends_at",
    "requests_app_freeze": "frozen_by_id, subject",
    "requests_app_waiver": "item_id, drill",
    "requests_app_remark": "author_id, item_id",
    "requests_app_revocation": "id, grant_id, kind, by_id, revoked_at",
}
READS_OF_WAIVERS = {
    "requests_app_waiver": "kind, conditions, reason",
    "requests_app_owedreview": (
        "waiver_id, panel, person_id, drill, due_at, blocks_at, escalated_at, verdict, reviewed_by_id, lifted_by_id, "
        "lifted_at"
    ),
}
READS_OF_PROOFS = {
    "requests_app_accessrequest": "proof",
    "requests_app_requestitem": "longest_session",
    "requests_app_decision": "proof",
    "requests_app_grant": "as_person, longest_session",
}


type _Named = Mapping[str, str | int | datetime | None]


@dataclass(frozen=True, slots=True)
class _Facts:
    """Rows of a kind, with the event of their first version or another, and what of them has to be as it says."""

    kind: str
    events: str  # of its first version, any of them
    rows: str  # a FROM list with the row as `thing`
    facts: tuple[tuple[str, str], ...]  # what stands, and how the event says it
    words: tuple[str, str] | None = (
        None  # a column that people wrote, and the names of the words beside the event
    )
    version: str = "= 1"  # which of its versions came with that event


def _field(name: str, as_type: str = "text") -> str:
    text = f"event.data #>> '{{fields,{name}}}'"
    return f"public.audit_instant({text})" if as_type == "instant" else f"({text})::{as_type}"


def _span(column: str) -> tuple[str, str]:
    return f"extract(epoch FROM thing.{column})::numeric", _field(column, "numeric")


def _told_since(column: str, as_type: str) -> tuple[str, str]:
    """A fact that events from before say nothing of."""
    return f"CASE WHEN event.data -> 'fields' ? '{column}' THEN thing.{column} END", _field(column, as_type)


def _proof(whose: str) -> tuple[tuple[str, str], ...]:
    """What a sign-in proved, and whose it was. An instant that can't be read is another one."""
    instant = (
        "CASE WHEN pg_input_is_valid(thing.proof ->> '{0}', 'timestamptz') "
        "THEN (thing.proof ->> '{0}')::timestamptz END"
    )
    instants = tuple(
        (instant.format(name), _field(name, "instant")) for name in ("authenticated_at", "verified_at")
    )
    contexts = (
        "CASE jsonb_typeof(thing.proof -> 'contexts') WHEN 'object' THEN (SELECT coalesce(string_agg(name, ', ' "
        """ORDER BY name COLLATE "C"), '') FROM jsonb_object_keys(thing.proof -> 'contexts') AS name) END"""
    )
    person = (f"lower(coalesce(thing.proof ->> 'person', {whose}))", f"lower({whose})")
    return (person, (contexts, _field("proven_contexts")), *instants)


_PERSON = "JOIN public.identity_person person ON person.id = thing.{0}"
_GROUP = "JOIN public.catalog_pimgroup pim ON pim.id = thing.group_id"
_FACTS = (
    _Facts(
        "request",
        "'request.submitted'",
        f"public.requests_app_accessrequest thing {_PERSON.format('requester_id')}",
        (
            ("person.object_id", "event.about_oid"),
            ("thing.reference", _field("reference")),
            ("thing.item_count", _field("items", "integer")),
            *_proof("event.about_oid"),
        ),
        ("justification", "'justification'"),
    ),
    _Facts(
        "item",
        "'item.requested'",
        f"public.requests_app_requestitem thing {_PERSON.format('requester_id')} {_GROUP}",
        (
            ("thing.request_id", "event.request_id"),
            ("person.object_id", "event.about_oid"),
            ("pim.object_id", "event.group_oid"),
            _span("duration"),
            ("thing.wanted_start", _field("wanted_start", "instant")),
            ("thing.scope_hash", _field("scope_hash")),
            ("thing.lapses_at", _field("lapses_at", "instant")),
        ),
    ),
    _Facts(
        "decision",
        "'decision.submitted'",
        f"public.requests_app_decision thing {_PERSON.format('approver_id')} "
        "LEFT JOIN public.identity_absence away ON away.id = thing.absence_id "
        "LEFT JOIN public.identity_person absent ON absent.id = away.person_id",
        (
            ("person.object_id", "event.actor_oid"),
            ("thing.item_id", _field("item_id", "uuid")),
            ("thing.verdict", _field("verdict")),
            _span("duration"),
            ("thing.stage", _field("stage", "integer")),
            ("absent.object_id", _field("instead_of_id")),
            ("CASE WHEN event.data #> '{fields,shown}' IS NOT NULL THEN thing.shown END", _field("shown")),
            *_proof("event.actor_oid"),
        ),
        ("comment", "'comment'"),
    ),
    _Facts(
        "grant",
        "'grant.scheduled'",
        f"public.requests_app_grant thing {_PERSON.format('person_id')} {_GROUP}",
        (
            ("thing.first_request_id", "event.request_id"),
            ("person.object_id", "event.about_oid"),
            ("pim.object_id", "event.group_oid"),
            ("thing.starts_at", _field("starts_at", "instant")),
            _told_since("as_person", "boolean"),
        ),
    ),
    _Facts(
        "absence",
        "'absence.declared', 'absence.delegated'",
        f"public.identity_absence thing {_PERSON.format('person_id')} "
        "LEFT JOIN public.identity_person delegate ON delegate.id = thing.delegate_id",
        (
            ("person.object_id", "event.about_oid"),
            ("delegate.object_id", _field("delegate_id")),
            ("thing.begins_at", _field("begins_at", "instant")),
            ("thing.ends_at", _field("ends_at", "instant")),
        ),
    ),
    _Facts(
        "freeze",
        "'incident.frozen'",
        f"public.requests_app_freeze thing {_PERSON.format('frozen_by_id')}",
        (("person.object_id", "event.actor_oid"), ("thing.subject", _field("subject"))),
        ("reason", "'reason'"),
    ),
    _Facts(
        "waiver",
        "'waiver.submitted'",
        "public.requests_app_waiver thing",
        (
            ("thing.item_id", _field("item_id", "uuid")),
            ("thing.drill", _field("drill", "boolean")),
            (waivers.KIND_SQL.format("thing"), _field("kind")),
        ),
        ("why", "'reason'"),
    ),
    _Facts(
        "waiver",
        "'waiver.granted', 'waiver.refused'",
        "public.requests_app_waiver thing",
        (
            (
                f"CASE thing.status WHEN 'granted' THEN {waivers.CONDITIONS_SQL.format('thing')} ELSE thing.reason END",
                f"coalesce({_field('conditions')}, {_field('reason')})",
            ),
        ),
        version="= thing.version",
    ),
    _Facts(
        "owed_review",
        "'emergency.review_owed'",
        "public.requests_app_owedreview thing JOIN public.requests_app_waiver waiver ON waiver.id = thing.waiver_id "
        f"{_PERSON.format('person_id')}",
        (
            ("waiver.item_id", _field("item_id", "uuid")),
            ("person.object_id", "event.about_oid"),
            ("thing.panel + 1", _field("panel", "integer")),
            ("thing.drill", _field("drill", "boolean")),
            ("thing.due_at", _field("due_at", "instant")),
            ("thing.blocks_at", _field("blocks_at", "instant")),
        ),
    ),
    _Facts(
        "owed_review",
        "'emergency.reviewed'",
        f"public.requests_app_owedreview thing LEFT {_PERSON.format('reviewed_by_id')}",
        (("person.object_id", "event.actor_oid"), ("replace(thing.verdict, '_', ' ')", _field("verdict"))),
        ("comment", "'comment'"),
        version="> 1",
    ),
    _Facts(
        "owed_review",
        "'emergency.block_lifted'",
        f"public.requests_app_owedreview thing LEFT {_PERSON.format('lifted_by_id')}",
        (("person.object_id", "event.actor_oid"),),
        ("lift_reason", "'reason'"),
        version="> 1",
    ),
    _Facts(
        "remark",
        "'question.asked', 'question.answered'",
        f"public.requests_app_remark thing {_PERSON.format('author_id')}",
        (("person.object_id", "event.actor_oid"), ("thing.item_id", _field("item_id", "uuid"))),
        ("words", "'question', 'answer'"),
    ),
)
_DIFFERING = """
SELECT thing.id::text, event.id FROM {rows}
JOIN public.audit_version told ON told.subject_kind = '{kind}' AND told.subject_id = thing.id AND told.version {version}
JOIN public.audit_event event ON event.id = told.event_id AND event.type IN ({events})
{beside}
WHERE ({stands}) IS DISTINCT FROM ({said}){words}
ORDER BY 1 LIMIT %(most)s
"""
_BESIDE = "LEFT JOIN public.audit_pii beside ON beside.event_id = event.id AND beside.field IN ({1})"
_WORDS = " OR beside.words <> thing.{0} AND thing.{0} !~ %(erased)s"

# The newest event of the window says where it ends.
_ENDS = """
SELECT thing.id::text, event.id FROM public.requests_app_grant thing
JOIN LATERAL (
    SELECT told.event_id FROM public.audit_version told
    WHERE told.subject_id = thing.id AND (told.subject_kind, told.version) IN (('grant', 1), ('extension', thing.revision))
    ORDER BY told.event_id DESC LIMIT 1
) told ON true
JOIN public.audit_event event ON event.id = told.event_id AND event.type IN ('grant.scheduled', 'grant.extended')
WHERE thing.ends_at IS DISTINCT FROM public.audit_instant(event.data #>> '{fields,ends_at}')
ORDER BY 1 LIMIT %(most)s
"""

# Events from before the digest say how many accounts and permission sets there were. The longest session is that of the
# longest that it opens.
_SCOPES = f"""
SELECT told.item::text, told.event_id FROM (
    SELECT version.subject_id AS item, event.id AS event_id, event.data -> 'fields' AS said
    FROM public.audit_version version JOIN public.audit_event event ON event.id = version.event_id
    WHERE version.subject_kind = 'item' AND version.version = 1 AND event.type = 'item.requested'
) told LEFT JOIN (
    SELECT item_id, {DIGEST_SQL} AS digest, count(DISTINCT account_id) AS accounts,
           count(DISTINCT permission_set_arn) AS permission_sets, max(session_duration) AS longest_session
    FROM public.requests_app_requestscope GROUP BY item_id
) stands ON stands.item_id = told.item
LEFT JOIN public.requests_app_requestitem item ON item.id = told.item
WHERE item.longest_session <> stands.longest_session OR CASE WHEN told.said ? 'scope_digest'
           THEN told.said ->> 'scope_digest' IS DISTINCT FROM coalesce(stands.digest, encode(sha256(''), 'hex'))
           ELSE (told.said -> 'accounts', told.said -> 'permission_sets') IS DISTINCT FROM
                (to_jsonb(coalesce(stands.accounts, 0)), to_jsonb(coalesce(stands.permission_sets, 0))) END
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - of names that stand here

# Whether an event that gave this grant a span went with a removed month.
_SPAN_GONE = """
%(removed)s AND EXISTS (
    SELECT FROM public.audit_version version
    WHERE version.subject_id = stands.grant_id
      AND (version.subject_kind = 'grant' AND version.version = 1 OR version.subject_kind = 'extension')
      AND NOT EXISTS (SELECT FROM public.audit_event event WHERE event.id = version.event_id)
)
"""
_SPANS = f"""
WITH told AS (
    SELECT event.id, event.grant_id, event.request_id, event.group_oid,
           public.audit_instant(event.data #>> '{{fields,starts_at}}') AS starts_at,
           public.audit_instant(event.data #>> '{{fields,ends_at}}') AS ends_at
    FROM public.audit_event event JOIN public.audit_version version ON version.event_id = event.id
    WHERE event.type IN ('grant.scheduled', 'grant.extended')
), stands AS (
    SELECT span.id AS span, span.grant_id, item.request_id, pim.object_id AS group_oid, span.starts_at, span.ends_at
    FROM public.requests_app_grantinterval span
    JOIN public.requests_app_requestitem item ON item.id = span.item_id
    JOIN public.catalog_pimgroup pim ON pim.id = item.group_id
)
SELECT grant_id::text, told.id, stands.span IS NOT NULL
FROM told FULL JOIN stands USING (grant_id, request_id, group_oid, starts_at, ends_at)
WHERE told.id IS NULL AND NOT ({_SPAN_GONE}) OR stands.span IS NULL
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - of names that stand here

# As long as the longest of the items that it was given for.
_SESSIONS = """
SELECT thing.id::text, NULL::bigint FROM public.requests_app_grant thing
JOIN (
    SELECT span.grant_id, max(item.longest_session) AS longest FROM public.requests_app_grantinterval span
    JOIN public.requests_app_requestitem item ON item.id = span.item_id GROUP BY span.grant_id
) given ON given.grant_id = thing.id
WHERE thing.longest_session <> given.longest
ORDER BY 1 LIMIT %(most)s
"""

_REVOCATIONS = """
SELECT thing.grant_id::text, event.id, true FROM public.requests_app_revocation thing
LEFT JOIN public.identity_person person ON person.id = thing.by_id
LEFT JOIN public.audit_event event ON event.type = 'grant.revoked' AND event.grant_id = thing.grant_id
     AND event.actor_oid = coalesce(person.object_id, '')
     AND coalesce(event.data #>> '{{fields,end_reason}}', thing.kind) = thing.kind
{beside}
WHERE event.id IS NULL AND (%(until)s::timestamptz IS NULL OR thing.revoked_at >= %(until)s){words}
UNION ALL
SELECT event.grant_id::text, event.id, false FROM public.audit_event event
WHERE event.type = 'grant.revoked'
  AND NOT EXISTS (SELECT FROM public.requests_app_revocation thing WHERE thing.grant_id = event.grant_id)
ORDER BY 1 LIMIT %(most)s
"""

# Whether each was reviewed, lifted and let go on to others as often as events say so.
_REVIEWS = """
SELECT thing.id::text, late.id FROM public.requests_app_owedreview thing
LEFT JOIN (
    SELECT version.subject_id, bool_or(event.id IS NULL) AS gone,
           bool_or(event.type = 'emergency.reviewed') AS reviewed, bool_or(event.type = 'emergency.block_lifted') AS lifted
    FROM public.audit_version version LEFT JOIN public.audit_event event ON event.id = version.event_id
    WHERE version.subject_kind = 'owed_review' GROUP BY version.subject_id
) told ON told.subject_id = thing.id
LEFT JOIN public.audit_event late
    ON late.type = 'emergency.review_overdue' AND late.data #>> '{fields,review_id}' = thing.id::text
WHERE NOT (%(removed)s AND coalesce(told.gone, false))
      AND (thing.verdict <> '', thing.lifted_at IS NOT NULL)
          IS DISTINCT FROM (coalesce(told.reviewed, false), coalesce(told.lifted, false))
   OR thing.escalated_at IS NULL AND late.id IS NOT NULL
   OR late.id IS NULL AND thing.escalated_at >= coalesce(%(until)s::timestamptz, '-infinity')
ORDER BY 1 LIMIT %(most)s
"""

# Where each that waits for Entra stands: before the others only by the newest event since it waits. Events from before say
# no instant.
_QUEUE = f"""
SELECT thing.grant_id::text, moved.id FROM public.requests_app_pathticket thing
LEFT JOIN LATERAL (
    SELECT event.id, event.data #>> '{{fields,front_at}}' AS front_at FROM public.audit_event event
    WHERE event.type = 'queue.moved_to_front' AND event.grant_id = thing.grant_id AND event.business_at >= thing.since
      AND event.data #>> '{{fields,waits_for}}' = {queue_told.WAITS_FOR_SQL.format("thing")}
    ORDER BY event.at DESC, event.id DESC LIMIT 1
) moved ON true
WHERE CASE WHEN moved.id IS NULL
                THEN thing.front_at IS NOT NULL AND thing.since >= coalesce(%(until)s::timestamptz, '-infinity')
           ELSE thing.front_at IS DISTINCT FROM coalesce(public.audit_instant(moved.front_at), thing.front_at) END
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - of names that stand here


def unexplained_facts(gone_until: datetime | None) -> Iterator[Finding]:
    """A finding for each row whose facts aren't those of its events; `gone_until` is where removed months end.

    Words are compared by a process that may read them.
    """
    with_words = may_read("audit_pii")
    named: _Named = {"most": MOST, "erased": ERASED, "until": gone_until, "removed": gone_until is not None}
    for each in _FACTS:
        for thing, event_id in _rows(_differing(each, with_words=with_words), named):
            yield _changed(f"{each.kind} {thing}", event_id)
    for thing, event_id in _rows(_ENDS, named):
        yield _changed(f"The end of grant {thing}", event_id)
    for thing, event_id in _rows(_SCOPES, named):
        yield _changed(f"What item {thing} opens", event_id)
    for thing, event_id in _rows(_SESSIONS, named):
        yield _changed(f"How long sessions of grant {thing} last", event_id)
    for thing, event_id in _rows(_REVIEWS, named):
        yield _changed(f"What was said in review {thing} of an emergency use", event_id)
    for thing, event_id in _rows(_QUEUE, named):
        yield _changed(f"Where grant {thing} waits for Entra", event_id)
    revocations = _REVOCATIONS.format(**_beside(("reason", "'reason'") if with_words else None))
    for what, statement in (("A span", _SPANS), ("The revocation", revocations)):
        for thing, event_id, stands in _rows(statement, named):
            yield _there_or_not(f"{what} of grant {thing}", event_id, stands=stands)


def _differing(of: _Facts, *, with_words: bool) -> str:
    stands, said = (", ".join(each) for each in zip(*of.facts, strict=True))
    return _DIFFERING.format(
        rows=of.rows,
        kind=of.kind,
        events=of.events,
        version=of.version,
        stands=stands,
        said=said,
        **_beside(of.words if with_words else None),
    )


def _beside(words: tuple[str, str] | None) -> dict[str, str]:
    """How a statement reads the words of a column beside the event, and when they differ."""
    if words is None:
        return {"beside": "", "words": ""}
    return {"beside": _BESIDE.format(*words), "words": _WORDS.format(*words)}


def _changed(what: str, event_id: int | None) -> Finding:
    sentence = f"{what}: what stands there isn't what the event says that told of it."
    return Finding("change_unexplained", sentence, None, event_id)


def _there_or_not(what: str, event_id: int | None, *, stands: bool) -> Finding:
    if not stands:
        return Finding("subject_missing", f"{what} isn't there as its event says.", None, event_id)
    if event_id is None:
        return Finding("change_unexplained", f"{what} is there, and no event says so.")
    return Finding("change_unexplained", f"{what} has other words than its event.", None, event_id)


def _rows(statement: str, named: _Named) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, named)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def register_all() -> None:
    """Have `audit_verify` ask; called once when Django starts."""
    register_further(unexplained_facts)
    expect_guards({**GUARDS, **waivers.GUARDS, **queue_told.GUARDS})
