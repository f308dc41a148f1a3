"""docs/lifecycle.md from the table, so that it can't rot: `make check` compares the two."""

from __future__ import annotations

from requests_app.lifecycle import HOLDING, MACHINES, MAY_HOLD_ACCESS, TERMINAL, Machine

_TITLES = {
    "item": "Item: what was asked for",
    "decision": "Decision: one approver's word",
    "waiver": "Waiver: an ask to go without an approval",
    "grant": "Grant: access in the world",
}


def lifecycle_markdown() -> str:
    """The whole page."""
    parts = [
        "# The life cycle\n",
        "Made by `manage.py lifecycle` from `requests_app/lifecycle.py`; change that, then run `make fix`.\n",
    ]
    for machine in MACHINES:
        parts += [f"## {_TITLES[machine.subject]}\n", _diagram(machine), _table(machine)]
    parts += [
        "## Sets of grant statuses\n",
        _statuses("May hold access", MAY_HOLD_ACCESS),
        _statuses("Nothing more is owed", TERMINAL),
        _statuses("One at a time per person and PIM group", HOLDING),
    ]
    return "\n".join(parts)


def _diagram(machine: Machine) -> str:
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    {edge.source or '[*]'} --> {edge.target}" for edge in machine.edges]
    left = {edge.source for edge in machine.edges}
    lines += [f"    {status} --> [*]" for status in machine.statuses.values if status not in left]
    return "\n".join([*lines, "```\n"])


def _table(machine: Machine) -> str:
    rows = ["| from | to | moved by | audit event |", "|---|---|---|---|"]
    for edge in machine.edges:
        movers = ", ".join(sorted(edge.by))
        rows.append(f"| {edge.source or 'new'} | {edge.target} | {movers} | `{edge.event}` |")
    return "\n".join(rows) + "\n"


def _statuses(title: str, statuses: frozenset[str]) -> str:
    return f"- **{title}**: {', '.join(sorted(statuses))}"
