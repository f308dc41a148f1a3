"""Reading a group's PIM settings for members: seventeen rules with fixed ids (Graph documentation)."""

from __future__ import annotations

from typing import Any

from clients.errors import Refused
from clients.types import PimPolicy, Receipt

_KNOWN_ENABLEMENTS = {"multifactorauthentication", "justification", "ticketing"}


def _unreadable(group_id: str, what: str, receipt: Receipt) -> Refused:
    return Refused(
        f"The PIM settings of group {group_id} can't be read: {what}. "
        "Until they can, nobody may ask for this group.",
        code="PolicyUnreadable",
        receipt=receipt,
    )


def policy_from(group_id: str, assignments: tuple[Any, ...], receipt: Receipt) -> PimPolicy:
    """The member policy among a group's policy assignments.

    Raises:
        Refused: when a rule that decides is missing, or demands something that we have no word for.
    """
    mine = [each for each in assignments if (each.role_definition_id or "").lower() == "member"]
    if len(mine) != 1 or mine[0].policy is None:
        raise _unreadable(group_id, f"{len(mine)} member policies instead of one", receipt)
    policy = mine[0].policy
    rules = {(rule.id or "").lower(): rule for rule in policy.rules or []}

    def rule(name: str) -> Any:
        found = rules.get(name.lower())
        if found is None:
            raise _unreadable(group_id, f"the rule {name} is missing", receipt)
        return found

    maximum = getattr(rule("Expiration_EndUser_Assignment"), "maximum_duration", None)
    if maximum is None:
        raise _unreadable(group_id, "the longest activation is missing", receipt)
    enabled = {
        str(each).lower()
        for each in getattr(rule("Enablement_EndUser_Assignment"), "enabled_rules", None) or []
    }
    unknown = enabled - _KNOWN_ENABLEMENTS
    if unknown:
        raise _unreadable(group_id, f"it demands {', '.join(sorted(unknown))}", receipt)
    setting = getattr(rule("Approval_EndUser_Assignment"), "setting", None)
    context = rule("AuthenticationContext_EndUser_Assignment")
    context_on = getattr(context, "is_enabled", None) is not False
    admin = rule("Expiration_Admin_Assignment")
    approval = getattr(setting, "is_approval_required", None) is not False
    people, groups = _approvers(group_id, setting, receipt) if approval else ((), ())
    return PimPolicy(
        group_id=group_id,
        policy_id=policy.id or "",
        activation_maximum=maximum,
        requires_justification="justification" in enabled,
        requires_mfa="multifactorauthentication" in enabled,
        requires_ticket="ticketing" in enabled,
        requires_approval=approval,
        authentication_context=(getattr(context, "claim_value", None) or "unnamed") if context_on else "",
        assignment_maximum=(
            None
            if getattr(admin, "is_expiration_required", None) is False
            else getattr(admin, "maximum_duration", None)
        ),
        approver_people=people,
        approver_groups=groups,
    )


def _approvers(group_id: str, setting: Any, receipt: Receipt) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The people and the groups whom the approval rule names, as sorted object ids (subjectSet in Graph's reference).

    Raises:
        Refused: when it names somebody in another way: who that is couldn't be held to.
    """
    people, groups = set(), set()
    for stage in getattr(setting, "approval_stages", None) or []:
        for each in getattr(stage, "primary_approvers", None) or []:
            kind = str(getattr(each, "odata_type", "")).lower()
            if kind == "#microsoft.graph.singleuser" and each.user_id:
                people.add(each.user_id.lower())
            elif kind == "#microsoft.graph.groupmembers" and each.group_id:
                groups.add(each.group_id.lower())
            else:
                raise _unreadable(group_id, "it names approvers who are neither people nor groups", receipt)
    return tuple(sorted(people)), tuple(sorted(groups))
