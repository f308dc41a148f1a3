"""The documents of AWS managed policies, as moto ships them from AWS."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1)
def _documents() -> dict[str, Any]:
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    found: dict[str, Any] = json.loads(aws_managed_policies_data)
    return found


def aws_policy(name: str) -> str:
    """One AWS managed policy's document as JSON text. Raises KeyError for a name that AWS doesn't have."""
    return json.dumps(_documents()[name]["Document"])
