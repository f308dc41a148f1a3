"""The AWS managed policies that permission sets name: which version holds, once a day, and its document when it is new.

One that can't be read is said to be unknown on pages, and keeps nobody from asking: IAM may be out of the worker's reach
or permission for good. What was read before stays, and is tried again with the next run.
"""

from __future__ import annotations

from collections.abc import Sequence

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from catalog.models import ManagedPolicy, PermissionSet
from catalog.sync.intervals import MANAGED_POLICIES_FRESH_FOR
from catalog.sync.work import Fetched, Work
from clients.errors import NotFound, Unreachable
from clients.registry import clients

PER_STEP = 8
# AWS's own limit for a managed policy is 6,144 characters, but its own go beyond 150,000.
LONGEST_DOCUMENT = 500_000
TOO_LONG = "This policy is longer than the portal reads, so what it allows is not known."


def read_managed_policies(work: Work) -> bool:
    """Read the next few that are due; True when none is left."""
    if "policies" not in work.cursor:
        work.cursor["policies"] = _due()
    waiting: list[str] = work.cursor["policies"]
    some, rest = waiting[:PER_STEP], waiting[PER_STEP:]
    try:
        _read(work, some)
    except Unreachable as error:
        _note_problem(waiting, error.sentence)
        rest = []
    work.cursor["policies"] = rest
    return not rest


def _due() -> list[str]:
    named: set[str] = set()
    sets = PermissionSet.objects.filter(present=True).values_list("managed_policies", "permissions_boundary")
    for policies, boundary in sets:
        named |= {arn for arn in (*(str(each["arn"]) for each in policies), boundary) if is_aws_managed(arn)}
    fresh = ManagedPolicy.objects.filter(
        problem="", read_at__gt=real_now() - MANAGED_POLICIES_FRESH_FOR
    ).values_list("arn", flat=True)
    return sorted(named.difference(fresh))


def is_aws_managed(arn: str) -> bool:
    """Whether a policy's ARN is one of AWS's own, which are the same in every account of a partition."""
    return arn.startswith("arn:") and arn.split(":")[4:5] == ["aws"]


def _read(work: Work, arns: Sequence[str]) -> None:
    center = clients().identity_center
    known = dict(ManagedPolicy.objects.filter(arn__in=arns).values_list("arn", "version"))
    found = work.fetch_each(arns, center.managed_policy_version)
    versions = {each.item: each.value for each in found if each.value is not None}
    new = [arn for arn, version in versions.items() if known.get(arn) != version]
    documents = work.fetch_each(new, lambda arn: center.managed_policy_document(arn, versions[arn]))
    refused: list[Fetched[str, str]] = [each for each in (*found, *documents) if each.error is not None]
    for each in refused:
        _note_refusal(each)
    for document in documents:
        if document.value is not None:
            _write(
                document.item, versions[document.item], document.value, before=known.get(document.item, "")
            )
            work.changes["managed_policies"] += 1
    done = set(versions) - {each.item for each in refused} - set(new)
    ManagedPolicy.objects.filter(arn__in=done).exclude(document="").update(read_at=real_now(), problem="")


def _write(arn: str, version: str, document: str, *, before: str) -> None:
    fits = len(document) <= LONGEST_DOCUMENT
    with transaction():
        ManagedPolicy.objects.update_or_create(
            arn=arn,
            defaults={
                "version": version,
                "document": document if fits else "",
                "read_at": real_now(),
                "problem": "" if fits else TOO_LONG,
            },
        )
        if before:
            record(
                "catalog.managed_policy_changed",
                actor=Actor.worker(),
                fields={"name": arn.rpartition("/")[2], "arn": arn, "before": before, "after": version},
            )


def _note_refusal(refused: Fetched[str, str]) -> None:
    """One that AWS doesn't have any more allows nothing that could be known; another refusal leaves what was read."""
    if isinstance(refused.error, NotFound):
        ManagedPolicy.objects.filter(arn=refused.item).update(version="", document="")
    if refused.error is not None:
        _note_problem([refused.item], refused.error.sentence)


def _note_problem(arns: Sequence[str], sentence: str) -> None:
    rows = [ManagedPolicy(arn=arn, problem=sentence) for arn in arns]
    ManagedPolicy.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["arn"], update_fields=["problem"]
    )
