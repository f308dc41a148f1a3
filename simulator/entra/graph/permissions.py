"""Which permissions each Graph operation accepts, and whether a token has one of them.

permissions.json is held to the contract by a test; it is a copy because the simulator runs without the tests.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from simulator.entra.claims import CAPABLE
from simulator.entra.graph.errors import challenged, denied, unauthenticated
from simulator.entra.provider import Provider
from simulator.entra.tokens import InvalidTokenError, issued_ns

TABLE = Path(__file__).with_name("permissions.json")
OWNED_ONLY = "Application.ReadWrite.OwnedBy"
_APPROVALS = "/identityGovernance/privilegedAccess/group/assignmentApprovals/{id}"
# The contract names no permission for these; those of the operation beside them hold.
BESIDE = {
    "GET /identityGovernance/privilegedAccess/group/assignmentApprovals/filterByCurrentUser(on='{on}')": (
        f"GET {_APPROVALS}"
    ),
    f"GET {_APPROVALS}/stages": f"GET {_APPROVALS}",
    f"GET {_APPROVALS}/stages/{{stageId}}": f"GET {_APPROVALS}",
    f"GET {_APPROVALS}/steps": f"GET {_APPROVALS}",
    f"GET {_APPROVALS}/steps/{{stageId}}": f"GET {_APPROVALS}",
    f"PATCH {_APPROVALS}/steps/{{stageId}}": f"PATCH {_APPROVALS}/stages/{{stageId}}",
}


@dataclass(frozen=True)
class Caller:
    """Who holds the access token: an application, or a person through one."""

    application_id: str
    object_id: str
    """Of the service principal, or of the person when delegated."""
    delegated: bool
    permissions: frozenset[str]
    contexts: frozenset[str] = frozenset()
    """Authentication contexts (`acrs`) that the token proves."""
    mfa: bool = False
    capable: bool = False
    """The client declared cp1: it can answer a claims challenge."""


@cache
def accepted() -> Mapping[str, Mapping[str, frozenset[str]]]:
    """`METHOD /template` → `application` and `delegated` → permissions of which one is enough."""
    stored = json.loads(TABLE.read_text())
    stored |= {operation: stored[other] for operation, other in BESIDE.items()}
    return {
        operation: {kind: frozenset(names) for kind, names in kinds.items()}
        for operation, kinds in stored.items()
    }


def authenticate(provider: Provider, authorization: str | None) -> Caller:
    """The caller behind an Authorization header.

    Raises GraphError 401; with a claims challenge for a token that was withdrawn, when its client declared cp1. The
    token of any other client stays good until it expires.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("Access token is empty.")
    try:
        claims: dict[str, Any] = provider.keys.verify(
            token, audiences=provider.graph_audiences(), issuers=[provider.issuer()]
        )
    except InvalidTokenError as reason:
        raise unauthenticated(str(reason)) from reason
    delegated = "scp" in claims
    capable = any(str(each).lower() == CAPABLE for each in claims.get("xms_cc", ()))
    if capable and provider.withdrawn(str(claims["oid"]), issued_ns(claims), delegated=delegated):
        raise challenged()
    names = str(claims["scp"]).split() if delegated else claims.get("roles", [])
    return Caller(
        str(claims["appid"]),
        str(claims["oid"]),
        delegated,
        frozenset(names),
        frozenset(claims.get("acrs", ())),
        mfa="mfa" in claims.get("amr", ()),
        capable=capable,
    )


def authorize(caller: Caller, operation: str, *, owned: bool | None = None) -> None:
    """Raises GraphError 403 unless the caller has one of the permissions that the operation accepts.

    `owned` says whether the caller's service principal owns the object that is addressed, where the
    permission to touch owned applications only could matter.
    """
    kinds = accepted()[operation]
    enough = kinds["delegated" if caller.delegated else "application"] & caller.permissions
    if owned is False:
        enough -= {OWNED_ONLY}
    if not enough:
        raise denied()
