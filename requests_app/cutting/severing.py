"""The severer: brings one prepared policy of AWS up to the rows that it stands for, and proves it by reading back.

Each pass reads the document. When our statements in it are what they should be (and, for an inline policy, have been
carried to the accounts), the rows count as denied; else it is written once, and the next pass reads again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now
from base.crash import crash_point, register
from catalog.models import AwsAccount, OrganizationalUnit, PermissionSet
from clients import cutters, errors
from clients.types import ProgressCode, Receipt
from requests_app.actions.attempts import outcome_of
from requests_app.cutting import documents, leasing
from requests_app.cutting.documents import Denial, Fitted, UnreadableDocument
from requests_app.cutting.leasing import Claim, Lost
from requests_app.cutting.models import Severance, SeveringPlace
from requests_app.cutting.places import INLINE, SCP
from requests_app.cutting.planning import plan, tell

log = structlog.get_logger(__name__)

register("severing.looked", "severing.intent_recorded", "severing.answered", "severing.before_settle")

# How often (business time) a document that is as it should be is looked at again: somebody may change it.
CHECK_EVERY = timedelta(minutes=10)
PROGRESS_EVERY = timedelta(seconds=3)  # real time, while AWS carries a permission set to its accounts


@dataclass(frozen=True, slots=True)
class _Seen:
    """What AWS holds at a place, and whom it binds: None, every account that has the permission set."""

    text: str
    receipt: Receipt
    targets: frozenset[str] | None = None
    owner: str = ""  # the management account, which no service control policy binds


def owed() -> list[UUID]:
    """The places that owe work, after planning anew."""
    plan()
    return leasing.owed(SeveringPlace)


def sever(*, place_id: UUID) -> bool:
    """Do what one place owes; False when nothing was due. Harmless when repeated."""
    claim = leasing.claim(SeveringPlace, place_id)
    if claim is None:
        return False
    try:
        _bring_up(claim)
    except Lost:
        log.warning("lease_lost", severing_place=claim.row.key)
    except UnreadableDocument as error:
        _postpone(claim, str(error), leasing.LONGEST_BACK_OFF)
    except errors.ClientError as error:
        wait = (
            error.retry_after if isinstance(error, errors.Throttled) else leasing.back_off(claim.row.failures)
        )
        _postpone(claim, error.sentence, wait)
    return True


def _bring_up(claim: Claim[SeveringPlace]) -> None:
    place = claim.row
    seen = _look(place.key)
    crash_point("severing.looked")
    rows = _live(place)
    wanted = _fit(place.key, seen.text, rows)
    _refuse(claim, rows, wanted)
    mark = documents.fingerprint(wanted.statements)
    if documents.fingerprint(documents.ours_in(seen.text)) != mark:
        _note_lost(claim, rows, mark)
        _write(claim, wanted, mark)
    elif place.key.startswith(SCP) or place.confirmed_hash == mark:
        _confirm(claim, rows, wanted, mark, seen)
    else:
        _carry(claim, rows, wanted, mark, seen)


def _live(place: SeveringPlace) -> list[Severance]:
    rows = Severance.objects.filter(place=place, lifted_at=None).select_related(
        "grant__group", "person", "place"
    )
    return list(rows.order_by("created_at"))


def _look(key: str) -> _Seen:
    port = cutters.denials()
    if key.startswith(SCP):
        policy_id = key.removeprefix(SCP)
        policy = port.service_control_policy(policy_id)
        targets = port.policy_targets(policy_id).value
        return _Seen(policy.value.content, policy.receipt, targets, policy.value.owner_account_id)
    inline = port.inline_policy(key.removeprefix(f"{INLINE}:"))
    return _Seen(inline.value, inline.receipt)


def _fit(key: str, text: str, rows: list[Severance]) -> Fitted:
    denials = [
        Denial(
            row.pk, row.store_user_id, row.account_id, row.permission_set_name, row.cut_before, row.created_at
        )
        for row in rows
    ]
    scp = key.startswith(SCP)
    names = set(PermissionSet.objects.values_list("name", flat=True)) if rows else set()
    return documents.fitted(
        text,
        denials,
        size=len if scp else lambda document: len("".join(document.split())),
        most=settings.SEVERING_POLICY_SIZE if scp else settings.SEVERING_INLINE_SIZE,
        all_names=names,
    )


def _refuse(claim: Claim[SeveringPlace], rows: list[Severance], wanted: Fitted) -> None:
    """Say loudly what there is no room for, once; and take it back when there is."""
    left_out = {each.id for each in wanted.refused}
    fresh = [row for row in rows if row.pk in left_out and row.refused_at is None]
    fits = [row.pk for row in rows if row.pk not in left_out and row.refused_at is not None]
    if not fresh and not fits:
        return
    with leasing.settle(claim):
        Severance.objects.filter(pk__in=fits).update(refused_at=None)
        for row in fresh:
            log.error("severance_refused", place=row.place.key, grant=str(row.grant_id))
            Severance.objects.filter(pk=row.pk).update(refused_at=business_now(), confirmed_at=None)
            tell("severance.refused", row, place=row.place.key)


def _note_lost(claim: Claim[SeveringPlace], rows: list[Severance], mark: str) -> None:
    """Somebody else took away what was read back before and is still wanted as it was."""
    lost = [row for row in rows if row.confirmed_at is not None and claim.row.confirmed_hash == mark]
    if not lost:
        return
    log.error("severance_lost", place=claim.row.key, denials=len(lost))
    with leasing.settle(claim) as place:
        leasing.note(place, confirmed_hash="", written_hash="")
        for row in lost:
            Severance.objects.filter(pk=row.pk).update(confirmed_at=None)
            tell("severance.lost", row)


# ------------------------------------------------------------ writing


def _write(claim: Claim[SeveringPlace], wanted: Fitted, mark: str) -> None:
    call_id, key = str(uuid4()), claim.row.key
    with leasing.settle(claim) as place:
        leasing.note(place, written_hash=mark, provisioning_id="")
        _record(
            "severing.sent",
            client_request_id=call_id,
            place=key,
            statements=len(wanted.statements),
            document_hash=mark,
        )
    crash_point("severing.intent_recorded")
    if not claim.may_call():
        raise Lost(key)
    port, error, receipt = cutters.denials(), None, Receipt(client_request_id=call_id)
    try:
        if key.startswith(SCP):
            answer = port.put_service_control_policy(
                key.removeprefix(SCP), wanted.document, client_request_id=call_id
            )
        else:
            answer = port.put_inline_policy(
                key.removeprefix(f"{INLINE}:"), wanted.document, client_request_id=call_id
            )
        receipt = answer.receipt
    except errors.ClientError as raised:
        error, receipt = raised, raised.receipt or receipt
    crash_point("severing.answered")
    with transaction():
        _record(
            "severing.answered",
            client_request_id=call_id,
            place=key,
            outcome=outcome_of(error).label.lower(),
            vendor_request_id=receipt.vendor_request_id,
            code=error.code if error else "",
            answer=error.sentence if error else "",
        )
    if error is not None:
        raise error
    with leasing.settle(claim) as place:
        leasing.rest(place, until=business_now(), problem="")  # the next pass reads it back


def _carry(
    claim: Claim[SeveringPlace], rows: list[Severance], wanted: Fitted, mark: str, seen: _Seen
) -> None:
    """An inline policy acts only once it was carried to the accounts: start that, and follow it."""
    port, place = cutters.denials(), claim.row
    arn = place.key.removeprefix(f"{INLINE}:")
    if place.provisioning_id and place.written_hash == mark:
        try:
            progress = port.provisioning_progress(place.provisioning_id).value
        except errors.NotFound:
            progress = port.provision_permission_set(arn, client_request_id=str(uuid4())).value
    else:
        progress = port.provision_permission_set(arn, client_request_id=str(uuid4())).value
    match progress.code:
        case ProgressCode.DONE:
            _confirm(claim, rows, wanted, mark, seen)
        case ProgressCode.RUNNING:
            with leasing.settle(claim) as row:
                leasing.rest(
                    row,
                    until=business_now(),
                    retry_in=PROGRESS_EVERY,
                    provisioning_id=progress.vendor_id,
                    written_hash=mark,
                )
        case ProgressCode.FAILED:
            with leasing.settle(claim) as row:
                leasing.note(row, provisioning_id="")
            _postpone(
                claim,
                f"AWS could not carry the policy to the accounts: {progress.reason or 'no reason given'}.",
                leasing.back_off(place.failures),
            )


# ------------------------------------------------------------ proving


def _confirm(
    claim: Claim[SeveringPlace], rows: list[Severance], wanted: Fitted, mark: str, seen: _Seen
) -> None:
    """The document was read as it should be: what it binds counts as denied from now on."""
    left_out = {each.id for each in wanted.refused}
    parents = _parents() if seen.targets is not None else {}
    bound = {row.pk: _binds(seen, row.account_id, parents) for row in rows}
    unbound = sorted({row.account_id for row in rows if not bound[row.pk]})
    crash_point("severing.before_settle")
    with leasing.settle(claim) as place:
        now = business_now()
        # What was planned since the document was put together is brought up at once.
        behind = {(row.pk, row.cut_before) for row in _live(place)} != {
            (row.pk, row.cut_before) for row in rows
        }
        for row in rows:
            if row.confirmed_at is None and bound[row.pk] and row.pk not in left_out:
                fresh = Severance.objects.filter(pk=row.pk, lifted_at=None, cut_before=row.cut_before)
                if fresh.update(confirmed_at=now):
                    tell("severance.confirmed", row, vendor_request_id=seen.receipt.vendor_request_id)
        problems = []
        if unbound:
            problems.append(
                f"The policy doesn't bind the AWS accounts {', '.join(unbound[:5])}: attach it there."
            )
        if left_out:
            problems.append(f"There is no room for {len(left_out)} denials, the oldest ones.")
        leasing.rest(
            place,
            until=now if behind else now + CHECK_EVERY if rows else None,
            confirmed_hash=mark,
            confirmed_at=now,
            provisioning_id="",
            targets=sorted(seen.targets or ()),
            problem=" ".join(problems),
        )
        if unbound:
            log.error("severing_unbound", place=place.key, accounts=unbound)


def _parents() -> Mapping[str, tuple[str, ...]]:
    """By AWS account: the units above it, up to the root, as the catalogue knows them."""
    above: dict[int | None, OrganizationalUnit] = {unit.pk: unit for unit in OrganizationalUnit.objects.all()}
    found = {}
    for account in AwsAccount.objects.only("account_id", "unit_id"):
        chain: list[str] = []
        unit = above.get(account.unit_id)
        while unit is not None and unit.unit_id not in chain:
            chain.append(unit.unit_id)
            unit = above.get(unit.parent_id)
        found[account.account_id] = tuple(chain)
    return found


def _binds(seen: _Seen, account_id: str, parents: Mapping[str, tuple[str, ...]]) -> bool:
    if seen.targets is None:
        return True
    if account_id == seen.owner:
        return False
    return bool(seen.targets & {account_id, *parents.get(account_id, ())})


def _postpone(claim: Claim[SeveringPlace], sentence: str, wait: timedelta) -> None:
    log.warning("severing_postponed", place=claim.row.key, problem=sentence)
    try:
        with leasing.settle(claim) as place:
            leasing.rest(place, until=business_now(), retry_in=wait, failed=True, problem=sentence)
    except Lost:
        log.warning("lease_lost", severing_place=claim.row.key)


def _record(event: str, **fields: str | int) -> None:
    record(event, actor=Actor.worker(), fields=fields)
