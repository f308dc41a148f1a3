"""Reads `organisation.yaml` into a world whose initial provisioning cycle is done."""

from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from simulator.sample.builder import Builder, empty_world
from simulator.world.aws_state import Account
from simulator.world.clock import WorldClock
from simulator.world.durations import parse_duration
from simulator.world.state import Group, User
from simulator.world.world import World

FILE = Path(__file__).with_name("organisation.yaml")
POLICY_ARN = "arn:aws:iam::aws:policy/"


@cache
def organisation() -> dict[str, Any]:
    """The file's content."""
    content: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return content


def load_sample(clock: WorldClock, *, seed: str = "acme") -> World:
    """The sample organisation. Ids are the same for the same seed, whenever it is loaded."""
    content = organisation()
    tenant = content["tenant"]
    world = empty_world(
        clock,
        seed=seed,
        tenant_name=tenant["name"],
        domain=tenant["domain"],
        region=tenant["region"],
        management_account_id=tenant["management_account_id"],
        access_portal_url=tenant["access_portal_url"],
    )
    world.state.authentication_contexts = dict(tenant["authentication_contexts"])
    _Loader(world, content).load()
    return world


def sample_approvers(world: World) -> dict[str, str]:
    """Group id -> id of the group that decides on it, as the file suggests for the demo's rules."""
    directory = world.directory
    found = {}
    for name, entry in organisation()["pim_groups"].items():
        group = directory.find_group_by_name(name)
        approvers = directory.find_group_by_name(entry["approvers"])
        if group is not None and approvers is not None:
            found[group.id] = approvers.id
    return found


