"""What operators read about rules has every field of the schema."""

from __future__ import annotations

import pytest

from policy.schema import (
    ASSURANCE,
    AUTOMATIC,
    EMERGENCY,
    ESCALATION,
    HOURS,
    NAMED,
    REVIEWERS,
    RULE,
    SCOPE,
    STAGE,
    STEP_UP,
)
from stack.running import ROOT


@pytest.mark.parametrize(
    "shape",
    [RULE, SCOPE, STAGE, ESCALATION, HOURS, NAMED, REVIEWERS, EMERGENCY, AUTOMATIC, STEP_UP, ASSURANCE],
)
def test_the_guide_describes_every_field(shape: dict[str, dict[str, dict[str, str]]]) -> None:
    guide = (ROOT / "docs" / "rules.md").read_text()
    for name, field in shape["properties"].items():
        assert f"| `{name}` | {field['description']} |" in guide, name
