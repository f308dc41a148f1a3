"""Asking for access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now, real_now
from base.errors import Conflict, DomainError, Invalid, Missing
from base.words import duration_words
from catalog.models import AccountAssignment, Eligibility, PimGroup
from identity.models import Person
from policy.demands import Demands
from policy.fields import fits
from policy.matching import Match
from policy.requestable import Requestability, requestability
from policy.terms import keep_terms
from requests_app.actions.moving import create
from requests_app.freezes.holding import freeze_for, keep_freezes_out
from requests_app.lifecycle import ItemStatus
from requests_app.models import AccessRequest, Grant, RequestItem, RequestScope
from requests_app.selectors import MOST_ITEMS, extendable_grant
from requests_app.texts import clean_reference, clean_words

LONGEST_JUSTIFICATION = 2000
# More open requests than this by one person is an accident or an attack.
MOST_PENDING = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """One PIM group of an ask, and for how long."""

    group_object_id: str
    duration: timedelta


class ItemsRefused(DomainError):
    """Some of what was asked for can't be had, each with its reason; nothing was asked for."""

    status = 422

    def __init__(self, refusals: Mapping[str, DomainError]) -> None:
        super().__init__("items.refused", " ".join(error.sentence for error in refusals.values()))
        self.refusals = refusals  # by the group's object id


@dataclass(frozen=True, slots=True)
class _Part:
    """One PIM group as it was judged."""

    group: PimGroup
    judged: Match
    duration: timedelta
    words: str
    reference: str


def submit_request(
    *,
    requester_id: int,
    group_object_id: str,
    duration: timedelta,
    justification: str,
    reference: str,
    actor: Actor,
    wanted_start: datetime | None = None,
) -> UUID:
    """Make a request for one PIM group; gives its id. Judged on snapshots here, by a worker later.

    Somebody who has the access already asks for more of it: approved, it begins where the other ends.

    `wanted_start` (business time) asks for a later start than the approval.

    Raises:
        Missing: no such group, or no eligibility for it; deliberately the same.
        Invalid: a refusal that belongs to a field, or a group that can't be asked for now.
        Conflict: the same is pending already, too much is pending, or an incident has frozen it.
    """
    try:
        return submit_items(
            requester_id=requester_id,
            wanted=[Wanted(group_object_id, duration)],
            justification=justification,
            reference=reference,
            actor=actor,
            wanted_start=wanted_start,
        )
    except ItemsRefused as refused:
        raise refused.refusals[group_object_id] from refused


def submit_items(
    *,
    requester_id: int,
    wanted: Sequence[Wanted],
    justification: str,
    reference: str,
    actor: Actor,
    wanted_start: datetime | None = None,
) -> UUID:
    """Make one request for several PIM groups, all of them or none; gives its id. Otherwise as `submit_request`.

    Raises:
        Missing: one of the groups isn't there, or not for this person; deliberately the same.
        ItemsRefused: some can't be asked for so, or now; each is named with its reason.
        Invalid: none, too many, or one of them twice.
        Conflict: too much is pending.
    """
    now = business_now()
    requester = Person.objects.get(pk=requester_id)
    if not 1 <= len(wanted) <= MOST_ITEMS:
        raise Invalid("items.number", f"Between 1 and {MOST_ITEMS} PIM groups can be asked for together.")
    if len({each.group_object_id for each in wanted}) < len(wanted):
        raise Invalid(
            "items.twice", "The same PIM group is there twice. Ask for it once, for as long as you need it."
        )
    parts, refusals = [], {}
    for each in wanted:
        try:
            parts.append(_judge(requester, each, justification, reference, wanted_start, now))
        except (Invalid, Conflict) as error:
            refusals[each.group_object_id] = error
    if refusals:
        raise ItemsRefused(refusals)
    with transaction():
        _check_room(requester, len(parts))
        keep_freezes_out()
        request = _make_request(requester, parts, actor)
        # In one order, so that two asks for the same wait for each other and never in a circle.
        for part in sorted(parts, key=lambda part: part.group.pk):
            try:
                _add(request, part, actor, wanted_start)
            except (Invalid, Conflict) as error:
                refusals[part.group.object_id] = error
        if refusals:
            raise ItemsRefused(refusals)
    return request.pk


