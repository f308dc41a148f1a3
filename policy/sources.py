"""People whom a rule doesn't name but describes: owners of accounts, the requester's manager, whoever is on call. Pure.

They are resolved when a request is made, and again by the worker that counts a decision: a description that has come
to mean other people voids what was asked under it. Who is on call is whoever was when it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from policy.demands import Approvers, Demands, Stage
from policy.scope import Ask


def resolve(demands: Demands, ask: Ask) -> Demands:
    """The demands with every description replaced by the people it means for this request.

    Accounts of different owners need each owner's word: nobody opens another one's account. A description that means
    nobody whom the directory knows leaves its stage to those who are named there, or to nobody, and then the request
    can't be made.
    """
    return replace(demands, stages=tuple(each for stage in demands.stages for each in _resolved(stage, ask)))


def _resolved(stage: Stage, ask: Ask) -> Iterable[Stage]:
    approvers = stage.approvers
    if not approvers.described:
        return [stage]
    people, unknown, read = set(approvers.people), list[str](), list[datetime | None]()
    if approvers.manager:
        people |= {ask.manager} - {""}
        unknown += [ask.no_manager] if not ask.manager else []
        read.append(ask.manager_read_at)
    if approvers.on_call:
        found = ask.on_call.get(approvers.on_call)
        people |= found.people if found else set()
        read.append(found.read_at if found else None)
        unknown += [found.problem if found else f"who is on call for {approvers.on_call} has never been read"]
    owners = _owners(approvers.account_owner, ask) if approvers.account_owner else [""]
    if approvers.account_owner and owners == [""]:
        unknown.append("an account has no owner whom the portal knows")
    words = "; ".join(each for each in unknown if each)
    return [
        replace(
            stage,
            approvers=Approvers(
                frozenset(people | ({owner} - {""})),
                approvers.groups,
                unknown=words,
                read_at=min((each for each in read if each is not None), default=None),
            ),
        )
        for owner in owners
    ]


def _owners(tag: str, ask: Ask) -> list[str]:
    """Object ids of the accounts' owners; "" among them for an account without one who is known."""
    accounts = {pair.account_id: dict(pair.tags).get(tag, "") for pair in ask.opened or ()}
    return sorted({ask.people.get(name.strip().casefold(), "") for name in accounts.values()} or {""})
