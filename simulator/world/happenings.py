"""Things that happen behind the product's back, asked for by a test or through the control API.

Ids are Entra object ids; a group or person may also be named (display name, user principal name).
"""

import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, cast

from simulator.world.aws_state import StoreGroup, StoreUser
from simulator.world.errors import not_found
from simulator.world.identity_store import no_such
from simulator.world.state import Group, User

if TYPE_CHECKING:
    from simulator.world.world import World


class Happening(Protocol):
    """Does it, and says with which ids."""

    def __call__(self, world: "World", **arguments: str) -> dict[str, str]: ...


def _group(world: "World", group: str) -> Group:
    found = world.directory.find_group(group) or world.directory.find_group_by_name(group)
    if found is None:
        raise not_found(group)
    return found


def _person(world: "World", person: str) -> User:
    found = world.directory.find_user(person) or world.directory.find_user_by_name(person)
    if found is None:
        raise not_found(person)
    return found


def _in_store(world: "World", group: str, person: str) -> tuple[StoreGroup, StoreUser]:
    directory_group, directory_user = _group(world, group), _person(world, person)
    store_group = world.identity_store.find_group_by_external_id(directory_group.id)
    store_user = world.identity_store.find_user_by_external_id(directory_user.id)
    if store_group is None:
        raise no_such("GROUP")
    if store_user is None:
        raise no_such("USER")
    return store_group, store_user


def foreign_assignment(world: "World", account: str, permission_set: str, group: str) -> dict[str, str]:
    """Somebody assigns a group to a permission set (by name) on an account."""
    found = world.identity_center.find_permission_set(permission_set)
    store_group = world.identity_store.find_group_by_external_id(_group(world, group).id)
    if found is None or store_group is None:
        raise no_such("GROUP" if found is not None else "PERMISSION_SET")
    row = world.identity_center.assign(account, found.arn, store_group.id)
    return {"account_id": row.account_id, "permission_set_arn": row.permission_set_arn}


def role_entitled(world: "World", account: str, role: str, group: str) -> dict[str, str]:
    """Somebody entitles a group to an existing role of an account, by account access manager."""
    store_group = world.identity_store.find_group_by_external_id(_group(world, group).id)
    if store_group is None:
        raise no_such("GROUP")
    row = world.account_access.entitle(store_group.id, account, role)
    return {"account_id": row.account_id, "role_name": row.role_name}


def foreign_member(world: "World", group: str, person: str) -> dict[str, str]:
    """Somebody adds a person to a group in Entra by other means than PIM."""
    found, user = _group(world, group), _person(world, person)
    world.directory.add_member(found.id, user.id)
    return {"group_id": found.id, "user_id": user.id}


def member_removed(world: "World", group: str, person: str) -> dict[str, str]:
    """Somebody removes a person from a group in Entra by other means than PIM."""
    found, user = _group(world, group), _person(world, person)
    world.directory.remove_member(found.id, user.id)
    return {"group_id": found.id, "user_id": user.id}


def foreign_store_member(world: "World", group: str, person: str) -> dict[str, str]:
    """A membership appears in IAM Identity Center that provisioning didn't make."""
    store_group, user = _in_store(world, group, person)
    membership = world.identity_store.add_member(store_group.id, user.id, by="somebody in the console")
    return {"membership_id": membership.id}


def store_member_removed(world: "World", group: str, person: str) -> dict[str, str]:
    """A membership disappears from IAM Identity Center without provisioning."""
    store_group, user = _in_store(world, group, person)
    world.identity_store.remove_member(store_group.id, user.id, by="somebody in the console")
    return {"group_id": store_group.id, "user_id": user.id}


def removal_lost(world: "World", group: str, person: str) -> dict[str, str]:
    """Provisioning will never carry this person's removal from this group."""
    found, user = _group(world, group), _person(world, person)
    world.provisioning.lose_removal(found.id, user.id)
    return {"group_id": found.id, "user_id": user.id}


def person_disabled(world: "World", person: str) -> dict[str, str]:
    """A person's account is disabled in Entra."""
    user = _person(world, person)
    world.directory.set_enabled(user.id, enabled=False)
    return {"user_id": user.id}


def person_enabled(world: "World", person: str) -> dict[str, str]:
    """A person's account is enabled again."""
    user = _person(world, person)
    world.directory.set_enabled(user.id, enabled=True)
    return {"user_id": user.id}


