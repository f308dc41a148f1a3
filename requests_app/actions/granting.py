"""Approving an item: what has to hold in the clouds now, the window that it gets, and the grant that follows.

Whether enough approvers have agreed (`deciding`), or nobody has to (`requests_app.waivers`), is settled before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django_subatomic.db import transaction_required

from audit.ledger.recorder import Actor
from base.clock import business_now
from base.words import duration_words
from clients.registry import clients
from policy.asking import manager_described, read_ask, requester_groups_named
from policy.matching import current_versions, match
from policy.models import RuleVersion
from policy.terms import stands
from requests_app.actions import checking
from requests_app.actions.extending import extend, lock_open_windows
from requests_app.actions.moving import create, move
from requests_app.lifecycle import GrantStatus, ItemStatus
from requests_app.models import Grant, GrantInterval, RequestItem
from requests_app.shortening import shortest_time


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an approved window must keep to, as just read: the eligibility's end, and PIM's longest assignment."""

    ends_by: datetime | None = None
    longest: timedelta | None = None
    approval_in_pim: bool = False  # PIM wants the word of somebody who approves


UNBOUNDED = Bounds()


def check_item(
    item: RequestItem, given: timedelta, *, decided_by: frozenset[str] = frozenset()
) -> tuple[str, Bounds]:
    """A sentence when the item may not be approved for so long, else ""; and what its window must keep to.

    `decided_by` are the marks of whoever approves it: none may be the requester's as the directory says now.
    Asks the clouds: raises ClientError when one can't be read.
    """
    requester = checking.fresh_person(item.requester.object_id)
    if requester is None or not requester.enabled:
        return "The requester's account is disabled or gone in Entra.", UNBOUNDED
    if checking.marks_now(requester) & decided_by:
        return checking.OWN, UNBOUNDED
    eligibility = checking.fresh_eligibility(item.requester.object_id, item.group.object_id)
    if not eligibility.held:
        return "The requester is no longer eligible for this PIM group.", UNBOUNDED
    policy = clients().pim.group_policy(item.group.object_id).value
    if demand := checking.unenforced_demands(policy, item):
        return demand, UNBOUNDED
    if unfit := _rule_no_longer_fits(item, given):
        return unfit, UNBOUNDED
    longest = min(filter(None, (policy.activation_maximum, policy.assignment_maximum)))
    if given > longest:
        return (
            f"The PIM policy of this group now allows only {duration_words(longest)}. Approve it for that or less.",
            UNBOUNDED,
        )
    if obstacle := checking.provisioning_obstacle(clients().provisioning.job().value):
        return obstacle, UNBOUNDED
    if item.group.scope_hash != item.scope_hash:
        return (
            "What this PIM group opens has changed since it was asked for. The requester has to ask again.",
            UNBOUNDED,
        )
    return "", Bounds(eligibility.ends_at, policy.assignment_maximum, policy.requires_approval)


def _rule_no_longer_fits(item: RequestItem, given: timedelta) -> str:
    """A sentence when the rules that the item names don't judge this request any more, or never did.

    The item and its terms were written by the web process; they are held against the rules here, with the
    requester's groups read afresh.
    """
    judging = current_versions()
    terms = item.terms
    asked = list(
        RuleVersion.objects.filter(pk__in=terms.versions).select_related("rule").order_by("rule__name")
    )
    named = requester_groups_named([*judging, *asked])
    groups = checking.fresh_groups_of(item.requester.object_id, named)
    described = manager_described([*judging, *asked])
    manager = checking.fresh_manager(item.requester.object_id) if described else ""
    now, before = (
        match(
            replace(
                read_ask(item.requester, item.group, some, at=item.created_at, requester_groups=groups),
                manager=manager,
            ),
            some,
        )
        for some in (judging, asked)
    )
    if now.demands is None or now.rules != terms.rules:
        return "Other rules judge this PIM group now. The requester has to ask again."
    if not stands(before, terms, business_now() - item.created_at):
        return "What the rules demand of this request is something else now. The requester has to ask again."
    longest = terms.parsed.longest_duration
    if longest is not None and given > longest:
        return f"The rule allows only {duration_words(longest)}. Approve it for that or less."
    return ""


