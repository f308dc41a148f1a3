"""Erasing: after their time, what people wrote and their names are deleted with their salts. The events stay.

An event holds a salted hash of each text only, so every proof still holds. The erasure is an event, and what is gone
without one is a finding of `audit_verify`. Copies that were handed out before are out of reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django_subatomic.db import transaction

from audit.ledger.events import WORDS_ERASED
from audit.ledger.recorder import Actor, record
from audit.ledger.registry import LedgerError
from audit.ledger.retention import LEAST_DAYS, by_days, parse

__all__ = ["LEAST_DAYS", "LOCK", "MOST", "Due", "erase_due"]

MOST = 10_000  # texts that one event tells of
LOCK = 0x6572617365  # "erase": one at a time


def told_sql(event_type: str) -> str:
    """PL/pgSQL that reads into `said` what the event `told` says, or refuses.

    It has to be of this very transaction and of this type, not in a person's name, and may name nothing that is young.
    """
    return f"""
    SELECT event.data -> 'fields' INTO said FROM public.audit_event event
    WHERE event.id = told AND event.at >= transaction_timestamp() AND event.type = '{event_type}'
      AND event.actor_kind IN ('worker', 'system');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'No event of this transaction says what is erased.'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF (said ->> 'before')::timestamptz > clock_timestamp() - interval '{LEAST_DAYS} days' THEN
        RAISE EXCEPTION 'Words are kept for at least {LEAST_DAYS} days.' USING ERRCODE = 'check_violation';
    END IF;
"""  # noqa: S608 - names of this product only


# PL/pgSQL that refuses when another number went than the event says.
COUNTED = """
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone <> (said ->> 'texts')::bigint THEN
        RAISE EXCEPTION 'The event says that % texts are erased, and there are %.', said ->> 'texts', gone
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN gone;
"""
# The worker may call it; it takes what an event of the same transaction names, and nothing that is young. A definer's
# function, since no application role may delete words.
ERASE = f"""
CREATE FUNCTION public.audit_erase_words(told bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    said jsonb;
    gone bigint;
BEGIN{told_sql(WORDS_ERASED.name)}
    DELETE FROM public.audit_pii kept USING public.audit_event event
    WHERE kept.event_id = event.id AND event.at < (said ->> 'before')::timestamptz
      AND event.at >= coalesce((said ->> 'since')::timestamptz, '-infinity')
      AND event.type = ANY (ARRAY(SELECT jsonb_array_elements_text(said -> 'types')));{COUNTED}
END
$$;
REVOKE ALL ON FUNCTION public.audit_erase_words(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.audit_erase_words(bigint) TO portal_worker;
-- Which texts are kept, and not what they say: enough to see that one is gone without an event.
GRANT SELECT (event_id, field) ON public.audit_pii TO portal_sealer;
"""  # noqa: S608 - a constant
DROP = """
REVOKE SELECT (event_id, field) ON public.audit_pii FROM portal_sealer;
DROP FUNCTION public.audit_erase_words(bigint);
"""


@dataclass(frozen=True, slots=True)
class Due:
    """Texts whose time is over: of events of `types` from `since` on (None: from the first) and before `before`."""

    days: int
    types: tuple[str, ...]
    since: datetime | None
    before: datetime
    texts: int


def erase_due(text: str, *, dry_run: bool = False) -> list[Due]:
    """Erase what the setting's `text` says is over, at most MOST texts a transaction; gives what was erased.

    With `dry_run`, the first such part of each retention time is only counted. Raises RetentionError.
    """
    done: list[Due] = []
    rules = parse(text)
    for days, types in sorted(by_days(rules, _types()).items() if rules else ()):
        while (due := _erase(days, tuple(types), dry_run=dry_run)) is not None:
            done.append(due)
            if dry_run or due.texts < MOST:
                break
    return done


def _erase(days: int, types: tuple[str, ...], *, dry_run: bool) -> Due | None:
    """One transaction's part; None when nothing is over, or when somebody else is erasing."""
    with transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        ((locked,),) = cursor.fetchall()
        due = _due(days, types) if locked else None
        if due is None or dry_run:
            return due
        told = record(
            WORDS_ERASED.name,
            actor=Actor.system(),
            fields={
                "types": list(due.types),
                "since": due.since,
                "before": due.before,
                "kept_days": due.days,
                "texts": due.texts,
            },
        )
        cursor.execute("SELECT audit_erase_words(%s)", [told])
        ((gone,),) = cursor.fetchall()
        if gone != due.texts:
            raise LedgerError(f"{due.texts} texts were to be erased, and {gone} were.")
    return due


# Every type that an event has, also one that this version no longer declares; one look into the index for each.
_TYPES = """
WITH RECURSIVE found AS (
    SELECT min(type) AS type FROM audit_event
    UNION ALL
    SELECT (SELECT min(type) FROM audit_event WHERE type > found.type) FROM found WHERE found.type IS NOT NULL
)
SELECT type FROM found WHERE type IS NOT NULL
"""
# Where the last erasure of all these types ended: everything before it is gone.
_ENDED = """
SELECT max((data #>> '{fields,before}')::timestamptz) FROM audit_event
WHERE type = 'ledger.words_erased' AND actor_kind IN ('worker', 'system') AND data #> '{fields,types}' @> %s::jsonb
"""
_DUE = """
WITH due AS (
    SELECT event.at FROM audit_event event JOIN audit_pii kept ON kept.event_id = event.id
    WHERE event.type = ANY(%(types)s) AND event.at < %(before)s
      AND event.at >= coalesce(%(since)s::timestamptz, '-infinity')
    ORDER BY event.at LIMIT %(most)s + 1
), bound AS (
    SELECT CASE WHEN count(*) > %(most)s THEN max(at) ELSE %(before)s END AS before FROM due
)
SELECT bound.before, count(due.at) FROM bound LEFT JOIN due ON due.at < bound.before GROUP BY bound.before
"""


def _types() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_TYPES)
        return [name for (name,) in cursor.fetchall()]


def _due(days: int, types: tuple[str, ...]) -> Due | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp() - make_interval(days => %s), to_jsonb(%s::text[])::text",
            [days, list(types)],
        )
        ((before, named),) = cursor.fetchall()
        cursor.execute(_ENDED, [named])
        ((since,),) = cursor.fetchall()
        cursor.execute(_DUE, {"types": list(types), "before": before, "since": since, "most": MOST})
        ((before, texts),) = cursor.fetchall()
    return Due(days, types, since, before, texts) if texts else None
