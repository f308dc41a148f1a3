"""Saved searches whose words aren't those beside their event. `audit_verify` asks; Postgres refuses to change them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import connection

from audit.ledger.checks import expect_guards
from audit.ledger.findings import Finding
from audit.ledger.unexplained import may_read, register_further

_WORDS = """
SELECT DISTINCT search.id::text, event.id FROM public.history_savedsearch search
JOIN public.audit_event event ON event.type = 'search.saved' AND event.data #>> '{fields,search_id}' = search.id::text
JOIN public.audit_pii beside ON beside.event_id = event.id
WHERE beside.words <> CASE beside.field WHEN 'name' THEN search.name WHEN 'filter' THEN search.query ELSE beside.words END
ORDER BY 1 LIMIT 10000
"""
GUARD = """
CREATE FUNCTION public.history_said_once() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION 'A saved search never changes: save another one instead.'
        USING ERRCODE = 'integrity_constraint_violation';
END
$guard$;
REVOKE ALL ON FUNCTION public.history_said_once() FROM PUBLIC;
CREATE TRIGGER said_once BEFORE UPDATE ON public.history_savedsearch FOR EACH ROW
    WHEN ((OLD.id, OLD.name, OLD.query) IS DISTINCT FROM (NEW.id, NEW.name, NEW.query))
    EXECUTE FUNCTION public.history_said_once();
ALTER TABLE public.history_savedsearch ENABLE ALWAYS TRIGGER said_once;
"""
NO_GUARD = """
DROP TRIGGER said_once ON public.history_savedsearch;
DROP FUNCTION public.history_said_once();
"""


def unexplained_searches(_gone_until: datetime | None) -> Iterator[Finding]:
    """A finding for each search with other words than its event, unless erased or not for this process to read."""
    if not may_read("history_savedsearch", "audit_pii"):
        return
    with connection.cursor() as cursor:
        cursor.execute(_WORDS)
        for search, event_id in cursor.fetchall():
            sentence = f"Saved search {search} has another name or filter than its event."
            yield Finding("change_unexplained", sentence, None, event_id)


def register_all() -> None:
    """Have `audit_verify` ask; called once when Django starts."""
    register_further(unexplained_searches)
    expect_guards({"history_savedsearch.said_once": "history_said_once"})
