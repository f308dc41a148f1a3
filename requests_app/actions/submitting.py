"""Asking for access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django_subatomic.db import savepoint, transaction, transaction_required

from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now, real_now
from base.errors import Conflict, Denied, DomainError, Invalid, Missing, Several
from catalog.models import AccountAssignment, Eligibility, PimGroup
from identity.models import Person
from identity.signin.proving import Proof
from policy.assurance import NOTHING
from policy.matching import Match
from policy.requestable import Requestability, requestability
from policy.terms import keep_terms
from requests_app.actions.asking import Asked, cleaned_words, mistakes
from requests_app.actions.moving import create
from requests_app.freezes.holding import freeze_for, keep_freezes_out
from requests_app.lifecycle import ItemStatus
from requests_app.models import AccessRequest, RequestItem, RequestScope
from requests_app.selectors import MOST_ITEMS, extendable_grant
from requests_app.stepping_up import proof_fields, proven
from requests_app.texts import clean_reference
from requests_app.told import scope_digest
from requests_app.waivers.asking import EmergencyAsk, ask_waiver, for_emergency, obstacle, wrong_words

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
    proof: Proof | None = None,
    emergency: EmergencyAsk | None = None,
) -> UUID:
    """Make a request for one PIM group; gives its id. Judged on snapshots here, by a worker later.

    Somebody who has the access already asks for more of it: approved, it begins where the other ends.

    `wanted_start` (business time) asks for a later start than the approval. `proof` is what the requester's session
    has proven. `emergency` asks to go without an approval.

    Raises:
        Missing: no such group, or no eligibility for it; deliberately the same.
        StepUpWanted: nothing is wrong with it but the sign-in, which a rule wants to prove more.
        Invalid: a refusal that belongs to a field (Several: to more than one), or a group that can't be asked for now.
        Conflict: the same is pending already, too much is pending, or an incident has frozen it; for an emergency, an
            earlier one that is not reviewed blocks it.
        Denied: the rules let this person use no emergency here.
    """
    try:
        return submit_items(
            requester_id=requester_id,
            wanted=[Wanted(group_object_id, duration)],
            justification=justification,
            reference=reference,
            actor=actor,
            wanted_start=wanted_start,
            proof=proof,
            emergency=emergency,
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
    proof: Proof | None = None,
    emergency: EmergencyAsk | None = None,
) -> UUID:
    """Make one request for several PIM groups, all of them or none; gives its id. Otherwise as `submit_request`.

    Raises:
        Missing: one of the groups isn't there, or not for this person; deliberately the same.
        ItemsRefused: some can't be asked for so, or now; each is named with its reason.
        StepUpWanted: nothing is wrong with it but the sign-in, which a rule wants to prove more.
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
            parts.append(_judge(requester, each, justification, reference, wanted_start, now, emergency))
        except (Invalid, Conflict, Denied) as error:
            refusals[each.group_object_id] = error
    if refusals:
        raise ItemsRefused(refusals)
    wants = [part.judged.demands.step_up.ask for part in parts if part.judged.demands]
    kept = proven(NOTHING.with_(wants), proof, requester)
    with transaction():
        _alone_with(requester)
        _check_room(requester, len(parts))
        keep_freezes_out()
        request = _make_request(requester, parts, actor, kept)
        # In one order, so that two asks for the same wait for each other and never in a circle.
        for part in sorted(parts, key=lambda part: part.group.pk):
            try:
                with savepoint():  # the others are judged all the same, so that each refusal is told
                    _add(request, part, actor, wanted_start, emergency)
            except (Invalid, Conflict, Denied) as error:
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
    emergency: EmergencyAsk | None,
) -> _Part:
    group = PimGroup.objects.filter(object_id=wanted.group_object_id).first()
    eligibilities = list(Eligibility.objects.filter(person=requester, group=group)) if group else []
    if group is None or not eligibilities:
        raise Missing("group.missing", "There is no such PIM group, or you are not eligible for it.")
    held = extendable_grant(requester, group, wanted_start)
    judged = requestability(
        requester, group, eligibilities, now=now, undecided=emergency is not None, lengthens=held is not None
    )
    _check_judgement(judged)
    if emergency:
        if error := obstacle(requester, judged.demands, drill=emergency.drill):
            raise error
        judged = for_emergency(judged)
    asked = Asked(wanted.duration, wanted_start, justification, reference)
    found = mistakes(judged, group, asked, held=held)
    if emergency and (wrong := wrong_words(emergency)):
        found.insert(0, wrong)
    if found:
        raise found[0] if len(found) == 1 else Several(found)
    return _Part(
        group=group,
        judged=judged.match,
        duration=wanted.duration,
        words=cleaned_words(justification),
        reference=clean_reference(reference),
    )


def _add(
    request: AccessRequest,
    part: _Part,
    actor: Actor,
    wanted_start: datetime | None,
    emergency: EmergencyAsk | None,
) -> None:
    if frozen := freeze_for(request.requester, part.group):
        raise Conflict("request.frozen", frozen.sentence)
    scope = _read_scope(part.group)
    item = _make_item(request, part.group, part.judged, part.duration, scope, actor, wanted_start)
    ask_waiver(item, emergency, actor)


def _check_judgement(judged: Requestability) -> None:
    if judged.refusals or judged.demands is None:
        sentences = " ".join(refusal.sentence for refusal in judged.refusals)
        raise Invalid(judged.refusals[0].code if judged.refusals else "rule.none", sentences)


@transaction_required
def _alone_with(requester: Person) -> None:
    """Nobody else asks in this person's name before this transaction ends: what is counted after this stays true.

    The first lock of whoever asks, and nobody who holds another waits for it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"asking:{requester.object_id}"]
        )


def _check_room(requester: Person, more: int) -> None:
    waiting = RequestItem.objects.filter(requester=requester, status=ItemStatus.PENDING).count()
    if waiting + more > MOST_PENDING:
        raise Conflict(
            "item.too_many",
            f"You have {waiting} requests that wait for a decision, and {MOST_PENDING} may. Withdraw one before you "
            "ask for more.",
        )


def _make_request(
    requester: Person, parts: Sequence[_Part], actor: Actor, proof: dict[str, Any] | None
) -> AccessRequest:
    words, reference = parts[0].words, parts[0].reference  # the same words, as each rule has let them pass
    request = AccessRequest.objects.create(
        requester=requester,
        justification=words,
        reference=reference,
        item_count=len(parts),
        created_at=business_now(),
        created_real_at=real_now(),
        proof=proof,
    )
    record(
        "request.submitted",
        actor=actor,
        subject=Subject("request", request.pk, request.version),
        fields={"reference": reference, "items": len(parts), **proof_fields(proof)},
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
    opened = [
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
    ]
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
            "scope_digest": scope_digest(opened),
            "accounts": len({row.account_id for row in scope}),
            "permission_sets": len({row.permission_set_id for row in scope}),
            "lapses_at": item.lapses_at,
        },
    )
    RequestScope.objects.bulk_create(opened)
    return item
