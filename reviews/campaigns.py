"""What operators do with a campaign: start it, say who reviews, close it. Nothing here changes anybody's eligibility."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection
from django.db.models import Count, Q
from django_subatomic.db import savepoint, transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now
from base.errors import Conflict, Invalid, Missing
from catalog.models import Eligibility, PimGroup
from identity.models import Person
from identity.selectors import people
from reviews.choosing import Chosen, choose
from reviews.events import CAMPAIGN
from reviews.models import Campaign, ReviewedBy, ReviewEntry, Reviewer, Unowned, Verdict
from reviews.unexplained import digests

MOST_ENTRIES = 50_000
MOST_REVIEWERS = 50  # of one group

_TAKE = """
INSERT INTO reviews_reviewentry
    (campaign_id, person_id, group_id, through, direct, ends_at, verdict, reason)
SELECT %s, held.person_id, held.group_id,
       coalesce(string_agg(DISTINCT coalesce(nullif(through.display_name, ''), through.object_id), ', '), ''),
       bool_or(held.through_id IS NULL),
       CASE WHEN bool_or(held.ends_at IS NULL) THEN NULL ELSE max(held.ends_at) END, '', ''
FROM catalog_eligibility held LEFT JOIN identity_directorygroup through ON through.id = held.through_id
WHERE held.group_id = ANY(%s) AND (held.ends_at IS NULL OR held.ends_at > %s)
GROUP BY held.person_id, held.group_id
"""


def start_campaign(
    *,
    name: str,
    due_on: date,
    begins: str,
    by: Person,
    actor: Actor,
    reviewed_by: str = ReviewedBy.OWNERS,
) -> UUID:
    """Take the eligibilities of the managed groups whose name begins so ("" for all), and their reviewers.

    Raises:
        Invalid: nothing to review, or more than MOST_ENTRIES; due before today; no name.
    """
    now = business_now()
    name = " ".join(name.split())
    if not name or not name.isprintable():
        raise Invalid("review.name", "Give the review a name.", field="name")
    if due_on < now.date():
        raise Invalid("review.due", "This day is over. Choose a later one.", field="due_on")
    groups = list(
        PimGroup.objects.filter(managed=True, present=True, display_name__istartswith=begins.strip())
    )
    keys = [group.pk for group in groups]
    held = Eligibility.objects.filter(group__in=keys).filter(Q(ends_at=None) | Q(ends_at__gt=now))
    if not held.exists():
        raise Invalid(
            "review.nothing",
            "No managed PIM group whose name begins with this has an eligibility.",
            field="begins",
        )
    if held.count() > MOST_ENTRIES:
        sentence = f"These are more than {MOST_ENTRIES:,} eligibilities. Write more of the groups' names."
        raise Invalid("review.many", sentence, field="begins")
    chosen = choose(groups, by=ReviewedBy(reviewed_by), asking=by, at=now)
    with transaction():
        campaign = Campaign.objects.create(
            name=name, due_on=due_on, started_at=now, started_by=by, reviewed_by=reviewed_by
        )
        with connection.cursor() as cursor:
            cursor.execute(_TAKE, [campaign.pk, keys, now])
            entries = cursor.rowcount
        used = set(campaign.entries.order_by().values_list("group", flat=True).distinct())
        reviewers = _keep_chosen(campaign, chosen, used)
        entries_digest, reviewers_digest, unowned_digest = digests(campaign.pk)
        record(
            "review.started",
            actor=actor,
            fields={
                **_named(campaign),
                "due_on": due_on.isoformat(),
                "entries": entries,
                "groups": len(used),
                "reviewers": reviewers,
                "reviewed_by": campaign.reviewed_by,
                "by_owners": len(chosen.owned & used),
                "entries_digest": entries_digest,
                "reviewers_digest": reviewers_digest,
                "unowned_digest": unowned_digest,
            },
            rows=(CAMPAIGN.stands(campaign),),
        )
    return campaign.pk


def _keep_chosen(campaign: Campaign, chosen: Chosen, used: Collection[int]) -> int:
    """Keep who reviews these groups; gives how many people do."""
    rows = [
        Reviewer(campaign=campaign, group_id=key, person=person, as_owner=key in chosen.owned)
        for key, those in chosen.reviewers.items()
        for person in those
        if key in used
    ]
    Reviewer.objects.bulk_create(rows, batch_size=2_000)
    without = [
        Unowned(campaign=campaign, group_id=key, why=why)
        for key, why in chosen.without.items()
        if key in used
    ]
    Unowned.objects.bulk_create(without, batch_size=2_000)
    return len({row.person_id for row in rows})


def add_reviewer(*, campaign_id: UUID, group_object_id: str, who: str, actor: Actor) -> Person:
    """Make somebody (by object id, or the beginning of a name that only one has) a reviewer of one group.

    Raises:
        Missing: no such campaign, or it has no such group.
        Invalid: nobody has this name, or several do; who can't sign in can't review.
        Conflict: it is closed, they are one already, or the group has MOST_REVIEWERS.
    """
    with transaction():
        campaign, group = _open(campaign_id), _group(campaign_id, group_object_id)
        person = _person(who)
        if Reviewer.objects.filter(campaign=campaign, group=group).count() >= MOST_REVIEWERS:
            raise Conflict("review.reviewers", f"{MOST_REVIEWERS} people review this group already.")
        try:
            with savepoint():
                Reviewer.objects.create(campaign=campaign, group=group, person=person)
        except IntegrityError as error:
            raise Conflict("review.twice", f"{person.display_name} reviews this group already.") from error
        _told("review.reviewer_added", campaign, group, person, actor)
    return person


def remove_reviewer(*, campaign_id: UUID, group_object_id: str, object_id: str, actor: Actor) -> None:
    """Take a reviewer of one group away; what they decided stays. Raises Missing, and Conflict for a closed one."""
    with transaction():
        campaign, group = _open(campaign_id), _group(campaign_id, group_object_id)
        row = Reviewer.objects.filter(campaign=campaign, group=group, person__object_id=object_id.lower())
        person = Person.objects.filter(reviewing__in=row).first()
        if person is None or not row.delete()[0]:
            raise Missing("review.reviewer_missing", "They don't review this group.")
        _told("review.reviewer_removed", campaign, group, person, actor)


def close_campaign(*, campaign_id: UUID, by: Person, actor: Actor) -> None:
    """End it: nothing is decided in it any more. Raises Missing, and Conflict when it is closed already."""
    with transaction():
        campaign = _open(campaign_id)
        campaign.closed_at, campaign.closed_by = business_now(), by
        campaign.save(update_fields=["closed_at", "closed_by"])
        record(
            "review.closed",
            actor=actor,
            fields={**_named(campaign), **counts(campaign.entries.all())},
            rows=(CAMPAIGN.stands(campaign),),
        )


def counts(entries: Any) -> dict[str, int]:
    """Of entries: how many are to be kept, to be removed, and undecided."""
    of = {"keep": Verdict.KEEP, "remove": Verdict.REMOVE, "undecided": ""}
    found: dict[str, int] = entries.aggregate(
        **{name: Count("pk", filter=Q(verdict=verdict)) for name, verdict in of.items()}
    )
    return found


def open_campaign(campaign_id: UUID) -> Campaign:
    """The campaign, locked against its closing. Raises Missing, and Conflict when it is closed."""
    return _open(campaign_id)


def _open(campaign_id: UUID) -> Campaign:
    campaign = Campaign.objects.select_for_update(no_key=True).filter(pk=campaign_id).first()
    if campaign is None:
        raise Missing("review.missing", "There is no such access review.")
    if not campaign.open:
        raise Conflict("review.closed", "This access review is closed; nothing in it can be changed.")
    return campaign


def _group(campaign_id: UUID, object_id: str) -> PimGroup:
    reviewed = ReviewEntry.objects.filter(campaign=campaign_id).values("group")
    group = PimGroup.objects.filter(object_id=object_id, pk__in=reviewed).first()
    if group is None:
        raise Missing("review.group_missing", "This access review has no such PIM group.")
    return group


def _person(who: str) -> Person:
    text = " ".join(who.split())
    if not text:
        raise Invalid("review.nobody", "Write the beginning of a name, or an object id.", field="who")
    named = people().filter(
        Q(object_id=text.lower())
        | Q(display_name__istartswith=text)
        | Q(surname__istartswith=text)
        | Q(user_principal_name__istartswith=text)
    )
    found = list(named.filter(enabled=True, guest=False)[:2])
    if not found:
        raise Invalid(
            "review.nobody", "Nobody who can review has this name, or one that begins with it.", field="who"
        )
    if len(found) > 1:
        raise Invalid(
            "review.several",
            "Several people have a name that begins with this. Write more of it.",
            field="who",
        )
    return found[0]


def _named(campaign: Campaign) -> Mapping[str, Any]:
    return {"campaign_id": campaign.pk, "campaign": campaign.name}


def _told(event: str, campaign: Campaign, group: PimGroup, person: Person, actor: Actor) -> None:
    record(
        event,
        actor=actor,
        fields={**_named(campaign), "group_name": group.display_name},
        about_oid=person.object_id,
        about_name=person.display_name,
        group_oid=group.object_id,
    )
