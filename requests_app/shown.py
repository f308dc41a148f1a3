"""What somebody decides on, as marks: a decision names those of the page it was made on, and holds only while they stand.

Three of them: the request itself with its stage, the rule that judges its PIM group now, and what the group opens now,
contents of permission sets included. A page carries them, the action compares them, and so does the worker (ADR 0033).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, Q

from base.clock import business_now
from catalog.models import AccountAssignment
from policy.asking import read_ask, read_asks
from policy.matching import Match, current_versions, match
from policy.terms import stands, terms_of
from requests_app.models import RequestItem, RequestScope
from requests_app.rule_words import demand_sentences, names_in

# Differences named one by one; more are only said to be there.
MOST_NAMED = 5
AGAIN = "Look at it as it is now, then decide again."


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands now. `marks` are in a fixed order; `token` is how a form and a decision carry them."""

    item: RequestItem
    judging: Match

    @property
    def marks(self) -> tuple[str, str, str]:
        rule = terms_of(self.judging).document_hash if self.judging.demands else self.judging.words
        return _mark(_ask(self.item, self.item.stage)), _mark(rule), _mark(self.item.group.scope_hash)

    @property
    def as_asked(self) -> bool:
        """Whether rules and group are what they were when it was asked for."""
        item = self.item
        return (
            stands(self.judging, item.terms, business_now() - item.created_at)
            and item.group.scope_hash == item.scope_hash
        )

    @property
    def token(self) -> str:
        return ".".join(self.marks)

    def changed(self, token: str) -> str:
        """What of it is another than when `token` was made, in sentences; "" when nothing is."""
        before = token.split(".")
        if len(before) != len(self.marks):
            return "This page didn't say what it had shown."
        ask, rule, opens = (old != new for old, new in zip(before, self.marks, strict=True))
        sentences = (
            (ask, "The request has moved to another stage."),
            (rule, self.rule_words),
            (opens, "What this PIM group opens has changed."),
        )
        return " ".join(sentence for changed, sentence in sentences if changed)

    @property
    def rule_words(self) -> str:
        """Which rules judge now, against those by which the request is judged."""
        if self.judging.demands is None:
            return self.judging.words
        now, asked = terms_of(self.judging), self.item.terms
        if now.rules != asked.rules:
            return f"Other rules judge this PIM group now: {now.rule_words}."
        if now.versions != asked.versions:
            return f"The rules have changed: now it is {now.rule_words}."
        return "Who decides by the rules is others than when it was asked for."


def _ask(item: RequestItem, stage: int) -> tuple[object, ...]:
    """The request itself, as it stands, at one of its stages."""
    return (
        item.pk,
        item.requester_id,
        item.duration,
        item.wanted_start,
        item.request.justification,
        item.request.reference,
        item.terms_id,
        item.scope_hash,
        stage,
    )


def _mark(fact: object) -> str:
    return hashlib.sha256(repr(fact).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of what a page showed to whoever decided on it: `mark` is of what stood there, `same` as in the rows now."""

    name: str
    mark: str
    same: bool
    otherwise: str  # why it may differ, in words

    @property
    def words(self) -> str:
        return "as it stands here" if self.same else self.otherwise


def what_was_shown(token: str, item: RequestItem, stage: int) -> Sequence[Part]:
    """What a decision's `token` says that its page showed, beside what the item's own rows say. No query.

    Nothing where the decision carries no such marks. A part that isn't the same is no proof of anything: words are
    erased when their time is over, and rules and scope may have been others by then, which the worker judges.
    """
    marks = token.split(".")
    kept = (_mark(_ask(item, stage)), _mark(item.terms.document_hash), _mark(item.scope_hash))
    if len(marks) != len(kept):
        return ()
    return [
        Part(name, mark, mark == now, otherwise)
        for (name, otherwise), mark, now in zip(_PARTS, marks, kept, strict=True)
    ]


_PARTS = (
    ("The request with its reason", "not the same any more: its words were erased or altered since"),
    ("Who decides by the rules", "other than when it was asked for: the rules had changed"),
    ("What it opens", "other than when it was asked for: the PIM group had changed"),
)


def read_facts(item: RequestItem) -> Facts:
    """What stands now, of an item read with request, requester, group and terms. Five queries at most."""
    versions = current_versions()
    return Facts(item, match(read_ask(item.requester, item.group, versions, at=item.created_at), versions))


def read_all_facts(items: Iterable[RequestItem]) -> list[Facts]:
    """What stands now, of each of several items read as for `read_facts`. Five queries at most for all of them."""
    versions, several = current_versions(), list(items)
    asks = read_asks([(item.requester, item.group, item.created_at) for item in several], versions)
    return [Facts(item, match(ask, versions)) for item, ask in zip(several, asks, strict=True)]


def since_asked(facts: Facts) -> Sequence[str]:
    """What differs from what was asked for, in sentences for whoever decides. Five queries; none when nothing differs."""
    return [*_rule_since(facts), *_opens_since(facts.item)]


def _rule_since(facts: Facts) -> list[str]:
    demands, asked = facts.judging.demands, facts.item.terms
    if stands(facts.judging, asked, business_now() - facts.item.created_at):
        return []
    now = terms_of(facts.judging) if demands is not None else None
    if demands is None or now is None or now.rules != asked.rules or now.versions == asked.versions:
        return [f"{facts.rule_words} An approval doesn't count any more: the requester has to ask again."]
    names = names_in([demands, asked.parsed])
    before = demand_sentences(asked.parsed, names)
    new = [sentence for sentence in demand_sentences(demands, names) if sentence not in before]
    says = f" They say now: {' '.join(new)}" if new else ""
    return [f"{facts.rule_words} This request is judged by {asked.rule_words}.{says}"]


def _opens_since(item: RequestItem) -> list[str]:
    group = item.group
    if group.scope_hash == item.scope_hash:
        return []
    asked, opened = RequestScope.objects.filter(item=item), AccountAssignment.objects.filter(group=group)
    same = asked.filter(
        account_id=OuterRef("account__account_id"), permission_set_arn=OuterRef("permission_set__arn")
    )
    rows = opened.select_related("account", "permission_set").order_by(
        "permission_set__name", "account__name"
    )
    added = [
        f"{row.permission_set.name} on {row.account.name}"
        for row in rows.exclude(Exists(same))[: MOST_NAMED + 1]
    ]
    still = opened.filter(
        account__account_id=OuterRef("account_id"), permission_set__arn=OuterRef("permission_set_arn")
    )
    gone = [
        f"{row.permission_set_name} on {row.account_name}"
        for row in asked.exclude(Exists(still)).order_by("permission_set_name", "account_name")[
            : MOST_NAMED + 1
        ]
    ]
    other = same.exclude(content_hash="").filter(
        ~Q(content_hash=OuterRef("permission_set__content_hash"))
        | ~Q(session_duration=OuterRef("permission_set__session_duration"))
    )
    altered = list(
        opened.filter(Exists(other))
        .order_by("permission_set__name")
        .values_list(F("permission_set__name"), flat=True)
        .distinct()[: MOST_NAMED + 1]
    )
    told = [
        f"{words}: {_named(found)}."
        for words, found in (
            ("The PIM group opens what was not asked for", added),
            ("It doesn't open any more", gone),
            ("The contents are others in", altered),
        )
        if found
    ]
    told = told or ["What a permission set of this PIM group allows has changed since it was asked for."]
    return [*told, "An approval doesn't count any more: the requester has to ask again."]


def _named(found: Sequence[str]) -> str:
    return ", ".join(found[:MOST_NAMED]) + (" and more" if len(found) > MOST_NAMED else "")
