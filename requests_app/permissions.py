"""May *this person*? Judged from snapshots on pages; a worker asks again before a decision counts.

Whether a group can be asked for at all, now, is `policy.requestable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Q

from base.clock import business_now
from base.errors import Conflict, Denied, Missing
from base.readymade import Readymade
from identity.humans import is_human, same_human
from identity.models import Person, User
from policy.delegation import Right, has_right, rights
from requests_app.lifecycle import DecisionStatus, ItemStatus
from requests_app.models import AccessRequest, Decision, Grant, RequestItem


def is_decider(person: Person, item: RequestItem) -> bool:
    """Whether the item's rule, at any of its stages, lets this person decide on it, or somebody for whom they stand in."""
    demands = item.terms.parsed
    every = range(len(demands.stages))
    return has_right(person, demands, every, item.requester, at=business_now())


def may_see_request(person: Person, request: AccessRequest, *, overseer: bool) -> bool:
    """Its requester, those who may decide on it, and auditors and operators."""
    if overseer or request.requester_id == person.pk:
        return True
    items = request.items.select_related("requester", "terms")
    return any(may_see_item(person, item) for item in items)


def may_see_item(person: Person, item: RequestItem) -> bool:
    """Those who may decide on it, and who have: of a request with several items, each sees those."""
    return is_decider(person, item) or item.decisions.filter(approver=person).exists()


def words_in_right_of(person: Person) -> Q:
    """Decisions by which this human's right is used up: their own, by any account, and those of their delegates."""
    return is_human(person, "approver") | is_human(person, "absence__person")


def words_on(item: RequestItem) -> Sequence[Decision]:
    """Every decision on the item, the oldest first, with who made it and in whose right. One query."""
    return _WORDS.rows(item.pk)


_WORDS = Readymade(
    lambda item_id: (
        Decision.objects.filter(item=item_id)
        .select_related("approver", "absence__person")
        .order_by("submitted_at")
    ),
    UUID,
)


def _unused(person: Person, found: Sequence[Right], words: Iterable[Decision]) -> list[Right]:
    """Those of these rights of the person's in which nobody has a word that stands or may come to."""
    standing = [word for word in words if word.status != DecisionStatus.REFUSED]
    return [
        right
        for right in found
        if not any(_uses(word, right.person if right else person) for word in standing)
    ]


def _uses(word: Decision, whose: Person) -> bool:
    """`words_in_right_of`, of a row that was read."""
    if same_human(whose, word.approver):
        return True
    return word.absence is not None and same_human(whose, word.absence.person)


def has_decided(person: Person, words: Iterable[Decision]) -> bool:
    """Whether this human, by any account, at any stage and in whoever's right, has a word that stands or may come to."""
    return any(same_human(person, word.approver) for word in words if word.status != DecisionStatus.REFUSED)


def is_drill(item: RequestItem) -> bool:
    """Whether it goes the way of an emergency to be granted nothing. No query where it was read with its waiver."""
    waiver = getattr(item, "waiver", None)
    return waiver is not None and waiver.drill


def check_may_decide(person: Person, item: RequestItem) -> Right:
    """In whose right this person may decide on this pending item at its stage: an absence, or None for their own.

    Raises:
        Denied: one's own request, or another stage's.
        Missing: not this person's to decide.
        Conflict: this human has decided already, or somebody in the right that they would decide in.
    """
    if same_human(person, item.requester):
        raise Denied("decision.own_request", "Nobody decides on their own request. Another approver has to.")
    if not is_decider(person, item):
        raise Missing("item.missing", "There is no such request, or it is not yours.")
    here = rights(person, item.terms.parsed, [item.stage], item.requester, at=business_now())
    if not here:
        raise Denied("decision.other_stage", "Other approvers decide at this stage of the request.")
    if item.status != ItemStatus.PENDING:
        return here[0]
    if is_drill(item):
        raise Conflict("decision.drill", "This is a drill: nothing is granted, and nobody decides on it.")
    words = words_on(item)
    if has_decided(person, words):
        raise Conflict(
            "decision.exists",
            "You have already decided on this request, and one person decides once on it, whatever the account "
            "or the stage. Your decision is being checked or was counted.",
        )
    free = _unused(person, here, words)
    if not free:
        raise Conflict(
            "decision.right_used",
            "Somebody has decided in this right already: you and your delegate, or who is away and you, have one word "
            "together.",
        )
    return free[0]


def check_may_remark(person: Person, item: RequestItem) -> None:
    """Whether this person may ask about the item or answer: its requester, and who decides on it at any stage.

    Raises:
        Missing: neither.
    """
    if item.requester_id != person.pk and not is_decider(person, item):
        raise Missing("item.missing", "There is no such request, or it is not yours.")


def can_decide(person: Person, item: RequestItem) -> bool:
    """Whether a decision by this person would be taken now: what a page offers and the inbox lists."""
    return bool(rights_offered(person, item, words_on(item)))


def rights_offered(person: Person, item: RequestItem, words: Sequence[Decision]) -> Sequence[Right]:
    """In which rights a decision by this person would be taken now; the first of them is used. `words` are all on it."""
    now = business_now()
    if item.status != ItemStatus.PENDING or now >= item.lapses_at or is_drill(item):
        return ()
    if has_decided(person, words):
        return ()
    return _unused(person, rights(person, item.terms.parsed, [item.stage], item.requester, at=now), words)


def is_operator(person: Person) -> bool:
    """Whether this person's last sign-in made them an operator."""
    try:
        user = person.user
    except User.DoesNotExist:
        return False
    return user.is_active and user.is_operator


def revoking_as(person: Person, grant: Grant, *, operator: bool) -> str:
    """In which office this person may revoke the grant: "operator", "approver", or "" when they may not.

    An approver is whoever may decide under the rule of an item that the grant stands on, whether or not they did.
    """
    if not person.enabled:
        return ""
    if operator:
        return "operator"
    items = RequestItem.objects.filter(interval__grant=grant).select_related("requester", "terms")
    return "approver" if any(is_decider(person, item) for item in items) else ""


def check_may_revoke(person: Person, grant: Grant) -> str:
    """The office in which this person may revoke the grant. Raises Missing when they may not: deliberately as absent."""
    office = revoking_as(person, grant, operator=is_operator(person))
    if not office:
        raise Missing("grant.missing", "There is no such access, or it is not yours to revoke.")
    return office


def check_owns_item(person_id: int, item: RequestItem) -> None:
    """Raises Missing for anybody but the requester."""
    if item.requester_id != person_id:
        raise Missing("item.missing", "There is no such request, or it is not yours.")


def check_holds_grant(person_id: int, grant: Grant) -> None:
    """Raises Missing for anybody but the holder."""
    if grant.person_id != person_id:
        raise Missing("grant.missing", "There is no such access, or it is not yours.")
