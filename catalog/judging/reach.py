"""What a role's policies allow together, as sets of actions: everywhere, on named resources, under conditions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catalog.judging.actions import ActionTable, action_table
from catalog.judging.documents import Statement


@dataclass(frozen=True, slots=True)
class Reach:
    """Three sets of actions (bits of the action table) that don't overlap, the widest first."""

    wide: int = 0  # on all resources, without a condition
    named: int = 0  # on resources that the policy names
    conditional: int = 0  # under conditions, or with exceptions that are denied

    @property
    def all(self) -> int:
        return self.wide | self.named | self.conditional

    def within(self, boundary: Reach) -> Reach:
        """What is left under a permissions boundary: only what both allow, and only as wide as both do."""
        wide = self.wide & boundary.wide
        named = (self.wide | self.named) & (boundary.wide | boundary.named) & ~wide
        return Reach(wide, named, self.all & boundary.all & ~wide & ~named)


def reach_of(statements: Iterable[Statement], table: ActionTable | None = None) -> Reach:
    """What these statements, taken together as one role's identity policies, allow. A denial wins over every Allow."""
    table = table or action_table()
    wide = named = conditional = denied = excepted = 0
    for each in statements:
        bits = _matched(each, table)
        limited = each.conditional or each.named_resources
        if not each.allows:
            denied |= 0 if limited else bits
            excepted |= bits if limited else 0
        elif each.conditional:
            conditional |= bits
        elif each.named_resources:
            named |= bits
        else:
            wide |= bits
    conditional |= excepted & (wide | named)
    wide &= ~denied & ~excepted
    named &= ~denied & ~excepted & ~wide
    return Reach(wide, named, conditional & ~denied & ~wide & ~named)


def _matched(statement: Statement, table: ActionTable) -> int:
    bits = 0
    for pattern in statement.actions:
        bits |= table.matching(pattern)
    return table.everything & ~bits if statement.everything_but else bits


def strangers_in(statements: Sequence[Statement], table: ActionTable | None = None) -> tuple[str, ...]:
    """Entries that statements allow by name and the table doesn't know: newer than it, or misspelt."""
    table = table or action_table()
    named = {
        pattern for each in statements if each.allows and not each.everything_but for pattern in each.actions
    }
    return tuple(sorted(pattern for pattern in named if not table.matching(pattern)))