@dataclass(frozen=True, slots=True)
class Window:
    """When an item's access would begin and end, and which grant it would lengthen; `unfit` says why it can't be had."""

    starts_at: datetime
    ends_at: datetime
    earlier: Grant | None
    unfit: str


@transaction_required
def window_of(item: RequestItem, given: timedelta, bounds: Bounds) -> Window:
    """The window of a locked item that is approved now for so long. Locks the pair's open grants."""
    now = business_now()
    # The duration is kept whole: who is approved after the wanted start begins at the approval (ADR 0024).
    wanted = max(now, item.wanted_start) if item.wanted_start else now
    earlier, others = lock_open_windows(item, wanted, now)
    starts_at = max(earlier.ends_at, now) if earlier else wanted
    # More of what one has is added to it; a start that was wanted is where the asked time begins.
    until = (wanted if item.wanted_start else starts_at) + given
    until = min(until, bounds.ends_by) if bounds.ends_by else until
    unfit = _too_short(given, starts_at, until, earlier) or _unfit(earlier, starts_at, until, bounds, others)
    return Window(starts_at, until, earlier, unfit)


def _too_short(given: timedelta, starts_at: datetime, until: datetime, earlier: Grant | None) -> str:
    """A sentence when nothing can be made of so little time, else ""."""
    if until - starts_at >= shortest_time(lengthens=earlier is not None):
        return ""
    if earlier:
        return (
            "The access that the requester has lasts as long already, but for less than five minutes, or the "
            "eligibility ends with it."
        )
    least = duration_words(settings.SHORTEST_ACCESS)
    if given < settings.SHORTEST_ACCESS:
        return (
            f"New access is given for at least {least}. This is for {duration_words(given)}, and there is nothing that it "
            "would lengthen. The requester can ask again, for longer."
        )
    when = (
        f"within {least}" if starts_at <= business_now() else f"before {least} of the wanted time have passed"
    )
    return f"The eligibility ends {when}, and access is given for no less. The requester needs a longer one."


def _unfit(
    earlier: Grant | None, starts_at: datetime, until: datetime, bounds: Bounds, others: Sequence[Grant]
) -> str:
    """A sentence when the window can't be had, else ""."""
    if any(other.starts_at < until and starts_at < other.ends_at for other in others):
        return (
            "The requester has this access for a part of that time already, by another approval. They can ask for a "
            "time that doesn't overlap it."
        )
    if earlier and bounds.longest is not None and until - earlier.starts_at > bounds.longest:
        return (
            f"PIM lets one assignment of this group last {duration_words(bounds.longest)} in all, and this would make "
            "it longer. The requester can ask for less, or again once the access has ended."
        )
    return ""


@transaction_required
def give(item: RequestItem, window: Window, *, approvals: int, duration: timedelta) -> tuple[UUID, ...]:
    """Approve a locked item with this window; gives the grant that is due now."""
    close_item(item, ItemStatus.APPROVED, approvals=approvals, duration=duration)
    if window.earlier:
        extend(window.earlier, item, ends_at=window.ends_at)
        return (window.earlier.pk,)
    return (_schedule(item, business_now(), window.starts_at, window.ends_at).pk,)


@transaction_required
def close_item(item: RequestItem, status: ItemStatus, **fields: int | timedelta) -> None:
    """Move a locked item that waits for a decision to where it is settled."""
    move(
        item,
        status,
        actor=Actor.worker(),
        fields={"item_id": item.pk, "group_name": item.group.display_name, **fields},
        decided_at=business_now(),
    )


def _schedule(item: RequestItem, now: datetime, starts_at: datetime, ends_at: datetime) -> Grant:
    """The grant with its window, fixed here for good."""
    grant = Grant(
        person=item.requester,
        group=item.group,
        first_request=item.request,
        status=GrantStatus.SCHEDULED,
        starts_at=starts_at,
        ends_at=ends_at,
        longest_session=item.longest_session,
        created_at=now,
        as_person=item.group.as_person,
        next_action_at=starts_at,
    )
    create(
        grant,
        actor=Actor.worker(),
        fields={
            "group_name": item.group.display_name,
            "as_person": grant.as_person,
            "starts_at": starts_at,
            "ends_at": ends_at,
        },
    )
    GrantInterval.objects.create(grant=grant, item=item, starts_at=starts_at, ends_at=ends_at)
    return grant
