"""Changes of the rules that say something else than their events. `audit_verify` asks.

Postgres refuses them (`told`). What is found here was done by somebody who switched that off, or put back another state
of the table. Of a change whose event went with a removed month nothing is expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import connection

from audit.ledger.checks import expect_guards
from audit.ledger.findings import Finding
from audit.ledger.row_words import ERASED
from audit.ledger.unexplained import may_read, register_further
from oversight.rules.told import BASE_SQL, DECIDED, DIGEST_SQL, GUARDS, STEP_SQL, WORDING_SQL

MOST = 10_000  # that are named
# What the sealer reads for this, beside what versions need and who people are.
READS = "status, rules, base, proposed_by_id, restores_id, decided_by_id, problem"

_TOLD = """
FROM public.oversight_rulechange thing
JOIN public.audit_version told ON told.subject_kind = 'rule_change' AND told.subject_id = thing.id
JOIN public.audit_event event ON event.id = told.event_id
"""
# Proposals from before the digest say the wording alone.
_PROPOSED = f"""
SELECT thing.id::text, event.id {_TOLD} AND told.version = 1
LEFT JOIN public.identity_person who ON who.id = thing.proposed_by_id
{{beside}}
WHERE event.data -> 'fields' ->> 'rules_digest' <> {DIGEST_SQL.format("thing")}
   OR NOT ({WORDING_SQL.format("thing")} AND {BASE_SQL.format("thing")})
   OR (who.object_id, thing.restores_id::text) IS DISTINCT FROM
      (event.data -> 'fields' ->> 'proposed_by', event.data -> 'fields' ->> 'restores')
   {{words}}
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - of names that stand here
# Who decided is who says so, and it is where its newest event leads.
_DECIDED = ", ".join(f"'rules.{status}'" for status in DECIDED)
_STEPS = f"""
SELECT thing.id::text, event.id {_TOLD} AND event.type IN ({_DECIDED})
LEFT JOIN public.identity_person who ON who.id = thing.decided_by_id
{{beside}}
WHERE who.object_id IS DISTINCT FROM event.actor_oid {{words}}
UNION ALL
SELECT thing.id::text, event.id {_TOLD} AND told.version = thing.version
WHERE NOT EXISTS (SELECT FROM {STEP_SQL} WHERE step.event = event.type AND step.status = thing.status)
   OR thing.problem <> coalesce(event.data -> 'fields' ->> 'problem', '')
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - likewise
# What applying wrote is what the rules' own events say, which only the portal itself can tell, entry for entry and whole:
# what has another form differs, and is never a reason to fail. Each rule without such an event is called unchanged once, in
# the version that the change came from. The very first rules aren't of a change that was proposed. An hour: a month may
# have been removed between events of one transaction.
_WROTE = f"""
WITH said AS (
    SELECT data -> 'fields' ->> 'written_by' AS change, array_agg(data -> 'fields' ->> 'name') AS names,
           jsonb_agg(jsonb_build_array(data -> 'fields' -> 'name', CASE
               WHEN type = 'rule.retired' THEN 'retired'
               WHEN data -> 'fields' -> 'number' = '1' THEN 'created' ELSE 'new version' END,
               data -> 'fields' -> 'number')) AS entries
    FROM public.audit_event WHERE type IN ('rule.versioned', 'rule.retired') AND actor_kind = 'system' GROUP BY 1
)
SELECT thing.id::text, event.id {_TOLD} AND told.version = thing.version
LEFT JOIN said ON said.change = 'change ' || thing.id
WHERE event.type <> 'rules.loaded' AND event.at >= coalesce(%(gone_until)s::timestamptz, '-infinity') + interval '1 hour'
  AND coalesce((
      SELECT jsonb_agg(wrote ORDER BY wrote::text) FROM (
          SELECT CASE entry ->> 1 WHEN 'retired' THEN  -- its event says no number: that of the version it had
              jsonb_build_array(entry -> 0, 'retired', coalesce(thing.base -> (entry ->> 0), '0')) ELSE entry END AS wrote
          FROM jsonb_array_elements(said.entries) entry
          UNION ALL
          SELECT jsonb_build_array(name, 'unchanged', thing.base -> name)
          FROM jsonb_each(CASE jsonb_typeof(thing.rules) WHEN 'object' THEN thing.rules ELSE '{{}}' END) rule (name, word)
          WHERE event.type = 'rules.applied' AND name <> ALL (coalesce(said.names, ARRAY[]::text[]))
      ) each
  ), '[]') IS DISTINCT FROM CASE jsonb_typeof(thing.wrote) WHEN 'array' THEN coalesce((
      SELECT jsonb_agg(entry ORDER BY entry::text) FROM jsonb_array_elements(thing.wrote) entry
  ), '[]') ELSE thing.wrote END
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - likewise
_BESIDE = "LEFT JOIN public.audit_pii beside ON beside.event_id = event.id AND beside.field = 'reason'"
_WORDS = "OR beside.words <> thing.{0} AND thing.{0} !~ %(erased)s"


def unexplained_changes(gone_until: datetime | None) -> Iterator[Finding]:
    """A finding for each change that isn't what its events say; what not every process may read, by who may."""
    if not may_read("oversight_rulechange"):
        return
    with_words = may_read("audit_pii")
    for what, statement, column in (
        ("What was proposed", _PROPOSED, "reason"),
        ("What was decided", _STEPS, "decision_reason"),
    ):
        words = _WORDS.format(column) if with_words else ""
        for change, event_id in _rows(statement.format(beside=_BESIDE if with_words else "", words=words)):
            sentence = f"{what} as rule change {change} isn't what its event says."
            yield Finding("change_unexplained", sentence, None, event_id)
    if _may_read_wrote():
        for change, event_id in _rows(_WROTE, gone_until):
            sentence = (
                f"What rule change {change} is said to have written isn't what the events of the rules say."
            )
            yield Finding("change_unexplained", sentence, None, event_id)


def _may_read_wrote() -> bool:
    """The sealer may not: it compares the versions of rules themselves with their events (`policy.unexplained`)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_column_privilege('public.oversight_rulechange', 'wrote', 'SELECT')")
        ((may,),) = cursor.fetchall()
    return bool(may)


def _rows(statement: str, gone_until: datetime | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"most": MOST, "erased": ERASED, "gone_until": gone_until})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def register_all() -> None:
    """Have `audit_verify` ask; called once when Django starts."""
    register_further(unexplained_changes)
    expect_guards(GUARDS)