class _Loader:
    def __init__(self, world: World, content: dict[str, Any]) -> None:
        self._world = world
        self._builder = Builder(world)
        self._content = content
        self._domain: str = content["tenant"]["domain"]
        self._people: dict[str, User] = {}
        self._groups: dict[str, Group] = {}
        self._accounts: dict[str, Account] = {}
        self._units: dict[str, str] = {}

    def load(self) -> None:
        """Everything, in an order in which names are known before they are used."""
        management = self._world.state.organization.management_account_id
        self._accounts["management"] = self._world.state.organization.accounts[management]
        for name, entry in self._content["organisation"].items():
            self._unit(name, entry, "")
        for name, entry in self._content["permission_sets"].items():
            self._permission_set(name, entry)
        for key, entry in self._content["people"].items():
            self._person(key, entry)
        for key, entry in self._content["people"].items():
            if "manager" in entry:
                self._people[key].manager_id = self._people[entry["manager"]].id
        for key, entry in self._content["strangers"].items():
            self._stranger(key, entry)
        for name, entry in self._content["groups"].items():
            self._group(name, entry)
        for name, entry in self._content["pim_groups"].items():
            self._pim_group(name, entry)
        self._builder.provision()
        for name, entry in self._content["pim_groups"].items():
            self._open(name, entry)
        self._world.state.journal.clear()
        self._world.state.provisioning_log = self._world.state.provisioning_log[-200:]

    def _unit(self, name: str, entry: dict[str, Any], parent_id: str) -> None:
        unit = self._builder.unit(name, parent_id)
        self._units[name] = unit.id
        for account in entry.get("accounts", []):
            tags = {
                "owner": account["owner"],
                "environment": account["environment"],
                "data-class": account["data"],
            }
            self._accounts[account["name"]] = self._builder.account(
                account["name"],
                unit.id,
                account_id=account["id"],
                email=f"aws+{account['name']}@{self._domain}",
                state=account.get("state", "ACTIVE"),
                tags=tags,
            )
        for child, content in entry.get("units", {}).items():
            self._unit(child, content, unit.id)

    def _permission_set(self, name: str, entry: dict[str, Any]) -> None:
        self._builder.permission_set(
            name,
            managed=tuple(POLICY_ARN + each for each in entry["managed"]),
            description=entry["description"],
            session_duration=entry["session"],
            relay_state=entry.get("relay_state"),
            inline_policy=entry.get("inline", "").strip(),
            customer_managed_policies=entry.get("customer_managed", []),
            boundary=entry.get("boundary"),
            tags=entry["tags"],
        )

    def _person(self, key: str, entry: dict[str, Any]) -> None:
        given, surname = entry["name"]
        name = f"{key}@{self._domain}"
        mail = name
        if "guest" in entry:
            mail = f"{key}@{entry['guest']}"
            name = f"{key}_{entry['guest']}#EXT#@{self._domain}"
        self._people[key] = self._builder.user(
            name,
            entry.get("display") or f"{given} {surname}",
            given_name=given,
            surname=surname,
            mail=mail,
            employee_id=self._world.dice.named_digits(f"employee {key}", 6),
            account_enabled=entry.get("enabled", True),
            user_type="Guest" if "guest" in entry else "Member",
            job_title=entry["title"],
            department=entry["department"],
            app_roles=list(entry.get("roles", [])),
            featured=entry.get("try", ""),
            featured_order=entry.get("order", 0),
        )

    def _stranger(self, key: str, entry: dict[str, Any]) -> None:
        given, surname = entry["name"]
        name = f"{key}@{entry['domain']}"
        user = User(
            id=self._world.dice.named_guid(f"stranger {key}"),
            user_principal_name=name,
            display_name=f"{given} {surname}",
            given_name=given,
            surname=surname,
            mail=name,
        )
        self._world.state.foreign_users[user.id] = user

    def _group(self, name: str, entry: dict[str, Any]) -> None:
        group = self._builder.group(
            name, description=entry["description"], assigned=entry.get("assigned", False)
        )
        self._groups[name] = group
        members = list(self._people) if entry.get("everybody") else entry["members"]
        for member in members:
            self._builder.member(group, self._people[member])

    def _pim_group(self, name: str, entry: dict[str, Any]) -> None:
        group = self._builder.group(
            name,
            description=entry["description"],
            is_assignable_to_role=entry.get("role_assignable", False),
            assigned=True,
        )
        self._groups[name] = group
        if entry.get("managed", True):
            self._world.state.managed_group_ids.append(group.id)
        for owner in entry.get("owners", []):
            self._builder.owner(group, self._people[owner])
        policy = entry["policy"]
        settings: dict[str, Any] = {"activation_maximum": policy["maximum"]}
        if "rules" in policy or policy.get("no_justification"):
            settings["activation_rules"] = list(policy.get("rules", []))
        if "context" in policy:
            settings["authentication_context"] = policy["context"]
        if "approval" in policy:
            settings["approval_required"] = True
            settings["approver_groups"] = [self._groups[policy["approval"]].id]
        self._world.policies.change(group.id, **settings)
        for each in entry["eligible"]:
            self._eligible(group, each if isinstance(each, dict) else {"who": each})

    def _eligible(self, group: Group, entry: dict[str, Any]) -> None:
        who = entry["who"]
        principal: User | Group = self._people[who] if who in self._people else self._groups[who]
        ends_in: timedelta | None = timedelta(days=335)
        if "ends_in" in entry:
            text = str(entry["ends_in"])
            ends_in = -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)
        self._builder.eligible(group, principal, ends_in=ends_in)

    def _open(self, name: str, entry: dict[str, Any]) -> None:
        for each in entry["opens"]:
            for account in self._chosen(each["accounts"]):
                for permission_set in each["sets"]:
                    found = self._world.identity_center.find_permission_set(permission_set)
                    if found is None:
                        raise LookupError(f"{name} opens {permission_set}, which isn't a permission set")
                    self._builder.assign(self._groups[name], found, account)

    def _chosen(self, names: list[str]) -> list[Account]:
        found: list[Account] = []
        for name in names:
            if name == "all":
                found += [each for each in self._accounts.values() if each.state == "ACTIVE"]
            elif name.startswith("unit:"):
                unit = self._units[name.removeprefix("unit:")]
                found += [each for each in self._accounts.values() if each.parent_id == unit]
            else:
                found.append(self._accounts[name])
        return found
