"""Facts of a made-up occasion, for previews of the texts."""

from __future__ import annotations

from datetime import timedelta

from base.clock import business_now
from notifications.composing import Letter, compose, compose_digest, quoted, subject_line
from notifications.kinds import Kind
from notifications.languages import Language
from notifications.occasions import Facts
from notifications.tastes import default_taste

# What makes some texts say one thing rather than another.
_VARIANTS: dict[Kind, Facts] = {
    Kind.DECIDE: {"told": "50", "total": "212"},
    Kind.HANDLED: {"outcome": "approved"},
    Kind.CLOSED: {"reason": quoted("The PIM group is no longer there.")},
    Kind.NOT_COUNTED: {"reason": quoted("The stage that this decision was made for is over.")},
    Kind.REVOKED: {"reason": quoted("The change was called off.")},
    Kind.FAILED: {"reason": quoted("Entra refused the assignment. Ask the group's owner.")},
    Kind.RULES_PROPOSED: {"what": "changed Production accounts", "justification": quoted("Shorter windows.")},
    Kind.RULES_SETTLED: {"what": "changed Production accounts", "outcome": "applied"},
    Kind.SIGN_IN: {"reason": quoted("Entra wants a stronger sign-in of the requester.")},
    Kind.EMERGENCY: {"comments": quoted("Customers can't pay, and nobody answers.")},
    Kind.REVIEW_OWED: {"comments": quoted("Customers can't pay, and nobody answers.")},
    Kind.REVIEW_LATE: {"comments": quoted("Customers can't pay, and nobody answers.")},
    Kind.NOT_LET_THROUGH: {"reason": quoted("The requester is no longer eligible for this PIM group.")},
    Kind.UNDONE: {"reason": quoted("Entra refused the assignment. Ask the group's owner.")},
}


# What a digest of made-up occasions tells of.
_TOGETHER = (Kind.DECIDE, Kind.HANDLED, Kind.APPROVED)


def sample_letter(kind: Kind, language: Language) -> Letter:
    """The letter of a made-up occasion of this kind."""
    return compose(kind, _facts(kind, language), "/", language)


def sample_digest(language: Language) -> Letter:
    """The letter of several made-up occasions together."""
    lines = [(subject_line(kind, _facts(kind, language), language), "/") for kind in _TOGETHER]
    return compose_digest(lines, language)


def _facts(kind: Kind, language: Language) -> Facts:
    zone, now = default_taste().zone, business_now()
    return {
        "who": "Ada Asker",
        "by": "Ben Boss",
        "group": "AWS - Production Admin",
        "duration": language.span(timedelta(hours=1)),
        "lapses": language.moment(now + timedelta(days=1), zone),
        "starts": language.moment(now, zone),
        "due": language.moment(now + timedelta(days=2), zone),
        "blocks": language.moment(now + timedelta(days=7), zone),
        "delegate": "Dora Deputy",
        "ends": language.moment(now + timedelta(hours=1), zone),
        "last_use": language.moment(now + timedelta(hours=2), zone),
        "reference": "INC0012345",
        "justification": quoted("The deployment hangs since noon.\nI want to restart its runner."),
        "comments": quoted("Ben Boss: Go ahead, and tell the on-call channel."),
        **_VARIANTS.get(kind, {}),
    }
