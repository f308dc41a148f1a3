"""The product limits itself: its Graph permission is tenant-wide, so a worker refuses most of the tenant."""

from __future__ import annotations

from catalog.allow_list import is_managed
from clients.errors import NotFound, Refused
from clients.registry import clients
from clients.types import DirectoryGroup
from requests_app.models import Grant


def refuse_unmanaged_group(grant: Grant) -> None:
    """Check the deployed allow-list and, freshly, that Entra still has a plain, assignable group there.

    Raises:
        Refused: the group isn't in the allow-list, can hold directory roles, or can't be carried by SCIM.
        NotFound: the group is gone.
    """
    group_id = grant.group.object_id
    if not is_managed(group_id):
        raise Refused(
            "This PIM group is not in the list of groups that the portal may change. An operator can add it.",
            code="group.not_managed",
        )
    found: tuple[DirectoryGroup, ...] = clients().directory.read_groups([group_id]).value
    group = next((g for g in found if g.object_id == group_id), None)
    if group is None:
        raise NotFound("This PIM group no longer exists in Entra.", code="group.gone")
    if group.role_assignable:
        raise Refused(
            "This group can hold Entra directory roles. The portal never changes such a group.",
            code="group.role_assignable",
        )
    if not group.security_enabled or group.dynamic or group.synced_from_on_premises:
        raise Refused(
            "PIM can't manage this group: it is not a plain security group with assigned members.",
            code="group.not_assignable",
        )
