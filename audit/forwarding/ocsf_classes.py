"""What each of our events is in the Open Cybersecurity Schema Framework: its class, activity, severity and service.

Every declared event type stands here by name; there is no default. Classes, activities and severities are those of
OCSF 1.8.0 (https://schema.ocsf.io/1.8.0/classes/group_management, .../authentication and .../api_activity).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

VERSION = "1.8.0"
OTHER = 99  # the activity that a class has no number for: its name is then ours


class Severity(IntEnum):
    """OCSF's `severity_id`."""

    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


@dataclass(frozen=True, slots=True)
class OcsfClass:
    """An event class with the activities of it that are used here, by their number."""

    uid: int
    name: str
    category_uid: int
    category: str
    activities: Mapping[int, str]


_IAM = "Identity & Access Management"
GROUP = OcsfClass(
    3006, "Group Management", 3, _IAM, {3: "Add User", 4: "Remove User", 5: "Delete", 6: "Create"}
)
SIGN_IN = OcsfClass(3002, "Authentication", 3, _IAM, {1: "Logon", 2: "Logoff", 3: "Authentication Ticket"})
API = OcsfClass(
    6003, "API Activity", 6, "Application Activity", {1: "Create", 2: "Read", 3: "Update", 4: "Delete"}
)
# For what an older portal recorded and this one doesn't know any more: left out, it would be a gap.
BASE = OcsfClass(0, "Base Event", 0, "Uncategorized", {})

