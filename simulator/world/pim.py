"""PIM for Groups: requests, schedules, instances and approvals.

A request is what somebody asked for, a schedule what holds or will hold, an instance what holds now.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from simulator.world import pim_rules
from simulator.world.errors import bad_request, forbidden, not_found
from simulator.world.pim_approvals import PENDING, PimApprovals
from simulator.world.pim_reads import Instance
from simulator.world.pim_rules import SHORTEST, Ask, Caller, Window
from simulator.world.state import Group, Policy, Schedule, ScheduleRequest

__all__ = ["Ask", "Caller", "Instance", "Pim"]
ADMINISTRATORS = {
    False: {
        "Directory Writers",
        "Groups Administrator",
        "Identity Governance Administrator",
        "User Administrator",
    },
    True: {"Privileged Role Administrator"},
}


class Pim(PimApprovals):
    """PIM for Groups of the tenant."""

    def request_assignment(self, ask: Ask, caller: Caller) -> ScheduleRequest:
        """Handle a POST to assignmentScheduleRequests. Raises WorldError with the documented code."""
        handlers = {
            "adminassign": self._admin_assign,
            "adminupdate": self._admin_update,
            "adminextend": self._admin_update,
            "adminrenew": self._admin_update,
            "adminremove": self._admin_remove,
            "selfactivate": self._self_activate,
            "selfdeactivate": self._self_deactivate,
        }
        handler = handlers.get(ask.action.lower())
        if handler is None:
            raise bad_request("InvalidRoleAssignmentRequest", f"The action '{ask.action}' is not supported.")
        group = self._check_target(ask)
        self._authorise(ask, caller, group)
        return handler(ask, caller)

    def request_eligibility(self, ask: Ask, caller: Caller) -> ScheduleRequest:
        """Handle a POST to eligibilityScheduleRequests. Raises WorldError with the documented code."""
        group = self._check_target(ask)
        self._authorise(ask, caller, group)
        action = ask.action.lower()
        existing = self._open(ask, "eligibility")
        now = self._world.now()
        if action == "adminremove":
            if existing is None:
                raise pim_rules.does_not_exist()
            return self._remove(ask, caller, [existing])
        if action not in ("adminassign", "adminupdate", "adminextend", "adminrenew"):
            raise bad_request("InvalidRoleAssignmentRequest", f"The action '{ask.action}' is not supported.")
        span = pim_rules.window(ask, now)
        policy = self._world.policies.policy(ask.group_id, ask.access_id)
        pim_rules.check_policy(pim_rules.eligibility_failures(policy, span))
        if action == "adminassign":
            if existing is not None:
                raise pim_rules.exists()
            return self._grant(ask, caller, span, kind="eligibility")
        if existing is None:
            raise pim_rules.does_not_exist()
        return self._update(ask, caller, existing, span.end)

    def _check_target(self, ask: Ask) -> Group:
        group = self._world.directory.find_group(ask.group_id)
        if group is None:
            raise not_found(ask.group_id, self._world.switches.missing_group_code)
        self.check_manageable(group)
        if ask.access_id not in ("member", "owner"):
            raise bad_request(
                "InvalidRoleAssignmentRequest", f"'{ask.access_id}' is neither member nor owner."
            )
        directory = self._world.directory
        if directory.find_user(ask.principal_id) is None and directory.find_group(ask.principal_id) is None:
            raise not_found(ask.principal_id, self._world.switches.missing_principal_code)
        return group

    def check_manageable(self, group: Group) -> None:
        """Raises WorldError 400 for groups that PIM can't manage: dynamic ones and those from on-premises."""
        if "DynamicMembership" in group.group_types or group.on_premises_sync_enabled:
            raise bad_request(
                "InvalidRoleAssignmentRequest",
                "Dynamic groups and groups synchronized from on-premises can't be managed by PIM.",
            )

    def _authorise(self, ask: Ask, caller: Caller, group: Group) -> None:
        if ask.action.lower().startswith("self"):
            if caller.user_id != ask.principal_id:
                raise forbidden("A person activates for himself or herself, with a delegated token.")
            return
        if caller.is_application:
            if group.is_assignable_to_role and not self._world.switches.app_may_assign_role_assignable:
                raise forbidden("Insufficient privileges to complete the operation.")
            return
        user = self._world.directory.user(caller.user_id or "")
        roles = ADMINISTRATORS[group.is_assignable_to_role]
        if user.id not in group.owners and not roles & set(user.directory_roles):
            raise forbidden("Insufficient privileges to complete the operation.")

    def _admin_assign(self, ask: Ask, caller: Caller) -> ScheduleRequest:
        span = pim_rules.window(ask, self._world.now())
        policy = self._world.policies.policy(ask.group_id, ask.access_id)
        needs_mfa = self._world.switches.admin_mfa_rule_blocks_app
        pim_rules.check_policy(pim_rules.admin_failures(policy, ask, span, caller, app_needs_mfa=needs_mfa))
        self._check_free(ask)
        if span.length is not None and span.length < SHORTEST:
            raise pim_rules.too_short()
        return self._grant(ask, caller, span, kind="assignment")

    def _self_activate(self, ask: Ask, caller: Caller) -> ScheduleRequest:
        span = pim_rules.window(ask, self._world.now())
        policy = self._world.policies.policy(ask.group_id, ask.access_id)
        eligibility = self._eligibility(ask)
        pim_rules.check_policy(
            pim_rules.activation_failures(policy, ask, span, caller, eligible=eligibility is not None)
        )
        pim_rules.check_context(policy, caller, code=self._world.switches.context_refusal_code)
        self._check_free(ask)
        if span.length is not None and span.length < SHORTEST:
            raise pim_rules.too_short()
        if policy.approval_required and not ask.validation_only:
            return self._ask_approval(ask, caller, policy)
        return self._grant(ask, caller, span, kind="assignment", eligibility=eligibility)

    def _eligibility(self, ask: Ask) -> Instance | None:
        return next(
            (
                row
                for row in self.instances_of(ask.principal_id, "eligibility")
                if (row.group_id, row.access_id) == (ask.group_id, ask.access_id)
            ),
            None,
        )

    def _check_free(self, ask: Ask) -> None:
        """Raises WorldError when the pair has an assignment, a future one, or an activation to be approved."""
        group = self._world.directory.group(ask.group_id)
        holders = group.members if ask.access_id == "member" else group.owners
        if self._open(ask, "assignment") is not None or ask.principal_id in holders:
            raise pim_rules.exists()
        for row in self._requests_by_group.get(ask.group_id, []):
            if row.status == PENDING and (row.principal_id, row.access_id) == (
                ask.principal_id,
                ask.access_id,
            ):
                raise bad_request(
                    self._world.switches.pending_request_code, "There is already a pending request."
                )

    def _open(self, ask: Ask, kind: str) -> Schedule | None:
        rows = self._open_all(ask, kind)
        return rows[0] if rows else None

    def _open_all(self, ask: Ask, kind: str) -> list[Schedule]:
        return [
            row
            for row in self._by_group.get(ask.group_id, [])
            if row.kind == kind
            and row.ended_at is None
            and (row.principal_id, row.access_id) == (ask.principal_id, ask.access_id)
        ]

    def _admin_update(self, ask: Ask, caller: Caller) -> ScheduleRequest:
        """Move the end of the pair's assignment, a running one too; its start stays.

        Terraform's provider changes assignments this way; the details are switches.
        """
        existing = self._open(ask, "assignment")
        if existing is None:
            raise pim_rules.does_not_exist()
        switches, now = self._world.switches, self._world.now()
        if existing.started_at is not None and not switches.update_reaches_running:
            raise bad_request("InvalidRoleAssignmentRequest", "An assignment that runs can't be changed.")
        since = existing.start if existing.started_at is None or switches.update_counts_from_start else None
        span = pim_rules.window(ask, now, since=since)
        policy = self._world.policies.policy(ask.group_id, ask.access_id)
        pim_rules.check_policy(
            pim_rules.admin_failures(
                policy,
                ask,
                Window(existing.start, span.end),
                caller,
                app_needs_mfa=switches.admin_mfa_rule_blocks_app,
            )
        )
        if span.end is not None and span.end - existing.start < SHORTEST:
            raise pim_rules.too_short()
        if switches.update_keeps_schedule:
            return self._update(ask, caller, existing, span.end)
        return self._supersede(ask, caller, existing, span.end)

    def _update(self, ask: Ask, caller: Caller, schedule: Schedule, end: datetime | None) -> ScheduleRequest:
        request = self._request(ask, caller, kind=schedule.kind, target=schedule.id)
        if not ask.validation_only:
            schedule.end = end
            schedule.modified_at = self._world.now()
            if end is not None:
                self._world.schedule(end, "pim.end", schedule_id=schedule.id)
        return request

    def _supersede(self, ask: Ask, caller: Caller, old: Schedule, end: datetime | None) -> ScheduleRequest:
        """Another schedule, with an id of its own, takes the place of `old`; the membership stays throughout."""
        request = self._request(ask, caller, kind=old.kind, target=None, start=old.start)
        if ask.validation_only:
            return request
        now = self._world.now()
        new = replace(
            old,
            id=request.target_schedule_id or "",
            end=end,
            created_at=now,
            created_using=request.id,
            instance_id=f"{old.group_id}_{old.access_id}_{self._world.dice.guid()}",
            modified_at=now,
        )
        self._world.state.schedules[new.id] = new
        self.index(new)
        old.ended_at = now
        member = self._world.directory.group(old.group_id).members.get(old.principal_id)
        if member is not None and member.schedule_id == old.id:
            member.schedule_id = new.id
        if new.started_at is None:
            self._world.schedule(new.start, "pim.start", schedule_id=new.id)
        if end is not None:
            self._world.schedule(end, "pim.end", schedule_id=new.id)
        return request

    def _admin_remove(self, ask: Ask, caller: Caller) -> ScheduleRequest:
        group = self._world.directory.group(ask.group_id)
        rows = self._open_all(ask, "assignment")
        if not self._world.switches.admin_remove_reaches_future:
            rows = [row for row in rows if row.started_at is not None]
        if rows:
            return self._remove(ask, caller, rows)
        if ask.access_id != "member" or ask.principal_id not in group.members:
            raise pim_rules.does_not_exist()
        if self._world.now() - group.members[ask.principal_id].added_at < SHORTEST:
            raise pim_rules.too_short()
        request = self._request(ask, caller, kind="assignment", target=None, status="Revoked")
        if not ask.validation_only:
            self._world.directory.take_member(group, ask.principal_id)
        return request

    def _self_deactivate(self, ask: Ask, caller: Caller) -> ScheduleRequest:
        rows = [row for row in self._open_all(ask, "assignment") if row.assignment_type == "activated"]
        if not rows:
            raise pim_rules.does_not_exist()
        return self._remove(ask, caller, rows)

    def _remove(self, ask: Ask, caller: Caller, rows: list[Schedule]) -> ScheduleRequest:
        now = self._world.now()
        for row in rows:
            if row.kind == "assignment" and row.started_at is not None and now - row.started_at < SHORTEST:
                raise pim_rules.too_short()
        request = self._request(ask, caller, kind=rows[0].kind, target=rows[0].id, status="Revoked")
        if not ask.validation_only:
            for row in rows:
                self._end(row, f"removed ({ask.action})")
        return request

    def _request(
        self,
        ask: Ask,
        caller: Caller,
        *,
        kind: str,
        target: str | None,
        status: str = "Provisioned",
        start: datetime | None = None,
    ) -> ScheduleRequest:
        now = self._world.now()
        echo = self._world.switches.echo_ticket_info
        request_id = self._world.dice.guid()
        request = ScheduleRequest(
            id=request_id,
            kind=kind,
            action=ask.action,
            status="Granted" if ask.validation_only else status,
            group_id=ask.group_id,
            principal_id=ask.principal_id,
            access_id=ask.access_id,
            created_at=now,
            created_by=caller.identity,
            completed_at=None if status == PENDING else now,
            custom_data=ask.custom_data,
            justification=ask.justification,
            ticket_number=ask.ticket_number if echo else None,
            ticket_system=ask.ticket_system if echo else None,
            is_validation_only=ask.validation_only,
            start=start or ask.start or (now if ask.expiration is not None else None),
            expiration=ask.expiration,
            target_schedule_id=target or f"{ask.group_id}_{ask.access_id}_{request_id}",
        )
        if not ask.validation_only:
            self._world.policies.onboard(self._world.directory.group(ask.group_id))
            self._world.state.requests[request.id] = request
            self._requests_by_group[request.group_id].append(request)
            names = self._world.directory
            self._world.journal(
                "PIM request",
                f"{ask.action} of {names.name(ask.principal_id)} for {names.name(ask.group_id)}: {request.status}",
                request=request.id,
            )
        return request

    def _grant(
        self,
        ask: Ask,
        caller: Caller,
        span: Window,
        *,
        kind: str,
        eligibility: Instance | None = None,
    ) -> ScheduleRequest:
        status = "Granted" if span.future else "Provisioned"
        request = self._request(ask, caller, kind=kind, target=None, status=status, start=span.start)
        if not ask.validation_only:
            self._put_schedule(request, span, eligibility)
        return request

    def _put_schedule(self, request: ScheduleRequest, span: Window, eligibility: Instance | None) -> None:
        prefix = f"{request.group_id}_{request.access_id}"
        schedule = Schedule(
            id=request.target_schedule_id or f"{prefix}_{request.id}",
            kind=request.kind,
            group_id=request.group_id,
            principal_id=request.principal_id,
            access_id=request.access_id,
            start=span.start,
            end=span.end,
            created_at=self._world.now(),
            created_using=request.id,
            instance_id=f"{prefix}_{self._world.dice.guid()}",
            status="Granted" if span.future else "Provisioned",
            member_type=eligibility.member_type if eligibility else "direct",
            assignment_type="activated" if eligibility else "assigned",
            activated_using=eligibility.schedule_id if eligibility else None,
        )
        self._world.state.schedules[schedule.id] = schedule
        self.index(schedule)
        if span.future:
            self._world.schedule(span.start, "pim.start", schedule_id=schedule.id)
        else:
            self._begin(schedule)
        if span.end is not None:
            self._world.schedule(span.end, "pim.end", schedule_id=schedule.id)

    def _begin(self, schedule: Schedule) -> None:
        schedule.started_at = self._world.now()
        schedule.status = "Provisioned"
        group = self._world.directory.find_group(schedule.group_id)
        if schedule.kind != "assignment" or group is None:
            return
        if schedule.access_id == "owner":
            group.owners.append(schedule.principal_id)
            return
        self._world.directory.put_member(group, schedule.principal_id, schedule_id=schedule.id)
        self._world.provisioning.activated(
            group.id, schedule.principal_id, by_person=schedule.assignment_type == "activated"
        )

    def _end(self, schedule: Schedule, why: str) -> None:
        schedule.ended_at = self._world.now()
        group = self._world.directory.find_group(schedule.group_id)
        names = self._world.directory
        self._world.journal(
            f"PIM {schedule.kind} ended",
            f"{names.name(schedule.principal_id)} in {names.name(schedule.group_id)}: {why}",
            schedule=schedule.id,
        )
        if schedule.kind != "assignment" or group is None:
            return
        if schedule.access_id == "owner" and schedule.principal_id in group.owners:
            group.owners.remove(schedule.principal_id)
        member = group.members.get(schedule.principal_id)
        if member is not None and member.schedule_id == schedule.id:
            self._world.directory.take_member(group, schedule.principal_id)

    def cancel(self, request_id: str, caller: Caller) -> None:
        """Cancel a request that waits for approval or lies in the future. Raises WorldError 404, 400, 403."""
        request = self.request(request_id)
        group = self._world.directory.group(request.group_id)
        if not caller.is_application and caller.user_id != request.principal_id:
            self._authorise(Ask("adminRemove", request.group_id, request.principal_id), caller, group)
        if request.status not in (PENDING, "Granted"):
            raise bad_request("InvalidRoleAssignmentRequest", f"A request that is {request.status} stays.")
        schedule = self._world.state.schedules.get(request.target_schedule_id or "")
        if schedule is not None:
            if schedule.started_at is not None:
                raise bad_request("InvalidRoleAssignmentRequest", "The assignment has begun.")
            self._end(schedule, "canceled")
        request.status, request.completed_at = "Canceled", self._world.now()
        self.close_approval(request, "Canceled")

    def _ask_approval(self, ask: Ask, caller: Caller, policy: Policy) -> ScheduleRequest:
        request = self._request(ask, caller, kind="assignment", target=None, status=PENDING)
        self.open_approval(request, policy)
        return request

    def begin_approved(self, request: ScheduleRequest) -> None:
        """The approved activation begins now, or at its start if that is still to come."""
        ask = Ask(
            request.action,
            request.group_id,
            request.principal_id,
            request.access_id,
            request.start,
            request.expiration,
        )
        span = pim_rules.window(ask, self._world.now())
        request.status = "Granted" if span.future else "Provisioned"
        self._put_schedule(request, span, self._eligibility(ask))

    # ------------------------------------------------------------ what happens by itself or elsewhere

    def on_start(self, schedule_id: str) -> None:
        """Due: a future schedule begins."""
        schedule = self._world.state.schedules.get(schedule_id)
        if schedule is not None and schedule.ended_at is None and schedule.started_at is None:
            request = self._world.state.requests.get(schedule.created_using or "")
            if request is not None:
                request.status = "Provisioned"
            self._begin(schedule)

    def on_end(self, schedule_id: str) -> None:
        """Due: a schedule's end has come, unless it was moved."""
        schedule = self._world.state.schedules.get(schedule_id)
        if (
            schedule is not None
            and schedule.ended_at is None
            and schedule.end is not None
            and schedule.end <= self._world.now()
        ):
            self._end(schedule, "expired")

    def end_late(self, group_id: str, principal_id: str, by: timedelta) -> None:
        """Carry out the end of a running assignment later than it says. Raises WorldError 404 without one."""
        row = self._open(Ask("adminRemove", group_id, principal_id), "assignment")
        if row is None or row.end is None:
            raise not_found(f"{group_id}_member_{principal_id}", "ResourceNotFound")
        self._world.postpone("pim.end", by, schedule_id=row.id)

    def ended_elsewhere(self, group_id: str, principal_id: str) -> None:
        """A member was removed by other means: PIM's running assignment of the pair ends."""
        for row in self._by_group.get(group_id, []):
            if (
                row.kind == "assignment"
                and row.principal_id == principal_id
                and row.access_id == "member"
                and row.started_at is not None
                and row.ended_at is None
            ):
                self._end(row, "removed by other means")

    def backdate_eligibility(self, ask: Ask, caller: Caller, span: Window) -> None:
        """For sample data: an eligibility that began in the past and may be over; no rule is checked."""
        request = self._request(ask, caller, kind="eligibility", target=None, start=span.start)
        request.created_at = request.completed_at = span.start
        self._put_schedule(request, span, None)
        schedule = self._world.state.schedules[request.target_schedule_id or ""]
        schedule.created_at = schedule.started_at = span.start
        if span.end is not None and span.end <= self._world.now():
            schedule.ended_at = span.end

    def end_eligibility(self, group_id: str, principal_id: str) -> None:
        """An administrator takes an eligibility away. Raises WorldError when there is none."""
        rows = [
            row
            for row in self._by_group.get(group_id, [])
            if row.kind == "eligibility" and row.principal_id == principal_id and row.ended_at is None
        ]
        if not rows:
            raise pim_rules.does_not_exist()
        for row in rows:
            self._end(row, "taken away by an administrator")

    def group_deleted(self, group_id: str) -> None:
        """A group goes: all its schedules end."""
        for row in [*self._by_group.get(group_id, []), *self._by_principal.get(group_id, [])]:
            if row.ended_at is None:
                self._end(row, "group deleted")
