"""The directory's audit log: who came into which group and who left it, activated members included."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint

from simulator.entra.graph.core import Answer, Context, GraphFront
from simulator.entra.graph.render import moment
from simulator.world.state import Group, Membership


def _ended_by_pim(context: Context, group: Group, member: Membership) -> bool:
    """Whether PIM took the member out: at the assignment's end, or because it was asked to."""
    schedule = context.world.state.schedules.get(member.schedule_id or "")
    if schedule is None:
        return False
    removals = context.world.pim.assignment_requests(group_id=group.id, principal_id=member.principal_id)
    return schedule.end == member.removed_at or any(
        each.created_at == member.removed_at and each.status == "Revoked" for each in removals
    )


def _row(context: Context, group: Group, member: Membership, at: datetime, *, added: bool) -> dict[str, Any]:
    names = context.world.directory
    by_pim = member.schedule_id is not None if added else _ended_by_pim(context, group, member)
    user = names.find_user(member.principal_id)
    return {
        "id": f"Directory_{member.id}_{'add' if added else 'remove'}",
        "activityDateTime": moment(at),
        "activityDisplayName": "Add member to group" if added else "Remove member from group",
        "additionalDetails": [],
        "category": "GroupManagement",
        "correlationId": member.id,
        "initiatedBy": {
            "app": {
                "appId": None,
                "displayName": "MS-PIM" if by_pim else "Directory",
                "servicePrincipalId": None,
                "servicePrincipalName": None,
            },
            "user": None,
        },
        "loggedByService": "Core Directory",
        "operationType": "Assign" if added else "Unassign",
        "result": "success",
        "resultReason": "",
        "targetResources": [
            {
                "id": member.principal_id,
                "displayName": names.name(member.principal_id),
                "type": "User" if user is not None else "Group",
                "userPrincipalName": user.user_principal_name if user is not None else None,
                "groupType": None,
                "modifiedProperties": [
                    {"displayName": "Group.ObjectID", "oldValue": None, "newValue": f'"{group.id}"'}
                ],
            }
        ],
    }


def _directory_audits(context: Context) -> Answer:
    found: list[tuple[datetime, dict[str, Any]]] = []
    for group in context.world.directory.groups():
        for member in (*group.members.values(), *group.past_members):
            found.append((member.added_at, _row(context, group, member, member.added_at, added=True)))
            if member.removed_at is not None:
                row = _row(context, group, member, member.removed_at, added=False)
                found.append((member.removed_at, row))
    found.sort(key=lambda each: each[0], reverse=True)
    newest = context.world.now() - timedelta(seconds=context.world.switches.directory_audit_seconds)
    return context.listing([row for at, row in found if at <= newest], "auditLogs/directoryAudits")


def add_routes(front: GraphFront, blueprint: Blueprint) -> None:
    """Serve the audit log."""
    front.route(blueprint, "GET", "/auditLogs/directoryAudits", _directory_audits)