def _judge(
    requester: Person,
    wanted: Wanted,
    justification: str,
    reference: str,
    wanted_start: datetime | None,
    now: datetime,
) -> _Part:
    group = PimGroup.objects.filter(object_id=wanted.group_object_id).first()
    eligibilities = list(Eligibility.objects.filter(person=requester, group=group)) if group else []
    if group is None or not eligibilities:
        raise Missing("group.missing", "There is no such PIM group, or you are not eligible for it.")
    judged = requestability(requester, group, eligibilities, now=now)
    demands = _check_judgement(judged)
    _check_duration(wanted.duration, judged)
    _check_start(wanted_start, now, judged)
    _check_extension(wanted.duration, judged, extendable_grant(requester, group, wanted_start))
    return _Part(
        group=group,
        judged=judged.match,
        duration=wanted.duration,
        words=_check_justification(justification, demands),
        reference=_check_reference(reference, demands, group),
    )


def _add(request: AccessRequest, part: _Part, actor: Actor, wanted_start: datetime | None) -> None:
    if frozen := freeze_for(request.requester, part.group):
        raise Conflict("request.frozen", frozen.sentence)
    scope = _read_scope(part.group)
    _make_item(request, part.group, part.judged, part.duration, scope, actor, wanted_start)


def _check_judgement(judged: Requestability) -> Demands:
    if judged.refusals or judged.demands is None:
        sentences = " ".join(refusal.sentence for refusal in judged.refusals)
        raise Invalid(judged.refusals[0].code if judged.refusals else "rule.none", sentences)
    return judged.demands


def _check_duration(duration: timedelta, judged: Requestability) -> None:
    if duration < settings.PIM_MINIMUM:
        raise Invalid(
            "duration.short", "PIM assigns at least five minutes. Choose a longer time.", field="duration"
        )
    if judged.longest is not None and duration > judged.longest:
        raise Invalid(
            "duration.long",
            f"At most {duration_words(judged.longest)} can be asked for here. Choose a shorter time.",
            field="duration",
        )


def _check_start(wanted: datetime | None, now: datetime, judged: Requestability) -> None:
    if wanted is None:
        return
    if wanted <= now:
        raise Invalid(
            "start.past",
            "This time is over. Choose a later one, or leave it empty to start once it is approved.",
            field="start",
        )
    if wanted > now + settings.LATEST_START:
        raise Invalid(
            "start.far",
            f"At most {settings.LATEST_START.days} days ahead. Choose an earlier start, or ask again nearer to it.",
            field="start",
        )
    if judged.ends_by is not None and judged.ends_by - wanted < settings.PIM_MINIMUM:
        raise Invalid(
            "start.not_eligible",
            "Your eligibility ends before that. Choose an earlier start, or ask for a longer eligibility.",
            field="start",
        )


def _check_extension(duration: timedelta, judged: Requestability, held: Grant | None) -> None:
    """What is asked for would lengthen access that the person has: it must fit together with that."""
    if held is None:
        return
    begins = max(held.ends_at, business_now())
    if judged.ends_by is not None and judged.ends_by - begins < settings.PIM_MINIMUM:
        raise Invalid(
            "extension.eligibility",
            "Your eligibility ends with the access that you have, so nothing can be added. Ask the group's owner.",
            field="duration",
        )
    total, longest = begins + duration - held.starts_at, held.group.assignment_maximum
    if longest is not None and total > longest:
        raise Invalid(
            "extension.long",
            f"PIM lets one assignment of this group last {duration_words(longest)} in all, and this would make "
            f"{duration_words(total)}. Choose a shorter time, or ask again once your access has ended.",
            field="duration",
        )


def _check_justification(justification: str, demands: Demands) -> str:
    words = clean_words(justification, longest=LONGEST_JUSTIFICATION, field="justification")
    shortest = max(demands.shortest_justification, 1)
    if len(words) < shortest:
        raise Invalid(
            "justification.short",
            f"Say what you need the access for, in at least {shortest} characters: approvers and auditors read it.",
            field="justification",
        )
    for pattern in demands.justification_patterns:
        if not fits(pattern, words):
            raise Invalid(
                "justification.pattern",
                f"The rule for this group wants the justification to fit the pattern {pattern}.",
                field="justification",
            )
    return words


