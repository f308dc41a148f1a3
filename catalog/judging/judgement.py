"""A permission set judged: what it allows, what of that is dangerous, and what couldn't be known.

Pure, and done by a worker when the content or what it names has changed; pages read the stored result. A permission
set becomes one role in each account, so its policies are taken together and its boundary limits all of them. Policies of
the organisation (service control policies), of resources and of sessions aren't looked at: they can only be said to
limit further, or to open one resource to everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from catalog.judging.dangers import Finding, find_dangers
from catalog.judging.documents import Statement, read_policy
from catalog.judging.reach import Reach, reach_of, strangers_in

# A judgement with more unknown names than this is compared with nothing.
MOST_STRANGERS = 400


class Unknown(StrEnum):
    """Why a judgement isn't all there is to say."""

    MANAGED = "managed"  # an AWS managed policy that couldn't be read
    CUSTOMER = "customer"  # a policy kept in each account, which Identity Center only names
    INLINE = "inline"  # an inline policy that isn't one
    BOUNDARY = "boundary"  # a permissions boundary that couldn't be read


@dataclass(frozen=True, slots=True)
class Content:
    """What of a permission set is judged. Policies by ARN; a boundary by ARN, or by path and name in each account."""

    managed: Sequence[str] = ()
    customer_managed: Sequence[str] = ()  # names
    inline: str = ""
    boundary: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgement. `unknown` pairs a reason with the name of what isn't known."""

    reach: Reach
    findings: tuple[Finding, ...]
    unknown: tuple[tuple[Unknown, str], ...]
    strangers: tuple[str, ...]  # entries allowed by name that the table of actions doesn't have
    bounded: bool  # whether a permissions boundary limits it

    @property
    def complete(self) -> bool:
        """Whether it can be compared with another."""
        return not self.unknown and len(self.strangers) <= MOST_STRANGERS


def judge(content: Content, documents: Mapping[str, str]) -> Judged:
    """Judge it with the documents of the AWS managed policies that could be read, JSON text by ARN."""
    statements: list[Statement] = []
    unknown: list[tuple[Unknown, str]] = []
    for arn in content.managed:
        found = _read(documents.get(arn, ""))
        statements.extend(found or ())
        if found is None:
            unknown.append((Unknown.MANAGED, _name(arn)))
    if content.inline.strip():
        inline = _read(content.inline)
        statements.extend(inline or ())
        if inline is None:
            unknown.append((Unknown.INLINE, ""))
    unknown.extend((Unknown.CUSTOMER, name) for name in content.customer_managed)
    reach = reach_of(statements)
    if content.boundary:
        limits = _read(documents.get(content.boundary, ""))
        if limits is None:
            unknown.append((Unknown.BOUNDARY, _name(content.boundary)))
        else:
            reach = reach.within(reach_of(limits))
    strangers = strangers_in(statements)
    return Judged(reach, find_dangers(reach), tuple(unknown), strangers, bool(content.boundary))


def _read(text: str) -> tuple[Statement, ...] | None:
    try:
        return read_policy(text) if text else None
    except ValueError:
        return None


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]
