"""PIM settings of a group: two policies (member and owner) of seventeen rules each.

Assignment id `Group_{groupId}_{guid}_{member|owner}`; the policy's id is the same without the suffix. Both change
when the group is onboarded, which the first request or the first change of a policy does and nothing undoes.
"""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from simulator.world.errors import bad_request
from simulator.world.state import Group, Policy

if TYPE_CHECKING:
    from simulator.world.world import World

ACCESSES = ("member", "owner")
_TYPE = "#microsoft.graph.unifiedRoleManagementPolicy"
_SETTINGS = {each.name for each in fields(Policy)} - {"guid", "modified_at"}


class Policies:
    """PIM's policies for groups."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def policy(self, group_id: str, access: str = "member") -> Policy:
        """The settings; defaults for a group that PIM doesn't manage yet. Raises WorldError 404 or 400."""
        self._world.directory.group(group_id)
        if access not in ACCESSES:
            raise bad_request("InvalidFilter", f"'{access}' is neither member nor owner.")
        stored = self._world.state.policies.get(f"{group_id}/{access}")
        return stored or Policy(guid=self._world.dice.named_guid(f"default policy {group_id}/{access}"))

    def policy_id(self, group_id: str, access: str = "member") -> str:
        """Id of the policy."""
        return f"Group_{group_id}_{self.policy(group_id, access).guid}"

    def assignment_id(self, group_id: str, access: str = "member") -> str:
        """Id of the policy assignment."""
        return f"{self.policy_id(group_id, access)}_{access}"

    def onboard(self, group: Group) -> None:
        """Bring the group under PIM, unless it is; its policy ids change."""
        if group.pim_onboarded:
            return
        for access in ACCESSES:
            key = f"{group.id}/{access}"
            self._world.state.policies[key] = replace(
                self.policy(group.id, access), guid=self._world.dice.named_guid(f"policy {key}")
            )
        group.pim_onboarded = True
        self._world.journal("group onboarded", f"{group.display_name} is managed by PIM now")

    def change(self, group_id: str, access: str = "member", **settings: Any) -> Policy:
        """Change settings; onboards the group. Raises WorldError 404, ValueError for an unknown setting."""
        group = self._world.directory.group(group_id)
        self._world.pim.check_manageable(group)
        self.onboard(group)
        policy = self._world.state.policies[f"{group_id}/{access}"]
        for name, value in settings.items():
            if name not in _SETTINGS:
                raise ValueError(f"a policy has no setting {name}")
            setattr(policy, name, value)
        policy.modified_at = self._world.now()
        return policy

    def rules(self, group_id: str, access: str = "member") -> list[dict[str, Any]]:
        """All seventeen rules, as Graph writes them."""
        policy = self.policy(group_id, access)
        return [
            _expiration(
                "Admin", "Eligibility", policy.eligibility_expiration_required, policy.eligibility_maximum
            ),
            _enablement("Admin", "Eligibility", []),
            *_notifications("Admin", "Eligibility"),
            _expiration(
                "Admin", "Assignment", policy.assignment_expiration_required, policy.assignment_maximum
            ),
            _enablement("Admin", "Assignment", policy.assignment_rules),
            *_notifications("Admin", "Assignment"),
            _expiration(
                "EndUser", "Assignment", policy.activation_expiration_required, policy.activation_maximum
            ),
            _enablement("EndUser", "Assignment", policy.activation_rules),
            self._approval(policy),
            _rule(
                "AuthenticationContext",
                "EndUser",
                "Assignment",
                isEnabled=policy.authentication_context is not None,
                claimValue=policy.authentication_context,
            ),
            *_notifications("EndUser", "Assignment"),
        ]

    def _approval(self, policy: Policy) -> dict[str, Any]:
        directory = self._world.directory
        approvers: list[dict[str, Any]] = [
            {
                "@odata.type": "#microsoft.graph.groupMembers",
                "groupId": group_id,
                "description": directory.name(group_id),
            }
            for group_id in policy.approver_groups
        ]
        approvers += [
            {
                "@odata.type": "#microsoft.graph.singleUser",
                "userId": each,
                "description": directory.name(each),
            }
            for each in policy.approver_users
        ]
        stage = {
            "approvalStageTimeOutInDays": 1,
            "isApproverJustificationRequired": True,
            "escalationTimeInMinutes": 0,
            "isEscalationEnabled": False,
            "primaryApprovers": approvers,
            "escalationApprovers": [],
        }
        setting = {
            "isApprovalRequired": policy.approval_required,
            "isApprovalRequiredForExtension": False,
            "isRequestorJustificationRequired": True,
            "approvalMode": "SingleStage",
            "approvalStages": [stage],
        }
        return _rule("Approval", "EndUser", "Assignment", setting=setting)


def _rule(kind: str, caller: str, level: str, *, name: str = "", **content: Any) -> dict[str, Any]:
    return {
        "@odata.type": f"{_TYPE}{kind}Rule",
        "id": f"{name or kind}_{caller}_{level}",
        **content,
        "target": {
            "caller": caller,
            "operations": ["All"],
            "level": level,
            "inheritableSettings": [],
            "enforcedSettings": [],
        },
    }


def _expiration(caller: str, level: str, required: bool, maximum: str) -> dict[str, Any]:
    return _rule("Expiration", caller, level, isExpirationRequired=required, maximumDuration=maximum)


def _enablement(caller: str, level: str, rules: list[str]) -> dict[str, Any]:
    return _rule("Enablement", caller, level, enabledRules=list(rules))


def _notifications(caller: str, level: str) -> list[dict[str, Any]]:
    return [
        _rule(
            "Notification",
            caller,
            level,
            name=f"Notification_{recipient}",
            notificationType="Email",
            recipientType=recipient,
            notificationLevel="All",
            isDefaultRecipientsEnabled=True,
            notificationRecipients=[],
        )
        for recipient in ("Admin", "Requestor", "Approver")
    ]