PORTAL, ENTRA, AWS = "Access Portal", "Microsoft Entra ID", "AWS IAM Identity Center"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One event type in OCSF; `service` is whose interface was used, for API Activity."""

    ocsf: OcsfClass
    activity: int
    severity: Severity = Severity.INFORMATIONAL
    service: str = PORTAL


_LOW, _MEDIUM, _HIGH = Severity.LOW, Severity.MEDIUM, Severity.HIGH
_MEMBER_ADDED, _MEMBER_REMOVED = Meaning(GROUP, 3), Meaning(GROUP, 4)
_ABOUT_MEMBERSHIP = Meaning(GROUP, OTHER)
_CREATED, _READ, _CHANGED, _DELETED = (Meaning(API, number) for number in (1, 2, 3, 4))


def _calls(service: str, activity: int, *names: str) -> Mapping[str, Meaning]:
    return dict.fromkeys(names, Meaning(API, activity, service=service))


MEANINGS: Mapping[str, Meaning] = MappingProxyType({
    # Signing in
    "signin.succeeded": Meaning(SIGN_IN, 1),
    "signin.refused": Meaning(SIGN_IN, 1, _LOW),
    "signin.roles_changed": Meaning(SIGN_IN, OTHER, _MEDIUM),
    "signin.ended": Meaning(SIGN_IN, 2),
    "signin.token_kept": Meaning(SIGN_IN, 3),
    "signin.token_forgotten": Meaning(SIGN_IN, OTHER),
    # Asking and deciding
    "request.submitted": _CREATED,
    **dict.fromkeys(
        (
            *("item.requested", "item.approved", "item.denied", "item.withdrawn", "item.closed", "item.lapsed"),
            *("item.reminded", "item.escalated", "item.drilled"),
            *("waiver.submitted", "waiver.refused", "emergency.review_owed", "emergency.reviewed"),
            *("decision.submitted", "decision.counted", "decision.refused"),
            *("question.asked", "question.answered", "review.taken_up", "review.put_down"),
        ),
        _ABOUT_MEMBERSHIP,
    ),
    # Without an approval, in an emergency or automatically
    "waiver.granted": Meaning(GROUP, OTHER, _MEDIUM),
    "emergency.review_overdue": Meaning(GROUP, OTHER, _MEDIUM),
    "emergency.block_lifted": Meaning(GROUP, OTHER, _MEDIUM),
    # Access: what was read back in Entra and AWS is a member added or removed; the rest is on the way there
    "grant.assigned": _MEMBER_ADDED,
    "grant.arrived": _MEMBER_ADDED,
    "grant.extension_held": _MEMBER_ADDED,
    "grant.assigned_again": Meaning(GROUP, 3, _HIGH),
    "grant.reappeared": Meaning(GROUP, 3, _HIGH),
    "grant.arrived_late": Meaning(GROUP, 3, _HIGH),
    "grant.out_of_entra": _MEMBER_REMOVED,
    "grant.out_of_aws": _MEMBER_REMOVED,
    "grant.overdue": Meaning(GROUP, OTHER, _HIGH),
    "grant.revoked": Meaning(GROUP, OTHER, _MEDIUM),
    "grant.refused": Meaning(GROUP, OTHER, _LOW),
    "grant.extension_not_sent": Meaning(GROUP, OTHER, _LOW),
    "grant.never_arrived": Meaning(GROUP, OTHER, _LOW),
    **dict.fromkeys(
        (
            *("grant.scheduled", "grant.activation_started", "grant.cancelled", "grant.not_started"),
            *("grant.activation_abandoned", "grant.stopped_on_the_way", "grant.removal_started"),
            *("grant.continued_on_the_way", "grant.continued", "grant.extended", "grant.ended"),
            *("grant.waits_for_sign_in", "grant.last_use_changed"),
        ),
        _ABOUT_MEMBERSHIP,
    ),
    # What was asked of Entra and AWS, and what they answered
    **_calls(ENTRA, 1, "outside.assignment_sent", "outside.assignment_answered"),
    **_calls(ENTRA, 3, "outside.extension_sent", "outside.extension_answered"),
    **_calls(ENTRA, 4, "outside.removal_sent", "outside.removal_answered"),
    **_calls(ENTRA, 3, "outside.approval_sent", "outside.approval_answered"),
    **_calls(ENTRA, 4, "outside.withdrawal_sent", "outside.withdrawal_answered"),
    **_calls(ENTRA, OTHER, "outside.provisioning_sent", "outside.provisioning_answered"),
    "fast_removal.asked": _ABOUT_MEMBERSHIP,
    "fast_removal.refused": Meaning(GROUP, OTHER, _LOW),
    **_calls(AWS, 4, "fast_removal.sent", "fast_removal.answered"),
    **_calls(AWS, 3, "severing.sent", "severing.answered"),
    **_calls(AWS, OTHER, "severance.wanted", "severance.limited", "severance.unlimited", "severance.confirmed"),
    "severance.lost": Meaning(API, OTHER, _HIGH, AWS),
    "severance.refused": Meaning(API, OTHER, _MEDIUM, AWS),
    "severance.lifted": Meaning(API, OTHER, service=AWS),
    # What may be asked for, and by which rules
    "catalog.group_joined": Meaning(GROUP, 6),
    "catalog.group_unjoined": Meaning(GROUP, OTHER),
    "catalog.group_vanished": Meaning(GROUP, 5, _MEDIUM),
    "catalog.management_changed": Meaning(GROUP, OTHER, _MEDIUM),
    "catalog.scope_changed": Meaning(GROUP, OTHER, _MEDIUM),
    "catalog.policy_changed": Meaning(GROUP, OTHER, _MEDIUM),
    "catalog.activation_mode_changed": Meaning(GROUP, OTHER),
    "catalog.permission_set_changed": Meaning(API, 3, _MEDIUM, AWS),
    "catalog.permission_set_vanished": Meaning(API, 4, _MEDIUM, AWS),
    "catalog.managed_policy_changed": Meaning(API, 3, _MEDIUM, AWS),
    "rule.versioned": Meaning(API, 3, _MEDIUM),
    "rule.retired": Meaning(API, 4, _MEDIUM),
    # Who stands in for whom
    "absence.declared": Meaning(API, 1),
    "absence.delegated": Meaning(API, 1, _MEDIUM),
    "absence.withdrawn": Meaning(API, 4),
    "rules.proposed": Meaning(API, 3, _LOW),
    "rules.rejected": Meaning(API, OTHER),
    "rules.withdrawn": Meaning(API, OTHER),
    "rules.accepted": Meaning(API, 3, _MEDIUM),
    "rules.applied": Meaning(API, 3, _MEDIUM),
    "rules.not_applied": Meaning(API, OTHER, _MEDIUM),
    "rules.loaded": Meaning(API, 3, _MEDIUM),
    # Watching and operating
    "drift.found": Meaning(GROUP, OTHER, _HIGH),
    "drift.reopened": Meaning(GROUP, OTHER, _HIGH),
    "drift.gone": _ABOUT_MEMBERSHIP,
    "drift.handled": _ABOUT_MEMBERSHIP,
    "drift.accepted": Meaning(GROUP, OTHER, _MEDIUM),
    "incident.frozen": Meaning(API, 1, _HIGH),
    "incident.carried": Meaning(API, 3, _MEDIUM),
    "incident.lifted": Meaning(API, 4, _MEDIUM),
    "operations.end_recorded": _CHANGED,
    "operations.circuit_opened": Meaning(API, OTHER, _MEDIUM),
    "operations.circuit_closed": Meaning(API, OTHER),
    "operations.rule_out_of_reach": Meaning(API, OTHER, _MEDIUM),
    "operations.rule_in_reach": Meaning(API, OTHER),
    "queue.moved_to_front": _CHANGED,
    "action.refused": Meaning(API, OTHER, _LOW),
    "preferences.changed": _CHANGED,
    "settings.recorded": _CREATED,
    "settings.changed": Meaning(API, 3, _MEDIUM),
    # Access reviews: what is decided about eligibilities is about membership of the group
    "review.started": _CREATED,
    "review.decided": _ABOUT_MEMBERSHIP,
    **dict.fromkeys(("review.reviewer_added", "review.reviewer_removed", "review.closed"), _CHANGED),
    "review.exported": _READ,
    # The trail itself
    "search.saved": _CREATED,
    "search.removed": _DELETED,
    "ledger.key_announced": Meaning(API, 3, _MEDIUM),
    "ledger.words_erased": Meaning(API, 4, _MEDIUM),
    "ledger.row_words_erased": Meaning(API, 4, _MEDIUM),
    "ledger.month_removed": Meaning(API, 4, _MEDIUM),
    "ledger.rows_known": Meaning(API, 1, _LOW),
    "ledger.verified": _READ,
    "ledger.differs": Meaning(API, 2, _HIGH),
    **dict.fromkeys(("export.began", "export.finished", "export.cancelled", "export.failed"), _READ),
    "export.packed": _READ,
    "activity.viewed": _READ,
    "api.token_created": Meaning(API, 1, _LOW),
    "api.token_revoked": Meaning(API, 4),
    "api.token_used": _READ,
    "api.refused": Meaning(API, OTHER, _LOW),
    "api.events_read": _READ,
})  # fmt: skip
NO_LONGER_DECLARED = Meaning(BASE, OTHER)


def meaning_of(event_type: str) -> Meaning:
    """What that type is in OCSF; a base event for one that this version of the portal doesn't declare."""
    return MEANINGS.get(event_type, NO_LONGER_DECLARED)
