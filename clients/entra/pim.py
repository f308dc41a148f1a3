"""PIM for Groups through Graph: members only, application mode (adminAssign, adminRemove)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgraph.generated.models.expiration_pattern import ExpirationPattern
from msgraph.generated.models.expiration_pattern_type import ExpirationPatternType
from msgraph.generated.models.privileged_access_group_assignment_schedule_request import (
    PrivilegedAccessGroupAssignmentScheduleRequest,
)
from msgraph.generated.models.privileged_access_group_relationships import PrivilegedAccessGroupRelationships
from msgraph.generated.models.request_schedule import RequestSchedule
from msgraph.generated.models.schedule_request_actions import ScheduleRequestActions
from msgraph.generated.models.ticket_info import TicketInfo

from clients.entra.caller import GraphCaller
from clients.entra.parsing import (
    TICKET_SYSTEM,
    instant,
    is_word,
    personal_tag_of,
    quoted,
    request_status,
    span,
    tag_of,
    with_tag,
)
from clients.entra.policy import policy_from
from clients.types import (
    AssignmentOrder,
    PimAssignment,
    PimEligibility,
    PimPolicy,
    PimRequest,
    Reading,
    RemovalOrder,
)

_PORT = "entra.pim"


def _pim(client: Any) -> Any:
    return client.identity_governance.privileged_access.group


def _filter(group_id: str = "", principal_id: str = "") -> str:
    terms = (("groupId", group_id), ("principalId", principal_id))
    return " and ".join(f"{name} eq {quoted(value)}" for name, value in terms if value)


def _members(answer: Reading[tuple[Any, ...]]) -> list[Any]:
    """Without owners, who are not our business."""
    return [each for each in answer.value if is_word(each.access_id, "member")]


def _eligibility(model: Any) -> PimEligibility:
    return PimEligibility(
        instance_id=model.id,
        group_id=model.group_id or "",
        principal_id=model.principal_id or "",
        starts_at=instant(model.start_date_time),
        ends_at=instant(model.end_date_time),
        through_group=is_word(model.member_type, "group"),
    )


def _assignment(model: Any) -> PimAssignment:
    return PimAssignment(
        instance_id=model.id,
        schedule_id=model.assignment_schedule_id or "",
        group_id=model.group_id or "",
        principal_id=model.principal_id or "",
        starts_at=instant(model.start_date_time),
        ends_at=instant(model.end_date_time),
        activated=is_word(model.assignment_type, "activated"),
    )


def _window(schedule: Any) -> tuple[datetime | None, datetime | None]:
    """Start and end of a schedule, whose expiration is an instant or a duration."""
    if schedule is None:
        return None, None
    starts_at = instant(schedule.start_date_time)
    expiration = schedule.expiration
    if expiration is None:
        return starts_at, None
    ends_at = instant(expiration.end_date_time)
    length = span(expiration.duration)
    if ends_at is None and starts_at is not None and length:
        ends_at = starts_at + length
    return starts_at, ends_at


def request_from(model: Any) -> PimRequest:
    """Our value of an SDK assignmentScheduleRequest."""
    starts_at, ends_at = _window(model.schedule_info)
    action = model.action.value if model.action else ""
    ticket = model.ticket_info
    said = {
        "action": action,
        "ticket_system": (ticket and ticket.ticket_system) or "",
        "ticket_number": (ticket and ticket.ticket_number) or "",
        "justification": model.justification or "",
    }
    return PimRequest(
        request_id=model.id or "",
        group_id=model.group_id or "",
        principal_id=model.principal_id or "",
        action=action,
        status=request_status(model.status or ""),
        vendor_status=model.status or "",
        tag=tag_of(**said),
        personal_tag=personal_tag_of(**said),
        schedule_id=model.target_schedule_id or "",
        created_at=instant(model.created_date_time),
        starts_at=starts_at,
        ends_at=ends_at,
    )


class GraphPim:
    """Implements clients.ports.EntraPim."""

    def __init__(self, caller: GraphCaller) -> None:
        self._caller = caller

    def group_eligibilities(self, group_id: str) -> Reading[tuple[PimEligibility, ...]]:
        """See the port."""
        return self._eligibilities("group_eligibilities", _filter(group_id=group_id))

    def principal_eligibilities(self, principal_id: str) -> Reading[tuple[PimEligibility, ...]]:
        """See the port."""
        return self._eligibilities("principal_eligibilities", _filter(principal_id=principal_id))

    def _eligibilities(self, operation: str, which: str) -> Reading[tuple[PimEligibility, ...]]:
        answer = self._caller.pages(
            operation,
            lambda client: _pim(client).eligibility_schedule_instances,
            port=_PORT,
            filter=which,
        )
        return Reading(tuple(_eligibility(each) for each in _members(answer)), answer.receipt)

    def group_policy(self, group_id: str) -> Reading[PimPolicy]:
        """See the port.

        Raises:
            Refused: when the settings can't be understood completely.
        """
        answer = self._caller.pages(
            "group_policy",
            lambda client: client.policies.role_management_policy_assignments,
            port=_PORT,
            filter=f"scopeId eq {quoted(group_id)} and scopeType eq 'Group' and roleDefinitionId eq 'member'",
            expand=["policy($expand=rules)"],
        )
        return Reading(policy_from(group_id, answer.value, answer.receipt), answer.receipt)

    def assignments(self, group_id: str, *, principal_id: str = "") -> Reading[tuple[PimAssignment, ...]]:
        """See the port."""
        answer = self._caller.pages(
            "assignments",
            lambda client: _pim(client).assignment_schedule_instances,
            port=_PORT,
            filter=_filter(group_id, principal_id),
        )
        return Reading(tuple(_assignment(each) for each in _members(answer)), answer.receipt)

    def requests(self, group_id: str, principal_id: str) -> Reading[tuple[PimRequest, ...]]:
        """See the port."""
        answer = self._caller.pages(
            "requests",
            lambda client: _pim(client).assignment_schedule_requests,
            port=_PORT,
            filter=_filter(group_id, principal_id),
            orderby=["createdDateTime desc"],
        )
        found = [request_from(each) for each in _members(answer)]
        found.sort(key=lambda each: each.created_at.timestamp() if each.created_at else 0.0, reverse=True)
        return Reading(tuple(found), answer.receipt)

    def assign(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        """See the port. Start and end are instants, so that sending the order again never moves the end."""
        return self._post(
            "assign", self._with_window(ScheduleRequestActions.AdminAssign, order), client_request_id
        )

    def extend(self, order: AssignmentOrder, *, client_request_id: str) -> Reading[PimRequest]:
        """See the port."""
        return self._post(
            "extend", self._with_window(ScheduleRequestActions.AdminUpdate, order), client_request_id
        )

    def _with_window(self, action: Any, order: AssignmentOrder) -> Any:
        body = self._body(action, order)
        body.schedule_info = RequestSchedule(
            start_date_time=order.starts_at,
            expiration=ExpirationPattern(
                type=ExpirationPatternType.AfterDateTime, end_date_time=order.ends_at
            ),
        )
        return body

    def remove(self, order: RemovalOrder, *, client_request_id: str) -> Reading[PimRequest]:
        """See the port."""
        body = self._body(ScheduleRequestActions.AdminRemove, order)
        return self._post("remove", body, client_request_id)

    def _body(self, action: Any, order: AssignmentOrder | RemovalOrder) -> Any:
        return PrivilegedAccessGroupAssignmentScheduleRequest(
            access_id=PrivilegedAccessGroupRelationships.Member,
            action=action,
            group_id=order.group_id,
            principal_id=order.principal_id,
            justification=with_tag(order.justification, order.tag),
            ticket_info=TicketInfo(ticket_number=order.tag, ticket_system=TICKET_SYSTEM),
        )

    def _post(self, operation: str, body: Any, client_request_id: str) -> Reading[PimRequest]:
        answer = self._caller.post(
            operation,
            lambda client: _pim(client).assignment_schedule_requests,
            body,
            port=_PORT,
            client_request_id=client_request_id,
        )
        return Reading(request_from(answer.value), answer.receipt)
