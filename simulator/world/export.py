"""What the provisioning job sends to the SCIM endpoint, and what it remembers to have sent."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.scim.errors import ScimError
from simulator.world.state import Change, Group, Job, ProvisioningLogRow, User

if TYPE_CHECKING:
    from simulator.world.world import World

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MOST_LOG = 5000
MEMBERS_PER_PATCH = 100


@dataclass
class CycleResult:
    """What a cycle did."""

    cycle_id: str
    exported: int = 0
    failed: int = 0


@dataclass(frozen=True)
class OnDemandAnswer:
    """Both halves of the answer; Graph sends each as JSON inside a string."""

    key: dict[str, Any]
    value: dict[str, Any] = field(default_factory=dict)


class Exporter:
    """Turns directory objects into SCIM calls on `world.scim`."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def _job(self) -> Job:
        return self._world.state.job

    # ------------------------------------------------------------ cycle

    def cycle(self, changes: list[Change], *, cycle_id: str, full: bool) -> CycleResult:
        """Export what the changes touch (all that is in scope in a full cycle), groups' disappearance first."""
        result = CycleResult(cycle_id)
        directory = self._world.directory
        groups = {change.group_id: None for change in changes if change.group_id is not None}
        users = {change.principal_id: None for change in changes if change.principal_id is not None}
        if full:
            groups.update({group.id: None for group in directory.groups()})
            users.update({user.id: None for user in directory.users()})
        for change in changes:
            group = directory.find_group(change.group_id or "") if change.kind == "assignment" else None
            users.update(dict.fromkeys(group.members) if group is not None else {})
        gone = [each for each in groups if not directory.is_in_scope(each)]
        for group_id in gone:
            users.update(dict.fromkeys(self._job.exported_members.get(group_id, [])))
            self._count(result, self._drop_group, group_id, cycle_id)
        in_scope = self._people_in_scope() if users else set()
        for user_id in users:
            user = directory.find_user(user_id)
            if user is not None:
                self._count(result, self._export_user, user, cycle_id, user_id in in_scope)
        added = {(c.group_id, c.principal_id) for c in changes if c.kind == "member_added"}
        for group_id in groups:
            group = directory.find_group(group_id)
            if group is not None and group_id not in gone:
                again = {p for g, p in added if g == group_id and p is not None}
                if self._world.switches.skip_readd_before_cycle:
                    again = set()
                self._count(result, self._export_group, group, cycle_id, again)
        return result

    def _count(self, result: CycleResult, export: Any, *arguments: Any) -> None:
        try:
            result.exported += export(*arguments)
        except ScimError as error:
            result.failed += 1
            self._world.journal("provisioning failed", str(error))

    def _people_in_scope(self) -> set[str]:
        found: set[str] = set()
        for row in self._world.directory.application.assignments.values():
            if row.principal_type == "User":
                found.add(row.principal_id)
            elif self._world.directory.is_in_scope(row.principal_id):
                found.update(self._world.directory.group(row.principal_id).members)
        return found

    # ------------------------------------------------------------ users

    def _user_payload(self, user: User, *, active: bool) -> dict[str, Any]:
        external = user.id
        if self._world.switches.user_external_id == "mailNickname":
            external = user.user_principal_name.split("@")[0]
        name = {"givenName": user.given_name, "familyName": user.surname}
        body: dict[str, Any] = {
            "userName": user.user_principal_name,
            "externalId": external,
            "active": active,
            "displayName": user.display_name,
            "name": {key: value for key, value in name.items() if value},
        }
        if user.job_title:
            body["title"] = user.job_title
        if user.mail:
            body["emails"] = [{"value": user.mail, "type": "work", "primary": True}]
        enterprise = {"employeeNumber": user.employee_id, "department": user.department}
        enterprise = {key: value for key, value in enterprise.items() if value}
        if enterprise:
            body[ENTERPRISE] = enterprise
        return body

    def _export_user(self, user: User, cycle_id: str, in_scope: bool, *, on_demand: bool = False) -> int:
        """Create, update or disable; 0 when the target is as it was left. Raises ScimError, after logging it."""
        job = self._job
        known = user.id in job.exported_users
        active = in_scope and user.account_enabled
        # On demand handles people who were unassigned, and leaves those who are disabled in Entra to the cycle.
        if (not known and not active) or (on_demand and not user.account_enabled):
            return 0
        body = self._user_payload(user, active=active)
        fingerprint = _fingerprint(body)
        if job.exported_users.get(user.id) == fingerprint:
            return 0
        action = "create" if not known else "update" if active else "disable"
        try:
            target = self._put_user(body)
        except ScimError as error:
            if user.id not in job.escrowed_users:
                job.escrowed_users.append(user.id)
            self._log(user, action, "", cycle_id, error=error, on_demand=on_demand)
            raise
        if user.id in job.escrowed_users:
            job.escrowed_users.remove(user.id)
        job.exported_users[user.id] = fingerprint
        self._log(user, action, target, cycle_id, on_demand=on_demand)
        return 1

    def _put_user(self, body: dict[str, Any]) -> str:
        scim = self._world.scim
        found = scim.list_users(f'userName eq "{body["userName"]}"')["Resources"]
        known = self._world.identity_store.find_user_by_external_id(body["externalId"])
        if not found and known is not None:
            found = [scim.user_resource(known)]
        if not found:
            return str(scim.create_user({"schemas": [USER_SCHEMA, ENTERPRISE], **body})["id"])
        operations = [{"op": "replace", "value": body}]
        scim.patch_user(found[0]["id"], {"schemas": [PATCH_SCHEMA], "Operations": operations})
        return str(found[0]["id"])

    # ------------------------------------------------------------ groups

    def _export_group(self, group: Group, cycle_id: str, again: set[str]) -> int:
        """Bring name and members to the target, as far as they differ from what was sent before."""
        job, count = self._job, 0
        target, created = self._ensure_group(group, cycle_id)
        count += created
        sent = set(job.exported_members.get(group.id, []))
        wanted = {each for each in group.members if each in job.exported_users}
        kept = {each for each in sent - wanted if f"{group.id}/{each}" in job.lost_removals}
        added, removed = (wanted - sent) | (again & wanted), sent - wanted - kept
        for principal_id in sorted(set(group.members) & set(job.escrowed_users)):
            absent = ScimError(404, "ReferenceFailure", "The member is not in the target system.")
            self._log(group, "update", target, cycle_id, members=[(principal_id, True)], error=absent)
        changes = [(each, True) for each in sorted(added)] + [(each, False) for each in sorted(removed)]
        if changes:
            self._patch_members(target, changes)
            self._log(group, "update", target, cycle_id, members=changes)
            count += 1
        job.exported_members[group.id] = sorted(wanted | kept)
        return count

    def _ensure_group(self, group: Group, cycle_id: str, *, on_demand: bool = False) -> tuple[str, int]:
        """Id of the group in the target, made or renamed if need be, and how many exports that took."""
        job, scim = self._job, self._world.scim
        fingerprint = _fingerprint(group.display_name)
        found = scim.list_groups(f'externalId eq "{group.id}"')["Resources"]
        if found and job.exported_groups.get(group.id) == fingerprint:
            return str(found[0]["id"]), 0
        body = {"displayName": group.display_name, "externalId": group.id}
        found = found or scim.list_groups(f'displayName eq "{group.display_name}"')["Resources"]
        if found:
            operations = [{"op": "replace", "value": body}]
            scim.patch_group(found[0]["id"], {"schemas": [PATCH_SCHEMA], "Operations": operations})
            target, action = str(found[0]["id"]), "update"
        else:
            target = str(scim.create_group({"schemas": [GROUP_SCHEMA], **body, "members": []})["id"])
            action = "create"
            job.exported_members[group.id] = []
        job.exported_groups[group.id] = fingerprint
        self._log(group, action, target, cycle_id, on_demand=on_demand)
        return target, 1

    def _drop_group(self, group_id: str, cycle_id: str) -> int:
        if self._job.exported_groups.pop(group_id, None) is None:
            return 0
        self._job.exported_members.pop(group_id, None)
        found = self._world.scim.list_groups(f'externalId eq "{group_id}"')["Resources"]
        for resource in found:
            self._world.scim.delete_group(resource["id"])
            shown = self._world.directory.find_group(group_id) or Group(group_id, resource["displayName"])
            self._log(shown, "delete", resource["id"], cycle_id)
        return len(found)

    def _patch_members(self, target: str, changes: list[tuple[str, bool]]) -> None:
        ids = self._target_users([each for each, _ in changes])
        known = [(ids[each], present) for each, present in changes if each in ids]
        for index in range(0, len(known), MEMBERS_PER_PATCH):
            operations = [
                {"op": "add", "path": "members", "value": [{"value": user_id}]}
                if present
                else {"op": "remove", "path": f'members[value eq "{user_id}"]'}
                for user_id, present in known[index : index + MEMBERS_PER_PATCH]
            ]
            self._world.scim.patch_group(target, {"schemas": [PATCH_SCHEMA], "Operations": operations})

    def _target_users(self, object_ids: list[str]) -> dict[str, str]:
        store = self._world.identity_store
        found = {}
        for object_id in object_ids:
            user = self._world.directory.find_user(object_id)
            target = store.find_user_by_external_id(object_id)
            if target is None and user is not None:
                target = store.find_user_by_name(user.user_principal_name)
            if target is not None:
                found[object_id] = target.id
        return found

    # ------------------------------------------------------------ one membership, fast or on demand

    def push_member(
        self, group_id: str, user_id: str, *, present: bool, cycle_id: str = "", on_demand: bool = False
    ) -> bool:
        """Carry one membership after a look at the target; False when it was as wanted. Raises ScimError."""
        world, job = self._world, self._job
        group, user = world.directory.group(group_id), world.directory.user(user_id)
        cycle_id = cycle_id or world.dice.guid()
        self._export_user(user, cycle_id, in_scope=True, on_demand=on_demand)
        target, _ = self._ensure_group(group, cycle_id, on_demand=on_demand)
        target_user = self._target_users([user_id]).get(user_id, "")
        there = bool(world.scim.list_groups(f'id eq "{target}" and members eq "{target_user}"')["Resources"])
        sent = set(job.exported_members.get(group_id, []))
        job.exported_members[group_id] = sorted(sent | {user_id} if present else sent - {user_id})
        if there == present:
            return False
        self._patch_members(target, [(user_id, present)])
        self._log(group, "update", target, cycle_id, members=[(user_id, present)], on_demand=on_demand)
        return True

    def group_on_demand(self, group_id: str, members: tuple[str, ...]) -> OnDemandAnswer:
        """provisionOnDemand for a group and some of its members. Raises ScimError when an export is refused."""
        world = self._world
        if not world.directory.is_in_scope(group_id):
            return _skipped("NotEffectivelyEntitled", "The group is not assigned to the application.")
        cycle_id = world.dice.guid()
        group = world.directory.group(group_id)
        target, made = self._ensure_group(group, cycle_id, on_demand=True)
        changed: list[tuple[str, bool]] = []
        for member_id in members:
            present = member_id in group.members
            if world.directory.find_user(member_id) is None:
                continue  # nested groups and strangers are never carried
            if not present and not world.switches.on_demand_removes:
                continue
            if self.push_member(group_id, member_id, present=present, cycle_id=cycle_id, on_demand=True):
                changed.append((member_id, present))
        if not changed and not made:
            return _skipped("RedundantExport", "The state of the entry in source and target already match.")
        action = "Update" if changed or not made else "Create"
        return OnDemandAnswer(
            {"result": "Success", "details": {}}, self._details(group, target, action, cycle_id, changed)
        )

    def user_on_demand(self, user_id: str) -> OnDemandAnswer:
        """provisionOnDemand for a person. Raises ScimError when the export is refused."""
        user = self._world.directory.find_user(user_id)
        in_scope = user_id in self._people_in_scope()
        if user is None or (not in_scope and user_id not in self._job.exported_users):
            return _skipped("NotEffectivelyEntitled", "The user is not assigned to the application.")
        if not user.account_enabled:
            return _skipped("NotEffectivelyEntitled", "People who are disabled are left to the next cycle.")
        cycle_id = self._world.dice.guid()
        if not self._export_user(user, cycle_id, in_scope, on_demand=True):
            return _skipped("RedundantExport", "The state of the entry in source and target already match.")
        target = self._target_users([user_id]).get(user_id, "")
        return OnDemandAnswer(
            {"result": "Success", "details": {}}, self._details(user, target, "Update", cycle_id, [])
        )

    def _details(
        self, subject: User | Group, target: str, action: str, change_id: str, changed: list[tuple[str, bool]]
    ) -> dict[str, Any]:
        kind = "User" if isinstance(subject, User) else "Group"
        now = self._world.now()
        stamp = now.isoformat().replace("+00:00", "Z")
        steps = [
            ("EntryImport", "Import", f"Retrieved {kind} from Microsoft Entra ID"),
            ("EntryImport", "Matching", f"Retrieved {kind} from customappsso"),
            ("EntrySynchronizationScoping", "Scoping", f"Determine if {kind} in scope"),
            (
                f"EntryExport{action}",
                "Export",
                f"{kind} was {'created' if action == 'Create' else 'updated'}",
            ),
        ]
        return {
            "action": action,
            "changeId": change_id,
            "startTime": stamp,
            "endTime": (now + timedelta(seconds=2)).isoformat().replace("+00:00", "Z"),
            "modifiedProperties": _modified(changed),
            "provisioningSteps": [
                {
                    "name": name,
                    "type": step,
                    "status": "Success",
                    "description": text,
                    "timestamp": stamp,
                    "details": {},
                }
                for name, step, text in steps
            ],
            "reportableIdentifier": subject.display_name,
            "statusInfo": {
                "status": "Success",
                "errorCode": None,
                "reason": None,
                "additionalDetails": None,
                "errorCategory": None,
                "recommendedAction": None,
            },
            "sourceIdentity": {
                "id": subject.id,
                "type": kind,
                "displayName": subject.display_name,
                "details": None,
            },
            "sourceSystem": {"id": None, "name": "Microsoft Entra ID", "details": None},
            "targetIdentity": {"id": target, "type": kind, "displayName": None, "details": None},
            "targetSystem": {"id": None, "name": "customappsso", "details": None},
        }

    # ------------------------------------------------------------ log

    def _log(
        self,
        subject: User | Group,
        action: str,
        target: str,
        cycle_id: str,
        *,
        members: list[tuple[str, bool]] | None = None,
        error: ScimError | None = None,
        on_demand: bool = False,
    ) -> None:
        world = self._world
        rows = world.state.provisioning_log
        rows.append(
            ProvisioningLogRow(
                id=world.dice.guid(),
                at=world.now(),
                cycle_id=cycle_id,
                change_id=world.dice.guid(),
                action=action,
                status="failure" if error else "success",
                source_id=subject.id,
                source_name=subject.display_name,
                source_type="User" if isinstance(subject, User) else "Group",
                target_id=target,
                modified=_modified(members or []),
                error_code=error.kind if error else None,
                reason=error.detail if error else None,
                on_demand=on_demand,
            )
        )
        if len(rows) > MOST_LOG:
            del rows[: len(rows) - MOST_LOG]


def _modified(members: list[tuple[str, bool]]) -> list[dict[str, str | None]]:
    return [
        {
            "displayName": "members",
            "oldValue": None if present else member_id,
            "newValue": member_id if present else None,
        }
        for member_id, present in members
    ]


def _skipped(code: str, message: str) -> OnDemandAnswer:
    return OnDemandAnswer({"result": "Skipped", "details": {"errorCode": code, "errorMessage": message}})


def _fingerprint(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
