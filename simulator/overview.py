"""What the state page and `GET /_control/state` show: the world from the inside, in a shape that is ready to be shown."""

from dataclasses import asdict, fields
from typing import Any

from simulator.portal import session_rows
from simulator.world.switches import Switches
from simulator.world.world import World

MOST_CHANGES_SHOWN = 50
CHANGES = {
    "member_added": "comes in",
    "member_removed": "goes out",
    "user": "a person changed",
    "group": "a group changed",
    "assignment": "an assignment to the application changed",
}


def world_state(world: World) -> dict[str, Any]:
    """Who is in which group, in Entra and in the identity store, and what the cycle does next."""
    store = world.state.identity_center
    names = {user.id: user.user_name for user in store.users.values()}
    by_external = {each.external_id: each for each in store.groups.values() if each.external_id}
    by_name = {each.display_name: each for each in store.groups.values()}
    groups = []
    for group in world.directory.groups():
        if not world.directory.is_in_scope(group.id):
            continue
        target = by_external.get(group.id) or by_name.get(group.display_name)
        groups.append(
            {
                "id": group.id,
                "name": group.display_name,
                "entra": sorted(
                    each.user_principal_name if hasattr(each, "user_principal_name") else each.display_name
                    for each in world.directory.members(group.id)
                ),
                "identity_store": sorted(names.get(each, each) for each in target.members)
                if target
                else None,
            }
        )
    job = world.provisioning.job
    return {
        "now": world.now().isoformat(),
        "groups": groups,
        "provisioning": {
            "code": job.code,
            "next_cycle": job.next_cycle_at.isoformat() if job.next_cycle_at else None,
            "running": job.running is not None,
            "quarantine": job.quarantine.reason if job.quarantine else None,
            "waiting_changes": len(job.changes),
            "next_changes": next_changes(world),
        },
    }


def next_changes(world: World) -> list[dict[str, str]]:
    """What the next cycle will look at, oldest first; the last fifty. Also what takes the fast path, with its time."""
    fast = [
        {
            "what": f"carried fast ({each.arguments['action']})",
            "group": _group(world, each.arguments["group_id"]),
            "person": _person(world, each.arguments["principal_id"]),
            "at": each.at.isoformat(timespec="seconds"),
        }
        for each in world.state.due
        if each.kind == "provisioning.fast"
    ]
    job = world.provisioning.job
    at = job.next_cycle_at.isoformat(timespec="seconds") if job.next_cycle_at else ""
    waiting = [
        {
            "what": CHANGES.get(each.kind, each.kind),
            "group": _group(world, each.group_id),
            "person": _person(world, each.principal_id),
            "at": at,
        }
        for each in job.changes
    ]
    return [*fast, *waiting[-MOST_CHANGES_SHOWN:]]


def _group(world: World, group_id: str | None) -> str:
    found = world.directory.find_group(group_id) if group_id else None
    return found.display_name if found else group_id or ""


def _person(world: World, principal_id: str | None) -> str:
    if not principal_id:
        return ""
    found = world.directory.find_user(principal_id)
    return found.user_principal_name if found else _group(world, principal_id)


def overview(world: World) -> dict[str, Any]:
    """Everything on the state page that is the world's. Groups with somebody in them come first."""
    state = world_state(world)
    differing = [row for row in state["groups"] if row["entra"] != row["identity_store"]]
    usual = {each.name: each.default for each in fields(Switches)}
    return {
        "state": state,
        "groups": sorted(
            state["groups"], key=lambda row: (not (row["entra"] or row["identity_store"]), row["name"])
        ),
        "differing": {row["id"] for row in differing},
        "sessions": session_rows(world),
        "faults": [asdict(each) for each in world.faults.list()],
        "switches": [
            {"name": name, "value": value, "changed": value != usual[name]}
            for name, value in asdict(world.switches).items()
        ],
    }