def _check_reference(reference: str, demands: Demands, group: PimGroup) -> str:
    cleaned = clean_reference(reference)
    if group.ticket_demanded and not cleaned:
        raise Invalid(
            "reference.missing",
            "PIM asks for a reference for this group (a ticket number), such as INC0012345.",
            field="reference",
        )
    if demands.reference_required and not cleaned:
        raise Invalid(
            "reference.missing",
            "The rule for this group asks for a reference, such as INC0012345.",
            field="reference",
        )
    for pattern in demands.reference_patterns if cleaned else ():
        if not fits(pattern, cleaned):
            raise Invalid(
                "reference.pattern",
                f"The rule for this group wants references that fit the pattern {pattern}.",
                field="reference",
            )
    return cleaned


def _check_room(requester: Person, more: int) -> None:
    waiting = RequestItem.objects.filter(requester=requester, status=ItemStatus.PENDING).count()
    if waiting + more > MOST_PENDING:
        raise Conflict(
            "item.too_many",
            f"You have {waiting} requests that wait for a decision, and {MOST_PENDING} may. Withdraw one before you "
            "ask for more.",
        )


def _make_request(requester: Person, parts: Sequence[_Part], actor: Actor) -> AccessRequest:
    words, reference = parts[0].words, parts[0].reference  # the same words, as each rule has let them pass
    request = AccessRequest.objects.create(
        requester=requester,
        justification=words,
        reference=reference,
        item_count=len(parts),
        created_at=business_now(),
        created_real_at=real_now(),
    )
    record(
        "request.submitted",
        actor=actor,
        subject=Subject("request", request.pk, request.version),
        fields={"reference": reference, "items": len(parts)},
        words={"justification": words},
        about_oid=requester.object_id,
        about_name=requester.display_name,
        request_id=request.pk,
    )
    return request


def _read_scope(group: PimGroup) -> list[AccountAssignment]:
    """What the group opens, as it was judged.

    Catalogue sync may commit between any two reads here. The hash is read last: when it is still
    the one that was judged, the rows before it are its own.
    """
    scope = list(
        AccountAssignment.objects.filter(group=group)
        .select_related("account", "permission_set")
        .order_by("pk")
    )
    unchanged = PimGroup.objects.filter(pk=group.pk, scope_hash=group.scope_hash).exists()
    if not scope or not unchanged:
        raise Invalid(
            "group.changing",
            "What this PIM group opens has changed just now. Look at what it opens now, then ask again.",
        )
    return scope


def _make_item(
    request: AccessRequest,
    group: PimGroup,
    judged: Match,
    duration: timedelta,
    scope: list[AccountAssignment],
    actor: Actor,
    wanted_start: datetime | None,
) -> RequestItem:
    terms = keep_terms(judged)
    item = RequestItem(
        request=request,
        requester=request.requester,
        group=group,
        duration=duration,
        wanted_start=wanted_start,
        status=ItemStatus.PENDING,
        terms=terms,
        scope_hash=group.scope_hash,
        longest_session=max(row.permission_set.session_duration for row in scope),
        created_at=request.created_at,
        lapses_at=request.created_at + terms.parsed.lapses_after,
        chase_at=request.created_at + chase if (chase := terms.parsed.next_chase(timedelta(0))) else None,
    )
    create(
        item,
        actor=actor,
        fields={
            "item_id": item.pk,
            "group_name": group.display_name,
            "duration": duration,
            "wanted_start": wanted_start,
            "rule_version": str(terms),
            "rule_hash": terms.document_hash,
            "scope_hash": group.scope_hash,
            "accounts": len({row.account_id for row in scope}),
            "permission_sets": len({row.permission_set_id for row in scope}),
            "lapses_at": item.lapses_at,
        },
    )
    RequestScope.objects.bulk_create(
        RequestScope(
            item=item,
            account_id=row.account.account_id,
            account_name=row.account.name,
            permission_set_arn=row.permission_set.arn,
            permission_set_name=row.permission_set.name,
            session_duration=row.permission_set.session_duration,
            content_hash=row.permission_set.content_hash,
        )
        for row in scope
    )
    return item
