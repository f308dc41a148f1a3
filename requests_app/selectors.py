"""What pages read: bounded queries, rows ready to show. Who may see them is judged here, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from base.clock import business_now
from base.errors import Invalid, Missing
from base.readymade import Readymade
from catalog.models import PimGroup
from identity.absences.reading import in_whose_right, was_away
from identity.humans import is_human
from identity.models import Person
from policy.approvers import barred_as_guest
from policy.delegation import Right
from policy.models import Terms
from requests_app.deliberation.models import Attention, Remark
from requests_app.deliberation.reading import attention_to, thread
from requests_app.estimates import Hop, hop
from requests_app.favourites.marking import favourites_of
from requests_app.freezes.holding import freeze_for_item
from requests_app.freezes.models import Freeze
from requests_app.lifecycle import ENDABLE, OPEN, DecisionStatus, GrantStatus, ItemStatus
from requests_app.models import (
    AccessRequest,
    Decision,
    Grant,
    GrantInterval,
    RequestItem,
    RequestScope,
    Revocation,
)
from requests_app.narrow_path import WAITS_IN, Waiting, waiting_of
from requests_app.permissions import (
    is_decider,
    is_operator,
    may_see_item,
    may_see_request,
    revoking_as,
    rights_offered,
    words_in_right_of,
)
from requests_app.targets import due
from requests_app.waivers.models import OwedReview

PAGE = 25
# PIM groups that one request asks for at most.
MOST_ITEMS = 10
# The navigation counts no further.
MOST_COUNTED = 99
# Of each kind on the start page.
MOST_AT_HOME = 5
# Accounts times permission sets shown on a request's page at once; the count says what is cut.
MOST_SCOPE = 200

WAITING = frozenset().union(*WAITS_IN.values())
# Which part of the way a grant is on.
HOP_OF: dict[str, str] = {
    GrantStatus.SCHEDULED: "into_entra",
    GrantStatus.ACTIVATING: "into_entra",
    GrantStatus.PROVISIONING: "into_aws",
    GrantStatus.REMOVING: "out_of_entra",
    GrantStatus.DEPROVISIONING: "out_of_aws",
}
VISIBLE_GRANTS = OPEN | {GrantStatus.DRAINING}


@dataclass(frozen=True, slots=True)
class Home:
    """The start page of one person."""

    grants: Sequence[Grant]  # what they have, or what is on its way in or out
    pending: Sequence[RequestItem]  # what they wait for
    to_decide: Sequence[RequestItem]  # what waits for them, the first due first
    deciding_count: int  # of all that waits for them, up to MOST_COUNTED
    recent: Sequence[RequestItem]  # the last few, to ask for again
    favourites: Sequence[PimGroup]


@dataclass(frozen=True, slots=True)
class RequestPage:
    """One request with everything that happened to it."""

    request: AccessRequest
    item: RequestItem
    grant: Grant | None
    decisions: Sequence[Decision]
    scope: Sequence[RequestScope]
    scope_count: int
    revocation: Revocation | None  # who ended the grant, if not its holder or the clock
    is_requester: bool
    turn: Waiting | None  # while it waits for a place on the narrow path
    hop: Hop | None  # how long the part of the way takes that it is on
    may_revoke: bool  # the viewer, whatever state the grant is in
    freeze: Freeze | None  # that holds for it while it is pending
    remarks: Sequence[Remark]  # questions and answers, oldest first
    may_remark: bool  # the viewer, while it is pending: ask as somebody who decides, answer as its requester
    attention: Attention | None  # who is looking at it
    offered: Sequence[Right]  # in whose right the viewer may decide now; none: not at all
    others: Sequence[RequestItem]  # of the same request, as far as the viewer may see them
    reviews: Sequence[OwedReview]  # owed for an emergency use of it

    @property
    def may_decide(self) -> bool:
        """Now: pending, not lapsed, at a stage of theirs, no word of theirs yet."""
        return bool(self.offered)


def _items() -> QuerySet[RequestItem]:
    return RequestItem.objects.select_related(
        "request", "requester", "group", "terms", "attention__person", "waiver"
    ).defer("group__search")


def my_grants(person: Person) -> Sequence[Grant]:
    """Access the person has now, or whose end is not proven yet; newest first."""
    return list(
        Grant.objects.filter(person=person, status__in=VISIBLE_GRANTS)
        .select_related("group", "first_request")
        .prefetch_related(Prefetch("intervals", GrantInterval.objects.select_related("item__request")))
        .order_by("-created_at")[:PAGE]
    )


def extendable_grant(person: Person, group: PimGroup, wanted_start: datetime | None = None) -> Grant | None:
    """The access through the group that a request for this start (by default now) would lengthen, or None."""
    now = business_now()
    if wanted_start is not None and wanted_start > now:
        return _EXTENDABLE_THEN.first(person.pk, group.pk, now, wanted_start)
    return _EXTENDABLE.first(person.pk, group.pk, now)


def _extendable(person_id: int, group_id: int, now: datetime, *later: Q) -> QuerySet[Grant]:
    same = Grant.objects.filter(
        *later, person=person_id, group=group_id, status__in=ENDABLE, starts_at__lte=now
    )
    return same.select_related("group").order_by("-starts_at")[:1]


_EXTENDABLE = Readymade(_extendable, int, int, datetime)
_EXTENDABLE_THEN = Readymade(
    lambda person_id, group_id, now, start: _extendable(person_id, group_id, now, Q(ends_at__gte=start)),
    int,
    int,
    datetime,
    datetime,
)


def home(person: Person) -> Home:
    """Everything on the start page, in a handful of bounded queries."""
    own = _items().filter(requester=person)
    first_due, waiting_in_all = first_of(waits_for(person), limit=MOST_AT_HOME)
    return Home(
        grants=my_grants(person),
        pending=list(own.filter(status=ItemStatus.PENDING).order_by("-created_at")[:PAGE]),
        to_decide=first_due,
        deciding_count=waiting_in_all,
        recent=list(own.exclude(status=ItemStatus.PENDING).order_by("-created_at")[:MOST_AT_HOME]),
        favourites=favourites_of(person),
    )


def my_requests(
    person: Person, *, before: datetime | None = None, limit: int = PAGE
) -> Sequence[RequestItem]:
    """The person's own items, newest first, keyset-paged by creation."""
    rows = _items().filter(requester=person).prefetch_related("interval__grant")
    if before is not None:
        rows = rows.filter(created_at__lt=before)
    return list(rows.order_by("-created_at")[:limit])


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits for somebody, not read yet: `theirs` they may decide on; all of those are among `at_their_stages`."""

    theirs: QuerySet[RequestItem]
    at_their_stages: QuerySet[RequestItem]
    for_others: bool  # False: it is known that they stand in for nobody now


def inbox(
    waits: Waits, *, after: tuple[datetime, UUID] | None = None, limit: int = PAGE
) -> Sequence[RequestItem]:
    """Of what waits for somebody (`waits_for`), the first due first. Four queries at most.

    `after` is the place of the last one before: by when it is due (`targets.due_at`), and its id.
    """
    return _rows_of(_first_due(waits, after=after, limit=limit))


def first_of(waits: Waits, *, limit: int) -> tuple[Sequence[RequestItem], int]:
    """The beginning of the `inbox`, and the `waiting_count`. Four queries at most."""
    keys = _first_due(waits, limit=MOST_COUNTED)
    return _rows_of(keys[:limit]), len(keys)


def _first_due(waits: Waits, *, limit: int, after: tuple[datetime, UUID] | None = None) -> list[UUID]:
    """The keys alone. What a page shows of each is looked up for those on it only (`_rows_of`).

    Thousands may wait, and nearly everything at somebody's stages is theirs: whether it is, which costs a look at the
    words on each, is asked of the first ones only. They suffice, unless half of them aren't.
    """
    nearest = _keys(waits.at_their_stages, after, 2 * limit)
    found = _keys(waits.theirs.filter(pk__in=nearest), None, limit) if nearest else []
    if len(found) < limit and len(nearest) == 2 * limit:
        return _keys(waits.theirs, after, limit)
    return found


def _keys(items: QuerySet[RequestItem], after: tuple[datetime, UUID] | None, limit: int) -> list[UUID]:
    rows = items.annotate(due=due()).order_by("due", "pk")
    if after is not None:
        rows = rows.filter(Q(due__gt=after[0]) | Q(due=after[0], pk__gt=after[1]))
    return list(rows.values_list("pk", flat=True)[:limit])


def _rows_of(keys: Sequence[UUID]) -> Sequence[RequestItem]:
    """The items of these keys, in their order. No query without any.

    By keys that are known by then: as a subquery beside so many joins (`join_collapse_limit`), Postgres would join
    everything that was ever asked for first.
    """
    found = {item.pk: item for item in _items().filter(pk__in=keys)} if keys else {}
    terms: dict[int, Terms] = {}
    for item in found.values():  # few different ones, each of which is read out of its document once
        item.terms = terms.setdefault(item.terms_id, item.terms)
    return [found[key] for key in keys if key in found]


def waiting_count(waits: Waits) -> int:
    """How many items wait for somebody (`waits_for`), counted up to MOST_COUNTED. One query."""
    return waits.theirs[:MOST_COUNTED].count()


def to_decide(person: Person) -> QuerySet[RequestItem]:
    """What this person may decide on now and hasn't yet: the items for which `permissions.can_decide` holds.

    Two queries, and one when it is read.
    """
    return waits_for(person).theirs


def waits_for(person: Person) -> Waits:
    """What this person may decide on now and hasn't yet.

    Items share their terms: the stages that name the person, or somebody for whom they stand in, are found first, then
    the items at those stages. Never one's own, by any account, and no item twice in one right. Two queries.
    """
    now, nothing = business_now(), RequestItem.objects.none()
    if not person.enabled:
        return Waits(nothing, nothing, for_others=False)
    standing = Decision.objects.filter(item=OuterRef("pk")).exclude(status=DecisionStatus.REFUSED)
    pending = list(
        Terms.objects.filter(pk__in=RequestItem.objects.filter(status=ItemStatus.PENDING).values("terms"))
    )
    named, theirs = Q(), Q()
    rights = in_whose_right(person, now) if pending else ()
    for whose, groups in rights:
        at_those = Q()
        for terms, numbers in _stages_naming(whose, groups, pending).items():
            at_those |= Q(terms=terms, stage__in=numbers)
        if at_those:
            named |= at_those
            theirs |= at_those & _free(person, whose, standing)
    for_others = len(rights) != 1
    if not theirs:
        return Waits(nothing, nothing, for_others)
    open_now = _items().filter(status=ItemStatus.PENDING, lapses_at__gt=now)
    rows = open_now.filter(theirs).exclude(waiver__drill=True).exclude(is_human(person, "requester"))
    return Waits(rows, open_now.filter(named), for_others)


def _free(person: Person, whose: Person, standing: QuerySet[Decision]) -> Q:
    """Items on which this person has no word yet, nor anybody in the right of `whose`, who didn't ask for them either."""
    used = ~Q(Exists(standing.filter(words_in_right_of(whose))))
    if whose.pk == person.pk:
        return used  # every word of one's own uses one's own right
    spoken = standing.filter(is_human(person, "approver"))
    return used & ~Q(Exists(spoken)) & ~is_human(whose, "requester")


