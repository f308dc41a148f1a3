"""Asking and deciding on the strength of a sign-in: refused with what is missing, or kept with its proof."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from base.clock import real_now
from base.errors import DomainError
from identity.models import Person
from identity.signin.proving import Proof
from policy.assurance import Assurance


class StepUpWanted(DomainError):
    """The person's sign-in doesn't prove enough; nothing was stored. A page sends them to Entra and keeps their words."""

    status = 403

    def __init__(self, missing: Assurance) -> None:
        super().__init__(
            "step_up.wanted",
            f"The rule wants {' and '.join(missing.words)}. Sign in again, then send this once more.",
        )
        self.missing = missing


def proven(wanted: Assurance, proof: Proof | None, person: Person) -> dict[str, Any] | None:
    """The proof as the row of an ask or a decision keeps it; None where nothing is wanted.

    Raises:
        StepUpWanted: the proof isn't this person's, or doesn't hold all of it now.
    """
    if not wanted:
        return None
    now = real_now()
    if missing := wanted.lacking(proof, person.object_id, now):
        raise StepUpWanted(missing)
    return proof.used(now).as_json() if proof else None


def proof_fields(stored: dict[str, Any] | None) -> dict[str, str | datetime | None]:
    """What an event says of a proof; nothing where none was wanted."""
    proof = Proof.of_json(stored)
    if proof is None:
        return {}
    return {
        "proven_contexts": ", ".join(sorted(proof.contexts)),
        "authenticated_at": proof.authenticated_at,
        "verified_at": proof.verified_at,
    }


def sign_in_words(wanted: Assurance, proof: Proof | None, person: Person) -> str:
    """What a form says before it is sent, where sending it leads to Entra first; "" where it doesn't."""
    missing = wanted.lacking(proof, person.object_id, real_now())
    if not missing:
        return ""
    return (
        f"The rule wants {' and '.join(missing.words)}. Sending this leads to Microsoft Entra first, and back here "
        "with what you wrote."
    )
