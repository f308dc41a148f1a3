"""People whom a rule doesn't name but describes: owners of the accounts that a PIM group opens. Pure.

They are resolved when a request is made, and again by the worker that counts a decision: a description that has come
to mean other people voids what was asked under it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from policy.demands import Approvers, Demands, Stage
from policy.scope import Ask


def resolve(demands: Demands, ask: Ask) -> Demands:
    """The demands with every description replaced by the people it means for this request.

    Accounts of different owners need each owner's word: nobody opens another one's account. An account without an
    owner whom the directory knows leaves its stage to nobody, and so the request can't be made.
    """
    return replace(demands, stages=tuple(each for stage in demands.stages for each in _resolved(stage, ask)))


def _resolved(stage: Stage, ask: Ask) -> Iterable[Stage]:
    approvers = stage.approvers
    if not approvers.account_owner:
        return [stage]
    accounts = {
        pair.account_id: dict(pair.tags).get(approvers.account_owner, "") for pair in ask.opened or ()
    }
    owners = sorted({ask.people.get(name.strip().casefold(), "") for name in accounts.values()} or {""})
    return [
        replace(
            stage, approvers=Approvers(people=approvers.people | ({owner} - {""}), groups=approvers.groups)
        )
        for owner in owners
    ]