def _stages_naming(person: Person, groups: frozenset[str], pending: Sequence[Terms]) -> dict[int, list[int]]:
    """The stages of these terms that name this person or one of these groups of theirs, by terms."""
    named: dict[int, list[int]] = {}
    if not person.enabled:
        return named
    for terms in pending:
        if barred_as_guest(person, guests=terms.parsed.guests_decide):
            continue
        for number, stage in enumerate(terms.parsed.stages):
            if person.object_id in stage.approvers.people or groups & stage.approvers.groups:
                named.setdefault(terms.pk, []).append(number)
    return named


def own_items(person: Person, request_id: UUID) -> Sequence[RequestItem]:
    """What this person asked for in an earlier request of theirs; nothing of anybody else's."""
    return list(
        _items()
        .filter(request_id=request_id, requester=person)
        .order_by("group__display_name", "pk")[:MOST_ITEMS]
    )


def request_items(person: Person, request_id: UUID, *, overseer: bool = False) -> Sequence[RequestItem]:
    """What was asked for in a request, as far as this person may see it: at least one item.

    Raises:
        Missing: absent, or not theirs to see; deliberately the same.
    """
    request = AccessRequest.objects.select_related("requester").filter(pk=request_id).first()
    if request is None or not may_see_request(person, request, overseer=overseer):
        raise Missing("request.missing", "There is no such request, or it is not yours to see.")
    items = list(_items().filter(request=request).order_by("group__display_name", "pk")[:MOST_ITEMS])
    if request.item_count > 1 and not overseer and request.requester_id != person.pk:
        items = [item for item in items if may_see_item(person, item)]
    if not items:
        raise Missing("request.missing", "There is no such request, or it is not yours to see.")
    return items


