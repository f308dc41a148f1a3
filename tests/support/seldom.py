"""Parameters that only the proofs try."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def seldom[Value](values: Iterable[Value], unless: Callable[[Value], bool]) -> list[Any]:
    """The values (tuples where a test takes several) as parameters for `pytest.mark.parametrize`: in every run those for
    which `unless` holds, the others with the proofs, where there is time for all.
    """
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            marks=() if unless(value) else pytest.mark.proof,
        )
        for value in values
    ]
