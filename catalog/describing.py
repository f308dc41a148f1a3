"""What a permission set allows, in words that are no more certain than what was read.

Words about AWS managed policies come from a small table; a policy that isn't in it is named, not
explained. Inline policies are summed up by service and by whether they change anything. What can't
be known from here (the contents of customer managed policies) is said to be unknown.
"""

from __future__ import annotations

from catalog.inline_policy import inline_sentence
from catalog.managed_policies import MANAGED_POLICY_WORDS
from clients.types import PermissionSetDetails

MOST_NAMED = 6


def summarise(details: PermissionSetDetails) -> str:
    """Sentences that say what the permission set allows, one a line, the most telling first."""
    return "\n".join(
        sentence
        for sentence in (
            _description(details.description),
            *(managed_policy_sentence(name, arn) for name, arn in details.managed_policies[:MOST_NAMED]),
            _and_more(len(details.managed_policies) - MOST_NAMED),
            inline_sentence(details.inline_policy),
            _customer_managed(details.customer_managed_policies),
            _boundary(details.permissions_boundary),
            _nothing(details),
        )
        if sentence
    )


def managed_policy_sentence(name: str, arn: str) -> str:
    """What one AWS managed policy allows, or its name where the portal has no words for it."""
    words = MANAGED_POLICY_WORDS.get(name)
    if words and arn.partition("::")[2].startswith("aws:policy/"):
        return f"{words} ({name})."
    return f"AWS managed policy {name}."


def _description(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _and_more(number: int) -> str:
    return f"And {number} more AWS managed policies." if number > 0 else ""


def _customer_managed(policies: tuple[tuple[str, str], ...]) -> str:
    if not policies:
        return ""
    names = ", ".join(name for _, name in policies[:MOST_NAMED])
    more = f" and {len(policies) - MOST_NAMED} more" if len(policies) > MOST_NAMED else ""
    which = "policy" if len(policies) == 1 else "policies"
    return f"Your organisation's own {which} {names}{more}; what these allow differs by account and is not known here."


def _boundary(boundary: str) -> str:
    return f"Limited by the permissions boundary {boundary.rpartition('/')[2]}." if boundary else ""


def _nothing(details: PermissionSetDetails) -> str:
    if details.managed_policies or details.customer_managed_policies or details.inline_policy.strip():
        return ""
    return "It carries no policy, so as far as the portal can see it allows nothing."