def request_page(person: Person, items: Sequence[RequestItem], *, item_id: UUID | None = None) -> RequestPage:
    """The page of one of these items of a request (`request_items`); by default of its only one.

    Raises:
        Missing: `item_id` names none of them.
        Invalid: the request has several items, and none is named.
    """
    if item_id is None and items[0].request.item_count > 1:
        raise Invalid(
            "request.which", "This request asks for several PIM groups. Open the one that you mean first."
        )
    item = next((each for each in items if item_id in (None, each.pk)), None)
    if item is None:
        raise Missing("request.missing", "There is no such request, or it is not yours to see.")
    others = [each for each in items if each != item]
    asks = item.requester_id == person.pk or item.status != ItemStatus.PENDING
    return _page(person, item, others, may_remark=asks or is_decider(person, item))


def decision_page(person: Person, item_id: UUID) -> RequestPage:
    """What an approver sees of one item.

    Raises:
        Missing: absent, one's own, or not theirs to decide.
    """
    item = _items().filter(pk=item_id).first()
    decides = item is not None and is_decider(person, item)
    if item is None or not (decides or item.decisions.filter(approver=person).exists()):
        raise Missing("item.missing", "There is no such request, or it is not yours to decide.")
    others: Sequence[RequestItem] = []
    if item.request.item_count > 1:
        siblings = (
            _items().filter(request=item.request_id).exclude(pk=item.pk).order_by("group__display_name", "pk")
        )
        others = [each for each in siblings[:MOST_ITEMS] if may_see_item(person, each)]
    return _page(person, item, others, may_remark=decides or item.requester_id == person.pk)


