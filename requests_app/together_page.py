"""Several requests on one page, to be decided with one word: what is needed to know of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count

from base.clock import business_now
from catalog.selectors import Known, known_of
from identity.models import Person
from requests_app import selectors
from requests_app.actions.deciding_together import MOST_TOGETHER
from requests_app.deliberation.reading import thread_states
from requests_app.estimates import last_possible_use
from requests_app.models import RequestItem, RequestScope
from requests_app.permissions import is_decider
from requests_app.rows import Row
from requests_app.rule_words import names_in, stages_words
from requests_app.shown import Facts, read_all_facts
from requests_app.targets import due

# Permission sets that are named for one request; more are counted.
MOST_SETS = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """One request that may be decided with the others."""

    row: Row
    facts: Facts
    opens: str
    deciders: Sequence[str]
    known: Known  # of what it allows
    token: str  # of what was shown first
    chosen: bool

    @property
    def item(self) -> RequestItem:
        return self.row.item

    @property
    def last_possible_use(self) -> datetime:
        """If approved now, as long as asked."""
        item, now = self.item, business_now()
        starts_at = max(now, item.wanted_start) if item.wanted_start else now
        return last_possible_use(
            window_ends_at=starts_at + item.duration, longest_session=item.longest_session
        )

    @property
    def alone(self) -> str:
        """Why it has to be looked at by itself, "" when it needn't be."""
        if not self.facts.as_asked:
            return "Its rule or what the PIM group opens has changed since it was asked for."
        return "A question about it waits for an answer." if self.row.thread == "open" else ""


def candidates(
    person: Person, ids: Collection[UUID], sent: Mapping[str, str], chosen: Collection[UUID]
) -> list[Candidate]:
    """Those of the named items that this person may decide on now, the first due first. Fifteen queries at most.

    `sent` has the tokens of what was shown before, by "shown-" and the item's id; `chosen` are ticked.
    """
    items = list(
        selectors.to_decide(person)
        .filter(pk__in=list(ids)[:MOST_TOGETHER])
        .annotate(due=due())
        .order_by("due", "pk")
    )
    said, opens = thread_states(items), _opens(items)
    known = known_of({item.group_id for item in items})
    names = names_in(item.terms.parsed for item in items)
    return [
        Candidate(
            row=Row(facts.item, thread=said.get(facts.item.pk, "")),
            facts=facts,
            opens=opens.get(facts.item.pk, ""),
            deciders=stages_words(facts.item.terms.parsed, names),
            known=known[facts.item.group_id],
            token=sent.get(f"shown-{facts.item.pk}", facts.token),
            chosen=facts.item.pk in chosen,
        )
        for facts in read_all_facts(items)
    ]


def is_own_to_decide(person: Person, item_id: UUID) -> bool:
    """Whether the item is this person's to decide, now or at another time."""
    item = RequestItem.objects.filter(pk=item_id).select_related("requester", "terms").first()
    return item is not None and is_decider(person, item)


def _opens(items: Sequence[RequestItem]) -> Mapping[UUID, str]:
    """What each item opens, in words. One query."""
    counted = (
        RequestScope.objects.filter(item__in=[item.pk for item in items])
        .values("item", "permission_set_name")
        .annotate(accounts=Count("account_id"))
        .order_by("item", "permission_set_name")
    )
    sets: dict[UUID, list[str]] = {}
    for row in counted:
        accounts = f"{row['accounts']} AWS account{'' if row['accounts'] == 1 else 's'}"
        sets.setdefault(row["item"], []).append(f"{row['permission_set_name']} on {accounts}")
    return {
        key: ", ".join(words[:MOST_SETS])
        + (f" and {len(words) - MOST_SETS} more" if len(words) > MOST_SETS else "")
        for key, words in sets.items()
    }
