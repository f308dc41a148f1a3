"""What an access review began with, and who reviews in it, against the trail. `audit_verify` asks.

The start says a digest of its entries and one of its first reviewers: thousands of rows stay one event. An entry's facts
never change, decided or not; who began as a reviewer is who is one now, with those who were taken away and without those
who came later, each of whom has an event.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from audit.ledger.checks import expect_guards
from audit.ledger.findings import Finding
from audit.ledger.unexplained import may_read, register_further
from reviews.guards import GUARDS
from reviews.models import ReviewedBy

MOST = 10_000
# What the sealer reads for this, beside what it reads already.
READS = {
    "reviews_reviewentry": "through",
    "reviews_reviewer": "campaign_id, group_id, person_id",
}
READS_CHOICE = {"reviews_campaign": "reviewed_by", "reviews_unowned": "campaign_id, group_id, why"}


def _digest(line: str, only: str = "true") -> str:
    lines = f"string_agg({line}, E'\\n' ORDER BY ({line}) COLLATE \"C\") FILTER (WHERE {only})"
    return f"encode(sha256(convert_to(coalesce({lines}, ''), 'UTF8')), 'hex')"


_ENTRY = (
    "concat_ws(':', entry.person_id, entry.group_id, entry.direct, "
    "coalesce((extract(epoch FROM entry.ends_at) * 1000000)::bigint::text, '-'), entry.through)"
)
_REVIEWER = "group_oid || ':' || person_oid"
_REVIEWERS = """
SELECT whose.campaign_id::text AS campaign, pim.object_id AS group_oid, person.object_id AS person_oid
FROM public.reviews_reviewer whose JOIN public.catalog_pimgroup pim ON pim.id = whose.group_id
JOIN public.identity_person person ON person.id = whose.person_id
"""
_UNOWNED = "pim.object_id || ':' || whose.why"
_UNOWNED_OF = "FROM public.reviews_unowned whose JOIN public.catalog_pimgroup pim ON pim.id = whose.group_id"
_BEGINS = f"""
SELECT (SELECT {_digest(_ENTRY)} FROM public.reviews_reviewentry entry WHERE entry.campaign_id = %(campaign)s),
       (SELECT {_digest(_REVIEWER)} FROM ({_REVIEWERS} WHERE whose.campaign_id = %(campaign)s) AS now),
       (SELECT {_digest(_UNOWNED)} {_UNOWNED_OF} WHERE whose.campaign_id = %(campaign)s)
"""  # noqa: S608 - of names that stand here


def digests(campaign: UUID) -> tuple[str, str, str]:
    """Of the entries, the reviewers, and the groups without owners, as they stand now: for the event of the start."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGINS, {"campaign": campaign})
        ((entries, reviewers, unowned),) = cursor.fetchall()
    return entries, reviewers, unowned


_NOTHING = "encode(sha256(''), 'hex')"
_STARTED = """
SELECT id, data #>> '{fields,campaign_id}' AS campaign, data -> 'fields' AS said
FROM public.audit_event WHERE type = 'review.started'
"""
# Starts from before the digests say how many entries there were.
_ENTRIES = f"""
SELECT told.campaign, told.id FROM ({_STARTED}) told LEFT JOIN (
    SELECT entry.campaign_id::text AS campaign, {_digest(_ENTRY)} AS digest, count(*) AS entries
    FROM public.reviews_reviewentry entry GROUP BY 1
) stands USING (campaign)
WHERE CASE WHEN told.said ? 'entries_digest' THEN told.said ->> 'entries_digest' IS DISTINCT FROM stands.digest
           ELSE told.said -> 'entries' IS DISTINCT FROM to_jsonb(stands.entries) END
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - likewise
_WHO = f"""
WITH told AS (
    SELECT data #>> '{{fields,campaign_id}}' AS campaign, group_oid, about_oid AS person_oid,
           (array_agg(type ORDER BY at, id))[1] = 'review.reviewer_removed' AS first,
           (array_agg(type ORDER BY at DESC, id DESC))[1] = 'review.reviewer_added' AS last
    FROM public.audit_event WHERE type IN ('review.reviewer_added', 'review.reviewer_removed') GROUP BY 1, 2, 3
), each AS (
    SELECT campaign, group_oid, person_oid, now.campaign IS NOT NULL AS stands, told.first, told.last
    FROM told FULL JOIN ({_REVIEWERS}) now USING (campaign, group_oid, person_oid)
), campaigns AS (
    SELECT campaign, {_digest(_REVIEWER, "coalesce(first, stands)")} AS digest, bool_or(last <> stands) AS other
    FROM each GROUP BY campaign
)
SELECT campaign, began.id FROM campaigns FULL JOIN ({_STARTED}) began USING (campaign)
WHERE campaigns.other OR began.said ? 'reviewers_digest'
      AND began.said ->> 'reviewers_digest' <> coalesce(campaigns.digest, {_NOTHING})
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - likewise


# Starts from before there was a choice have whoever decides review.
_CHOICE = f"""
SELECT told.campaign, told.id FROM ({_STARTED}) told
JOIN public.reviews_campaign chosen ON chosen.id::text = told.campaign
LEFT JOIN (
    SELECT whose.campaign_id::text AS campaign, {_digest(_UNOWNED)} AS digest {_UNOWNED_OF} GROUP BY 1
) stands ON stands.campaign = told.campaign
WHERE coalesce(told.said ->> 'reviewed_by', '{ReviewedBy.DECIDERS}') <> chosen.reviewed_by
   OR coalesce(told.said ->> 'unowned_digest', {_NOTHING}) <> coalesce(stands.digest, {_NOTHING})
ORDER BY 1 LIMIT %(most)s
"""  # noqa: S608 - likewise


def unexplained_reviews(_gone_until: datetime | None) -> Iterator[Finding]:
    """A finding for each review whose entries or reviewers aren't those of its events.

    Where the event of a start went with a removed month, nothing is compared with it; nothing at all where this process may
    not read reviews.
    """
    if not may_read("reviews_reviewentry", "reviews_reviewer", "reviews_unowned"):
        return
    for what, statement in (
        ("What access review {} began with", _ENTRIES),
        ("Who reviews in {}", _WHO),
        ("How the reviewers of {} were chosen", _CHOICE),
    ):
        for campaign, event_id in _rows(statement):
            sentence = f"{what.format(campaign)} isn't what its events say."
            yield Finding("change_unexplained", sentence, None, event_id)


def _rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"most": MOST})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def register_all() -> None:
    """Have `audit_verify` ask; called once when Django starts."""
    register_further(unexplained_reviews)
    expect_guards(GUARDS)