def _page(
    person: Person, item: RequestItem, others: Sequence[RequestItem], *, may_remark: bool
) -> RequestPage:
    """`may_remark`: the viewer asked for it or may decide on it, which lets them ask and answer while it is pending."""
    request = item.request
    scope = RequestScope.objects.filter(item=item).order_by("permission_set_name", "account_name")
    rows = list(scope[: MOST_SCOPE + 1])
    grant = _grant_of(item)
    decisions = list(
        item.decisions.select_related("approver", "absence__person")
        .annotate(while_away=was_away("approver", "submitted_at"))
        .order_by("submitted_at")
    )
    return RequestPage(
        request=request,
        item=item,
        grant=grant,
        revocation=getattr(grant, "revocation", None),
        may_revoke=grant is not None
        and grant.status in ENDABLE
        and revoking_as(person, grant, operator=is_operator(person)) != "",
        decisions=decisions,
        scope=rows[:MOST_SCOPE],
        scope_count=len(rows) if len(rows) <= MOST_SCOPE else scope.count(),
        is_requester=request.requester_id == person.pk,
        turn=waiting_of(grant) if grant and grant.status in WAITING else None,
        hop=hop(HOP_OF[grant.status]) if grant and grant.status in HOP_OF else None,
        freeze=freeze_for_item(item) if item.status == ItemStatus.PENDING else None,
        remarks=thread(item),
        may_remark=may_remark and item.status == ItemStatus.PENDING,
        attention=attention_to(item),
        offered=rights_offered(person, item, decisions),
        others=others,
        reviews=_reviews_of(item),
    )


def _grant_of(item: RequestItem) -> Grant | None:
    """The access that the item stands for. No query while it is pending: nothing is granted before."""
    if item.status == ItemStatus.PENDING:
        return None
    rows = Grant.objects.filter(intervals__item=item).select_related("group", "person", "revocation__by")
    return rows.order_by("pk").first()


def _reviews_of(item: RequestItem) -> Sequence[OwedReview]:
    """No query where nothing was used in an emergency."""
    waiver = getattr(item, "waiver", None)
    if waiver is None or not waiver.emergency:
        return ()
    return list(waiver.reviews.select_related("reviewed_by").order_by("panel"))