def portal_sessions_ended(world: "World", person: str) -> dict[str, str]:
    """An administrator ends a person's access portal sessions in the console; role sessions go on."""
    user = _person(world, person)
    world.access_portal.end_portal_sessions(user.id)
    return {"user_id": user.id}


def group_deleted(world: "World", group: str) -> dict[str, str]:
    """A group is deleted."""
    found = _group(world, group)
    world.directory.delete_group(found.id)
    return {"group_id": found.id}


def group_recreated(world: "World", group: str) -> dict[str, str]:
    """A group is deleted and made anew under the same name, with another id."""
    found = _group(world, group)
    return {"old_group_id": found.id, "group_id": world.directory.recreate_group(found.id).id}


def group_unassigned(world: "World", group: str) -> dict[str, str]:
    """A group loses its assignment to the enterprise application."""
    found = _group(world, group)
    world.directory.unassign_from_application(found.id)
    return {"group_id": found.id}


def eligibility_ended(world: "World", group: str, person: str) -> dict[str, str]:
    """An administrator takes a person's eligibility away."""
    found, user = _group(world, group), _person(world, person)
    world.pim.end_eligibility(found.id, user.id)
    return {"group_id": found.id, "user_id": user.id}


def activation_demands(world: "World", group: str, context: str = "", approver: str = "") -> dict[str, str]:
    """PIM's settings of a group now demand an authentication context and somebody's approval of an activation."""
    found = _group(world, group)
    approvers = [_person(world, approver).id] if approver else []
    world.policies.change(
        found.id,
        authentication_context=context or None,
        approval_required=bool(approvers),
        approver_users=approvers,
    )
    return {"group_id": found.id, **({"approver_id": approvers[0]} if approvers else {})}


def expiry_late(world: "World", group: str, person: str, minutes: str = "30") -> dict[str, str]:
    """PIM ends this person's assignment to a group so many minutes later than its end says."""
    found, user = _group(world, group), _person(world, person)
    world.pim.end_late(found.id, user.id, timedelta(minutes=float(minutes)))
    return {"group_id": found.id, "user_id": user.id}


def quarantine(world: "World", reason: str = "EncounteredQuarantineException") -> dict[str, str]:
    """The provisioning job goes into quarantine until `quarantine_lifted`."""
    world.provisioning.quarantine(reason)
    return {"reason": reason}


def quarantine_lifted(world: "World") -> dict[str, str]:
    """The provisioning job leaves quarantine and runs a cycle."""
    world.provisioning.leave_quarantine()
    return {}


def job_paused(world: "World") -> dict[str, str]:
    """Somebody pauses the provisioning job."""
    world.provisioning.pause()
    return {}


def job_started(world: "World") -> dict[str, str]:
    """Somebody starts the provisioning job."""
    world.provisioning.start()
    return {}


def cycle(world: "World") -> dict[str, str]:
    """A provisioning cycle begins now."""
    world.provisioning.run_cycle()
    return {}


def scim_token_expired(world: "World") -> dict[str, str]:
    """The SCIM access token of IAM Identity Center stops to be valid."""
    world.state.identity_center.scim_token_valid = False
    return {}


def scim_token_renewed(world: "World") -> dict[str, str]:
    """The SCIM access token is valid again."""
    world.state.identity_center.scim_token_valid = True
    return {}


_ALL: tuple[Callable[..., dict[str, str]], ...] = (
    foreign_assignment,
    role_entitled,
    foreign_member,
    member_removed,
    foreign_store_member,
    store_member_removed,
    removal_lost,
    person_disabled,
    person_enabled,
    portal_sessions_ended,
    group_deleted,
    group_recreated,
    group_unassigned,
    eligibility_ended,
    activation_demands,
    expiry_late,
    quarantine,
    quarantine_lifted,
    job_paused,
    job_started,
    cycle,
    scim_token_expired,
    scim_token_renewed,
)
NAMES: dict[str, str] = {each.__name__: inspect.getdoc(each) or "" for each in _ALL}


def happen(world: "World", name: str, arguments: dict[str, str]) -> dict[str, str]:
    """Let it happen. Raises ValueError for an unknown name or wrong arguments."""
    found = next((each for each in _ALL if each.__name__ == name), None)
    if found is None:
        raise ValueError(f"nothing of the name '{name}' can happen; one of {', '.join(NAMES)}")
    try:
        inspect.signature(found).bind(world, **arguments)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    result = cast("Happening", found)(world, **arguments)
    world.journal("happening", NAMES[name], **arguments)
    return result
