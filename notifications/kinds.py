"""What people are told, kind by kind, and what each person may change about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """One kind of message; its texts are templates/notifications/LANGUAGE/KIND.txt."""

    DECIDE = "decide"
    REMIND = "remind"
    HANDLED = "handled"
    NOT_COUNTED = "not_counted"
    ASKED = "asked"
    ADVANCED = "advanced"
    APPROVED = "approved"
    DENIED = "denied"
    CLOSED = "closed"
    LAPSED = "lapsed"
    USABLE = "usable"
    EXTENDED = "extended"
    ENDING = "ending"
    ENDED = "ended"
    REVOKED = "revoked"
    FAILED = "failed"
    UNDONE = "undone"
    SIGN_IN = "sign_in"
    QUESTION = "question"
    ANSWERED = "answered"
    STANDS_IN = "stands_in"
    SAID_AWAY = "said_away"
    RULES_PROPOSED = "rules_proposed"
    RULES_SETTLED = "rules_settled"
    EMERGENCY = "emergency"
    REVIEW_OWED = "review_owed"
    REVIEW_LATE = "review_late"
    NOT_LET_THROUGH = "not_let_through"


@dataclass(frozen=True, slots=True)
class Manner:
    """How a kind may be told. `name` is for the pages; `may_wait`: it may come in a digest; `operators`: to them alone."""

    name: str
    may_be_off: bool = False
    may_wait: bool = False
    operators: bool = False


# What asks somebody for a decision; a delegate who came later may have been reminded alone.
ASKING = (Kind.DECIDE, Kind.REMIND)

# What takes access away or failed can't be switched off, nor can being asked to decide: somebody waits for it.
MANNERS: dict[Kind, Manner] = {
    Kind.DECIDE: Manner("Somebody asks for access, and you may decide", may_wait=True),
    Kind.REMIND: Manner("A request that you may decide on still waits", may_be_off=True, may_wait=True),
    Kind.HANDLED: Manner("A request that you were told of is handled", may_be_off=True, may_wait=True),
    Kind.NOT_COUNTED: Manner("Your decision was not counted"),
    Kind.UNDONE: Manner("Access that you approved could not be given"),
    Kind.ASKED: Manner("Your request has been sent", may_be_off=True, may_wait=True),
    Kind.ADVANCED: Manner("One stage of your request is done", may_be_off=True, may_wait=True),
    Kind.APPROVED: Manner("Your request was approved", may_be_off=True, may_wait=True),
    Kind.DENIED: Manner("Your request was denied", may_be_off=True, may_wait=True),
    Kind.CLOSED: Manner("Your request was closed without a decision", may_be_off=True, may_wait=True),
    Kind.LAPSED: Manner("Nobody answered your request", may_be_off=True, may_wait=True),
    Kind.USABLE: Manner("Your access is ready", may_be_off=True),
    Kind.EXTENDED: Manner("Your access lasts longer", may_be_off=True),
    Kind.ENDING: Manner("Your access ends soon", may_be_off=True),
    Kind.ENDED: Manner("Your access has ended", may_be_off=True, may_wait=True),
    Kind.REVOKED: Manner("Your access was revoked"),
    Kind.FAILED: Manner("Your access could not be given"),
    Kind.SIGN_IN: Manner("Access waits for you to sign in"),
    Kind.QUESTION: Manner("Somebody who decides asks you something"),
    Kind.ANSWERED: Manner("Your question about a request is answered"),
    Kind.STANDS_IN: Manner("You decide for somebody who is away"),
    Kind.EMERGENCY: Manner("Somebody took access in an emergency, or drilled it"),
    Kind.REVIEW_OWED: Manner("An emergency use waits for your review"),
    Kind.REVIEW_LATE: Manner("The review of an emergency use is overdue"),
    Kind.NOT_LET_THROUGH: Manner("Your emergency was not let through"),
    Kind.SAID_AWAY: Manner("An operator recorded that you are away"),
    Kind.RULES_PROPOSED: Manner(
        "A change of the rules waits for you as second operator", may_wait=True, operators=True
    ),
    Kind.RULES_SETTLED: Manner(
        "A change of the rules that you proposed is applied or not", may_wait=True, operators=True
    ),
}


def told_in_any_case(*, operator: bool) -> list[str]:
    """What somebody may be told and can't switch off, as pages name it."""
    return [
        each.name for each in MANNERS.values() if not each.may_be_off and (operator or not each.operators)
    ]
