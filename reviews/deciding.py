"""A reviewer's word on eligibilities: whether each stays. It changes nothing in PIM; removals are exported to be done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Max
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now
from base.errors import Denied, Invalid, Missing
from identity.humans import same_human
from identity.models import Person
from requests_app.activity.recorded import UNREAD, RecordedUse, recorded_uses
from requests_app.models import Grant
from reviews.campaigns import open_campaign
from reviews.events import ENTRY
from reviews.models import ReviewEntry, Reviewer, Verdict

MOST_AT_ONCE = 50
LONGEST_REASON = 2_000


def decide(
    *, campaign_id: UUID, entry_ids: Collection[int], verdict: str, reason: str, by: Person, actor: Actor
) -> int:
    """Decide on entries of groups that this person reviews, all of them or none; gives how many.

    A later word on the same entry replaces the earlier one, until the campaign is closed; the trail has both.

    Raises:
        Missing: no such campaign or entry, or of a group that somebody else reviews.
        Conflict: the campaign is closed.
        Denied: one of the entries is their own, by whichever account.
        Invalid: no entry, too many, no such verdict, no reason.
    """
    reason = reason.strip()
    if verdict not in Verdict.values:
        raise Invalid("review.verdict", "Choose keep or remove.")
    if not reason or len(reason) > LONGEST_REASON:
        raise Invalid("review.reason", "Say why, for whoever reads it in a year.", field="reason")
    if not entry_ids or len(entry_ids) > MOST_AT_ONCE:
        raise Invalid("review.entries", f"Choose between one and {MOST_AT_ONCE} eligibilities.")
    with transaction():
        campaign = open_campaign(campaign_id)
        mine = Reviewer.objects.filter(campaign=campaign, person=by).values("group")
        rows = list(
            ReviewEntry.objects.select_for_update(of=("self",), no_key=True)
            .filter(campaign=campaign, pk__in=entry_ids, group__in=mine)
            .select_related("person", "group")
            .order_by("pk")
        )
        if len(rows) != len(set(entry_ids)):
            raise Missing("review.entry_missing", "There is no such eligibility for you to review.")
        if any(same_human(by, row.person) for row in rows):
            raise Denied("review.own", "Nobody reviews their own access. Leave yours to another reviewer.")
        lasts, uses = last_accesses(rows), last_uses(rows)
        now = business_now()
        for row in rows:
            before, use = row.verdict, uses.get((row.person_id, row.group_id), UNREAD)
            row.verdict, row.reason, row.decided_by, row.decided_at = verdict, reason, by, now
            row.save(update_fields=["verdict", "reason", "decided_by", "decided_at"])
            record(
                "review.decided",
                actor=actor,
                fields={
                    "campaign_id": campaign.pk,
                    "campaign": campaign.name,
                    "group_name": row.group.display_name,
                    "verdict": verdict,
                    "before": before or None,
                    "last_access_at": lasts.get((row.person_id, row.group_id)),
                    "last_use_at": use.at,
                    "use_read_whole": use.whole,
                },
                words={"reason": reason},
                rows=(ENTRY.stands(row),),
                about_oid=row.person.object_id,
                about_name=row.person.display_name,
                group_oid=row.group.object_id,
            )
    return len(rows)


def last_accesses(entries: Sequence[ReviewEntry]) -> Mapping[tuple[int, int], datetime]:
    """When access through the portal was last ready for each entry's person and group, if ever. One query.

    Access that somebody got in Entra itself isn't known here.
    """
    rows = Grant.objects.filter(
        person__in={entry.person_id for entry in entries},
        group__in={entry.group_id for entry in entries},
        arrived_at__isnull=False,
    )
    found = rows.order_by().values_list("person", "group").annotate(at=Max("arrived_at"))
    return {(person, group): at for person, group, at in found}


def last_uses(entries: Sequence[ReviewEntry]) -> Mapping[tuple[int, int], RecordedUse]:
    """When that access was last used, by each entry's person and group, as far as CloudTrail was read. One query."""
    return recorded_uses({entry.person_id for entry in entries}, {entry.group_id for entry in entries})
