"""Plain factory functions: the smallest rows that the life cycle needs, made through its own doors where it has them."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta
from uuid import UUID

from django_subatomic.db import transaction

from audit.ledger.canonical import Value
from audit.ledger.recorder import Actor, Subject, record
from base.clock import business_now, real_now
from catalog.models import AccountAssignment, AwsAccount, Eligibility, PermissionSet, PimGroup
from identity.models import Person, User
from identity.signin.proving import Proof
from identity.signin.welcome import give_roles
from oversight.models import Finding, FindingKind
from policy.document import document_hash
from policy.matching import Match
from policy.models import Rule, RuleVersion, Terms
from policy.terms import keep_terms
from requests_app.actions.moving import create
from requests_app.lifecycle import DecisionStatus, GrantStatus, ItemStatus
from requests_app.models import AccessRequest, Decision, Grant, GrantInterval, RequestItem, RequestScope
from requests_app.shown import read_facts
from requests_app.stepping_up import proof_fields
from requests_app.told import scope_digest

TENANT = "6f1d2a34-0000-4000-8000-00000000aaaa"
_numbers = itertools.count(1)


def oid() -> str:
    """A fresh object id."""
    return str(uuid.uuid4())


def person(name: str = "", *, object_id: str = "", **extra: object) -> Person:
    """Somebody enabled, with every name that SCIM needs."""
    number = next(_numbers)
    name = name or f"Person {number}"
    given, _, surname = name.partition(" ")
    values: dict[str, object] = {
        "display_name": name,
        "given_name": given,
        "surname": surname or "Example",
        "user_principal_name": f"{name.lower().replace(' ', '.')}.{number}@example.com",
        "employee_id": f"E{number:05}",
        "store_user_id": oid(),
        "synced_at": business_now(),
        **extra,
    }
    return Person.objects.create(tenant_id=TENANT, object_id=object_id or oid(), **values)


def login(who: Person, *app_roles: str) -> User:
    """Their login, as a sign-in at Entra with these app roles leaves it. Runs as the web role, which is who may make one."""
    with transaction():
        user = give_roles(who, User.objects.filter(person=who).first(), app_roles)
        user.last_login = real_now()
        user.save(update_fields=["last_login"])
        return user


def pim_group(name: str = "", *, object_id: str = "", accounts: int = 2, **extra: object) -> PimGroup:
    """A requestable PIM group that opens one permission set on some accounts."""
    number = next(_numbers)
    values: dict[str, object] = {
        "display_name": name or f"AWS - Group {number}",
        "managed": True,
        "assigned_to_application": True,
        "store_group_id": oid(),
        "policy_read_at": business_now(),
        "activation_maximum": timedelta(hours=8),
        "assignment_maximum": timedelta(days=180),
        "account_count": accounts,
        "permission_set_count": 1,
        "longest_session": timedelta(hours=1),
        "scope_hash": "scope",
        "synced_at": business_now(),
        **extra,
    }
    group = PimGroup.objects.create(object_id=object_id or oid(), **values)
    permission_set = PermissionSet.objects.create(
        arn=f"arn:aws:sso:::permissionSet/ssoins-1111111111111111/ps-{number:016x}", name=f"Set{number}"
    )
    for _ in range(accounts):
        account_number = next(_numbers)
        account = AwsAccount.objects.create(
            account_id=f"{account_number:012}", name=f"account-{account_number}", state="ACTIVE"
        )
        AccountAssignment.objects.create(group=group, account=account, permission_set=permission_set)
    return group


def eligibility(who: Person, group: PimGroup, **extra: object) -> Eligibility:
    """A permanent, direct eligibility."""
    return Eligibility.objects.create(
        person=who, group=group, instance_id=f"{group.object_id}_member_{oid()}", **extra
    )


def rule(
    *approvers: Person, quorum: int = 1, groups: tuple[PimGroup, ...] = (), **more: object
) -> RuleVersion:
    """A one-stage rule with named approvers, and whatever else of a rule's fields."""
    number = next(_numbers)
    document = {
        "groups": [group.object_id for group in groups],
        "stages": [{"people": sorted(p.object_id for p in approvers), "groups": [], "quorum": quorum}],
        "shortest_justification": 10,
        "reference_required": False,
        "lapses_after": "P1D",
        **more,
    }
    made = Rule.objects.create(name=f"rule {number}")
    version = RuleVersion.objects.create(
        rule=made,
        number=1,
        document=document,
        document_hash=document_hash(document),
        created_at=real_now(),
        created_by="tests",
    )
    Rule.objects.filter(pk=made.pk).update(current=version)
    return version


def terms(version: RuleVersion) -> Terms:
    """What a request is held to that this rule alone judges."""
    return keep_terms(Match((version,), version.parsed.demands, ()))


def judging(item: RequestItem) -> RuleVersion:
    """The one rule version that an item's terms came from."""
    return RuleVersion.objects.get(pk__in=item.terms.versions)


def actor(who: Person) -> Actor:
    """The person as an actor."""
    return Actor.person(who.object_id, who.display_name)


