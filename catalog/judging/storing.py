"""Judgements as rows: made anew when what they were made of has changed, and read back for pages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from django_subatomic.db import transaction

from base.clock import business_now
from catalog.judging.actions import action_table
from catalog.judging.dangers import BY_KEY, DANGERS, Finding, Hedge
from catalog.judging.judgement import MOST_STRANGERS, Content, Judged, Unknown, judge
from catalog.judging.reach import Reach
from catalog.models import Judgement, ManagedPolicy, PermissionSet

# To be raised with every change of how judging goes, so that what is stored is judged anew.
METHOD = 1


def judge_sets(rows: list[PermissionSet]) -> int:
    """Bring the judgements of these permission sets up to date; how many had to be made. Three queries and one each."""
    contents = {row.pk: _content(row) for row in rows}
    wanted = {arn for each in contents.values() for arn in (*each.managed, each.boundary) if arn}
    policies = {each.arn: each for each in ManagedPolicy.objects.filter(arn__in=wanted)}
    known = dict(Judgement.objects.filter(permission_set__in=rows).values_list("permission_set_id", "basis"))
    made = 0
    for row in rows:
        basis = _basis(row.content_hash, contents[row.pk], policies)
        if known.get(row.pk) != basis:
            _write(
                row, basis, judge(contents[row.pk], {arn: each.document for arn, each in policies.items()})
            )
            made += 1
    return made


def _content(row: PermissionSet) -> Content:
    return Content(
        managed=[str(each["arn"]) for each in row.managed_policies],
        customer_managed=[str(each["name"]) for each in row.customer_managed_policies],
        inline=row.inline_policy,
        boundary=row.permissions_boundary,
    )


def _basis(content_hash: str, content: Content, policies: Mapping[str, ManagedPolicy]) -> str:
    arns = [arn for arn in (*content.managed, content.boundary) if arn in policies]
    facts = [
        _version(),
        content_hash,
        [list(content.managed), list(content.customer_managed), content.inline, content.boundary],
        [[arn, policies[arn].version, bool(policies[arn].document)] for arn in arns],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@lru_cache(maxsize=1)
def _version() -> str:
    text = f"{METHOD} {action_table().version} {DANGERS!r}"
    return hashlib.sha256(text.encode()).hexdigest()


def _write(row: PermissionSet, basis: str, judged: Judged) -> None:
    table = action_table()
    size = (table.count + 7) // 8
    with transaction():
        Judgement.objects.update_or_create(
            permission_set=row,
            defaults={
                "basis": basis,
                "content_hash": row.content_hash,
                "actions": table.version,
                "wide": judged.reach.wide.to_bytes(size, "little"),
                "named": judged.reach.named.to_bytes(size, "little"),
                "conditional": judged.reach.conditional.to_bytes(size, "little"),
                "findings": [
                    {
                        "danger": each.danger.key,
                        "ways": list(each.ways),
                        "more": each.more,
                        "hedge": each.hedge.value,
                    }
                    for each in judged.findings
                ],
                "unknown": [[reason.value, name] for reason, name in judged.unknown],
                "strangers": list(judged.strangers[: MOST_STRANGERS + 1]),
                "bounded": judged.bounded,
                "judged_at": business_now(),
            },
        )


def read_judgement(row: Judgement) -> Judged | None:
    """A stored judgement; None when it was made with another release's table, so that it can't be read any more."""
    if row.actions != action_table().version:
        return None
    reach = Reach(*(int.from_bytes(bytes(each), "little") for each in (row.wide, row.named, row.conditional)))
    return Judged(
        reach=reach,
        findings=tuple(found for each in row.findings if (found := _finding(each)) is not None),
        unknown=tuple((Unknown(reason), str(name)) for reason, name in row.unknown),
        strangers=tuple(str(each) for each in row.strangers),
        bounded=row.bounded,
    )


def _finding(stored: Mapping[str, Any]) -> Finding | None:
    danger = BY_KEY.get(str(stored["danger"]))
    if danger is None:
        return None
    ways = tuple(str(each) for each in stored["ways"])
    return Finding(danger, ways, int(stored["more"]), Hedge(stored["hedge"]))
