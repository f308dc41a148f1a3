"""What the ledger holds about access reviews."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register
from audit.ledger.rows import Watched

CAMPAIGN = Watched(
    "reviews_campaign",
    ("name", "due_on", "started_at", "started_by_id", "closed_at", "closed_by_id"),
)
# The start tells of all together, by a digest; each is told of once somebody has decided.
ENTRY = Watched(
    "reviews_reviewentry",
    (
        "campaign_id",
        "person_id",
        "group_id",
        "direct",
        "ends_at",
        "verdict",
        "decided_by_id",
        "decided_at",
    ),
    unless="{row}.verdict = ''",
)

_OF = {"campaign_id": Field(Kind.ID), "campaign": Field()}
_NUMBER = Field(Kind.NUMBER)

STARTED = EventType(
    "review.started",
    "{actor} started the access review “{campaign}” of {entries} eligibilities, due on {due_on}",
    {
        **_OF,
        "due_on": Field(),
        **dict.fromkeys(("entries", "groups", "reviewers"), _NUMBER),
        "reviewed_by": Field(
            optional=True
        ),  # `models.ReviewedBy`; before there was a choice, whoever decides
        "by_owners": Field(Kind.NUMBER, optional=True),  # of how many groups
        # Of all that it began with: `unexplained.digests`.
        "entries_digest": Field(optional=True),
        "reviewers_digest": Field(optional=True),
        "unowned_digest": Field(optional=True),
    },
    tells=(CAMPAIGN,),
)
REVIEWER_ADDED = EventType(
    "review.reviewer_added",
    "{actor} made {about} a reviewer of {group_name} in the access review “{campaign}”",
    {**_OF, "group_name": Field()},
)
REVIEWER_REMOVED = EventType(
    "review.reviewer_removed",
    "{about} is no longer a reviewer of {group_name} in the access review “{campaign}”, says {actor}",
    {**_OF, "group_name": Field()},
)
DECIDED = EventType(
    "review.decided",
    "{actor} decided “{verdict}” on the eligibility of {about} for {group_name} in the access review “{campaign}”",
    {
        **_OF,
        "group_name": Field(),
        "verdict": Field(),
        "before": Field(optional=True),  # what was decided earlier
        # What the page says at that moment. Without a use: none where it was read whole, else not known.
        "last_access_at": Field(Kind.INSTANT, optional=True),
        "last_use_at": Field(Kind.INSTANT, optional=True),
        "use_read_whole": Field(Kind.FLAG, optional=True),
    },
    words=("reason",),
    tells=(ENTRY,),
)
CLOSED = EventType(
    "review.closed",
    "{actor} closed the access review “{campaign}”: {keep} to keep, {remove} to remove, {undecided} undecided",
    {**_OF, "keep": _NUMBER, "remove": _NUMBER, "undecided": _NUMBER},
    tells=(CAMPAIGN,),
)
EXPORTED = EventType(
    "review.exported",
    "{actor} took the {removals} removals of the access review “{campaign}” as a table",
    {**_OF, "removals": _NUMBER},
)


def register_all() -> None:
    """Declare this room's event types; called once when Django starts."""
    register(STARTED, REVIEWER_ADDED, REVIEWER_REMOVED, DECIDED, CLOSED, EXPORTED)
