"""What PIM itself demands of whoever activates a group: under this no rule goes, whatever it says. Pure.

In application mode PIM doesn't hold the portal's assignments to its activation policy, so the portal does: MFA or an
authentication context is wanted of the sign-in of whoever asks, and an approval can't be waived and is given by one of
PIM's own approvers, where PIM names them. Activated as the person, PIM sees to all of it by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

from django.conf import settings

from policy.assurance import CONTEXT, Assurance
from policy.demands import Approvers, Demands, Stage

UNNAMED = (
    "PIM demands an authentication context for this group and doesn't say which. Ask the group's owner to name it in PIM, "
    "or activate this group in Entra."
)
NO_MFA = (
    "PIM demands multifactor authentication for this group, and the portal can't see that in a sign-in. Ask an operator to "
    "set ENTRA_MFA_CONTEXT to the authentication context that demands it, or activate this group in Entra."
)
NOBODY_NAMED = Approvers(frozenset(), frozenset())


class Demanding(Protocol):
    """A PIM policy, as the catalogue keeps it or as a worker has just read it."""

    @property
    def requires_mfa(self) -> bool: ...
    @property
    def requires_approval(self) -> bool: ...
    @property
    def authentication_context(self) -> str: ...
    @property
    def approver_people(self) -> Collection[str]: ...
    @property
    def approver_groups(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class Floor:
    """What an ask under PIM's settings has to prove; whether somebody has to approve, and who counts (none: anybody)."""

    contexts: frozenset[str] = frozenset()
    approval: bool = False
    approvers: Approvers = NOBODY_NAMED


NO_FLOOR = Floor()


def floor_of(policy: Demanding, *, as_person: bool) -> Floor:
    """The floor that a group's PIM settings make. What can't be enforced at all is `obstacles`."""
    if as_person:
        return NO_FLOOR
    contexts = {policy.authentication_context} if CONTEXT.fullmatch(policy.authentication_context) else set()
    if policy.requires_mfa and settings.ENTRA_MFA_CONTEXT:
        contexts.add(settings.ENTRA_MFA_CONTEXT)
    if not policy.requires_approval:
        return Floor(frozenset(contexts))
    named = Approvers(frozenset(policy.approver_people), frozenset(policy.approver_groups))
    return Floor(frozenset(contexts), approval=True, approvers=named)


def obstacles(policy: Demanding, *, as_person: bool) -> list[tuple[str, str]]:
    """Why the portal can't enforce what PIM demands, each as a code and a sentence.

    ID tokens of version 2.0 don't say whether somebody used several factors (Microsoft's reference of ID token claims),
    so MFA is told by an authentication context that demands it.
    """
    if as_person:
        return []
    found = []
    if policy.authentication_context and not CONTEXT.fullmatch(policy.authentication_context):
        found.append(
            (
                "pim.authentication_context",
                UNNAMED,
            )
        )
    if policy.requires_mfa and not settings.ENTRA_MFA_CONTEXT:
        found.append(
            (
                "pim.mfa",
                NO_MFA,
            )
        )
    return found


def raised(demands: Demands, floor: Floor) -> Demands:
    """The demands with the floor under them: as they are wherever they are stricter already."""
    ask = demands.step_up.ask.with_([Assurance(None, floor.contexts)])
    made = replace(demands, step_up=replace(demands.step_up, ask=ask))
    if not floor.approval:
        return made
    stages = made.stages
    if floor.approvers.named and not any(_within(stage, floor.approvers) for stage in stages):
        stages = (*stages, Stage(floor.approvers, 1))
    return replace(made, stages=stages, pim_approval=True)


def under(demands: Demands, floor: Floor) -> list[str]:
    """In which ways demands would be looser than the floor, each as a sentence about PIM; none: they hold it."""
    found = []
    if missing := sorted(floor.contexts - demands.step_up.ask.contexts):
        found.append(f"PIM demands the authentication context {', '.join(missing)} of whoever activates it")
    if floor.approval and raised(demands, floor).stages != demands.stages:
        found.append("PIM demands the approval of one of its own approvers")
    return found


def unheld(terms: Demands, floor: Floor) -> list[str]:
    """As `under`, of what a request is held to: there it has to say, too, that nothing waives the approval."""
    found = under(terms, floor)
    if floor.approval and not terms.pim_approval and not found:
        found.append("PIM demands an approval that nothing waives")
    return found


def _within(stage: Stage, approvers: Approvers) -> bool:
    """Whether nobody else could decide at this stage, not even later."""
    every = stage.escalated().approvers
    return every.people <= approvers.people and every.groups <= approvers.groups and not every.described
