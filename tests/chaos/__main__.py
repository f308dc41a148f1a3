"""`python -m tests.chaos`: one run, its report on the screen and in .state/chaos/; exit code 1 when it isn't sound."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime

from stack.private import private_dir
from tests.chaos.run import ROOT, Plan, report, run


def main() -> int:
    """Run it as the environment says; the folder keeps the logs, the report and the notes of what people did."""
    folder = private_dir(ROOT / ".state" / "chaos" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}")
    result = run(Plan.read(os.environ), folder / "stack")
    text = report(result)
    (folder / "report.txt").write_text(text + "\n")
    with (folder / "history.jsonl").open("w") as file:
        file.writelines(json.dumps(asdict(action)) + "\n" for action in result.history.actions)
    print(f"\n{text}\n\nkept in {folder}")
    return 0 if result.sound else 1


if __name__ == "__main__":
    sys.exit(main())
