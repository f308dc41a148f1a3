"""May *this person*? Judged from snapshots on pages; a worker asks again before a decision counts.

Whether a group can be asked for at all, now, is `policy.requestable`.
"""

from __future__ import annotations

from base.clock import business_now
from base.errors import Conflict, Denied, Missing
from identity.models import Person, User
from policy.approvers import is_human, may_decide, same_human
from requests_app.lifecycle import DecisionStatus, ItemStatus
from requests_app.models import AccessRequest, Grant, RequestItem


def is_decider(person: Person, item: RequestItem) -> bool:
    """Whether the item's rule, at any of its stages, lets this person decide on it."""
    document = item.terms.parsed
    return any(may_decide(person, document, stage, item.requester) for stage in range(len(document.stages)))


def may_see_request(person: Person, request: AccessRequest, *, overseer: bool) -> bool:
    """Its requester, those who may decide on it, and auditors and operators."""
    if overseer or request.requester_id == person.pk:
        return True
    items = request.items.select_related("requester", "terms")
    return any(may_see_item(person, item) for item in items)


def may_see_item(person: Person, item: RequestItem) -> bool:
    """Those who may decide on it, and who have: of a request with several items, each sees those."""
    return is_decider(person, item) or item.decisions.filter(approver=person).exists()


def has_decided(person: Person, item: RequestItem) -> bool:
    """Whether this human, by any account and at any stage, has a word on the item that stands or may come to."""
    standing = item.decisions.exclude(status=DecisionStatus.REFUSED)
    return standing.filter(is_human(person, "approver")).exists()


def check_may_decide(person: Person, item: RequestItem) -> None:
    """Whether this person may decide on this pending item at its stage.

    Raises:
        Denied: one's own request, or another stage's.
        Missing: not this person's to decide.
        Conflict: this human has decided already.
    """
    if same_human(person, item.requester):
        raise Denied("decision.own_request", "Nobody decides on their own request. Another approver has to.")
    if not person.enabled or not is_decider(person, item):
        raise Missing("item.missing", "There is no such request, or it is not yours.")
    if not may_decide(person, item.terms.parsed, item.stage, item.requester):
        raise Denied("decision.other_stage", "Other approvers decide at this stage of the request.")
    if item.status == ItemStatus.PENDING and has_decided(person, item):
        raise Conflict(
            "decision.exists",
            "You have already decided on this request, and one person decides once on it, whatever the account "
            "or the stage. Your decision is being checked or was counted.",
        )


def check_may_remark(person: Person, item: RequestItem) -> None:
    """Whether this person may ask about the item or answer: its requester, and who decides on it at any stage.

    Raises:
        Missing: neither.
    """
    if item.requester_id != person.pk and not is_decider(person, item):
        raise Missing("item.missing", "There is no such request, or it is not yours.")


def can_decide(person: Person, item: RequestItem) -> bool:
    """Whether a decision by this person would be taken now: what a page offers and the inbox lists."""
    open_now = item.status == ItemStatus.PENDING and business_now() < item.lapses_at
    return (
        open_now
        and may_decide(person, item.terms.parsed, item.stage, item.requester)
        and not has_decided(person, item)
    )


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