def pending_item(
    requester: Person,
    group: PimGroup,
    version: RuleVersion,
    *,
    duration: timedelta = timedelta(hours=1),
    ago: timedelta = timedelta(0),
    lapses_after: timedelta = timedelta(days=1),
    proof: Proof | None = None,
) -> RequestItem:
    """A request that waits for a decision, since `ago`. Runs as the web role, which is who may make one."""
    now = business_now() - ago
    held_to = terms(version)
    with transaction():
        request = AccessRequest.objects.create(
            requester=requester,
            justification="Fix the stuck deployment",
            created_at=now,
            created_real_at=real_now(),
            proof=proof.as_json() if proof else None,
        )
        record(
            "request.submitted",
            actor=actor(requester),
            subject=Subject("request", request.pk, 1),
            fields={"reference": "", "items": 1, **proof_fields(request.proof)},
            words={"justification": request.justification},
            about_oid=requester.object_id,
            about_name=requester.display_name,
            request_id=request.pk,
        )
        item = RequestItem(
            request=request,
            requester=requester,
            group=group,
            duration=duration,
            status=ItemStatus.PENDING,
            terms=held_to,
            scope_hash=group.scope_hash,
            longest_session=group.longest_session or timedelta(hours=1),
            created_at=now,
            lapses_at=now + lapses_after,
        )
        opened = [
            RequestScope(
                item=item,
                account_id=assignment.account.account_id,
                account_name=assignment.account.name,
                permission_set_arn=assignment.permission_set.arn,
                permission_set_name=assignment.permission_set.name,
                session_duration=assignment.permission_set.session_duration,
                content_hash=assignment.permission_set.content_hash,
            )
            for assignment in group.account_assignments.select_related("account", "permission_set")
        ]
        create(
            item,
            actor=actor(requester),
            fields={
                "group_name": group.display_name,
                "item_id": item.pk,
                "duration": duration,
                "rule_version": str(held_to),
                "rule_hash": held_to.document_hash,
                "scope_hash": group.scope_hash,
                "scope_digest": scope_digest(opened),
                "accounts": group.account_count,
                "permission_sets": group.permission_set_count,
                "lapses_at": item.lapses_at,
            },
        )
        RequestScope.objects.bulk_create(opened)
    return item


def scheduled_grant(item: RequestItem, *, revision: int = 1) -> Grant:
    """A grant for an item, as the worker makes it (runs as the worker role); rebuilt, it has a later revision."""
    now = business_now()
    with transaction():
        grant = Grant(
            person=item.requester,
            group=item.group,
            first_request=item.request,
            status=GrantStatus.SCHEDULED,
            revision=revision,
            starts_at=now,
            ends_at=now + item.duration,
            longest_session=item.longest_session,
            created_at=now,
            next_action_at=now,
        )
        create(
            grant,
            actor=Actor.worker(),
            fields={
                "group_name": item.group.display_name,
                "as_person": grant.as_person,
                "starts_at": now,
                "ends_at": grant.ends_at,
            },
        )
        GrantInterval.objects.create(grant=grant, item=item, starts_at=now, ends_at=grant.ends_at)
    return grant


def shown(item: RequestItem) -> str:
    """What stands about an item now, as the page that it is decided on carries it."""
    rows = RequestItem.objects.select_related("request", "requester", "group", "terms")
    return read_facts(rows.get(pk=item.pk)).token


def submitted_decision(
    item: RequestItem,
    approver: Person,
    verdict: str = "approve",
    *,
    absence_id: UUID | None = None,
    proof: Proof | None = None,
    shown: str = "",
) -> UUID:
    """A decision that a worker has not checked yet. Runs as the web role."""
    with transaction():
        decision = Decision(
            item=item,
            approver=approver,
            absence_id=absence_id,
            verdict=verdict,
            stage=item.stage,
            status=DecisionStatus.SUBMITTED,
            shown=shown,
            submitted_at=business_now(),
            proof=proof.as_json() if proof else None,
        )
        fields: dict[str, Value] = {**({"shown": shown} if shown else {}), **proof_fields(decision.proof)}
        if decision.absence is not None:
            fields["instead_of_id"] = decision.absence.person.object_id
        create(
            decision,
            actor=actor(approver),
            fields={
                "item_id": item.pk,
                "verdict": verdict,
                "stage": item.stage,
                "group_name": item.group.display_name,
                **fields,
            },
        )
    return decision.pk


def finding(who: Person, group: PimGroup, kind: str = FindingKind.ORPHAN, **extra: object) -> Finding:
    """An open finding about somebody in a group, as a comparison leaves it."""
    values: dict[str, object] = {
        "principal": who.object_id,
        "principal_name": who.display_name,
        "person": who,
        "first_seen_at": business_now() - timedelta(minutes=20),
        "last_seen_at": business_now(),
        "sentence": "IAM Identity Center shows a membership that no grant explains.",
        "proposal": "Find out who made it.",
        "evidence": {"store_request_id": "abc-123"},
        **extra,
    }
    with transaction():
        row = Finding.objects.create(kind=kind, group=group, **values)
        record(
            "drift.found",
            actor=Actor.worker(),
            subject=Subject("finding", row.pk, row.version),
            fields={
                "finding_id": row.pk,
                "kind": row.kind,
                "finding": row.sentence,
                "group_name": group.display_name,
                "evidence": row.evidence,
            },
            about_oid=who.object_id,
            about_name=who.display_name,
            group_oid=group.object_id,
        )
    return row
