"""PIM for Groups with a person's own token: selfActivate and selfDeactivate, and getting that token.

Only the person's token travels with these calls, never the worker's own: PIM then holds the person to its own policy
and names the person in its audit.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msgraph.generated.models.approval_stage import ApprovalStage
from msgraph.generated.models.expiration_pattern import ExpirationPattern
from msgraph.generated.models.expiration_pattern_type import ExpirationPatternType
from msgraph.generated.models.privileged_access_group_assignment_schedule_request import (
    PrivilegedAccessGroupAssignmentScheduleRequest,
)
from msgraph.generated.models.privileged_access_group_relationships import PrivilegedAccessGroupRelationships
from msgraph.generated.models.request_schedule import RequestSchedule
from msgraph.generated.models.schedule_request_actions import ScheduleRequestActions
from msgraph.generated.models.ticket_info import TicketInfo

from clients import errors
from clients.entra.caller import GraphCaller
from clients.entra.config import EntraConfig
from clients.entra.parsing import TICKET_SYSTEM, with_tag
from clients.entra.pim import request_from
from clients.entra.refreshing import refresh
from clients.types import AssignmentOrder, PersonTokens, PimRequest, Reading, RemovalOrder

_PORT = "entra.personal"
# What the person's own ticket is filed under, so that it is never taken for the portal's mark.
PERSONS_TICKET = "reference"
# Graph's codes for a path that it doesn't know, and for a token that it doesn't take.
_NO_SEGMENT = "BadRequest"
_NO_TOKEN = frozenset({"InvalidAuthenticationToken", "401"})


class GraphPersonalPim:
    """Implements clients.ports.PersonalPim."""

    def __init__(self, caller: GraphCaller, config: EntraConfig) -> None:
        self._caller = caller
        self._config = config

    def sign_in(self, refresh_token: str, *, context: str = "") -> Reading[PersonTokens]:
        """See the port."""
        return self._caller.at_sign_in(
            "POST token", lambda: refresh(self._config, refresh_token, context=context), port=_PORT
        )

    def activate(
        self, order: AssignmentOrder, tokens: PersonTokens, *, client_request_id: str
    ) -> Reading[PimRequest]:
        """See the port. The duration is text: the SDK would write a timedelta as H:MM:SS, which Graph refuses."""
        expiration: Any = ExpirationPattern(type=ExpirationPatternType.AfterDuration)
        expiration.duration = iso_duration(order.ends_at - order.starts_at)
        body = self._body(ScheduleRequestActions.SelfActivate, order)
        body.schedule_info = RequestSchedule(start_date_time=order.starts_at, expiration=expiration)
        if order.ticket:
            body.ticket_info = TicketInfo(ticket_number=order.ticket, ticket_system=PERSONS_TICKET)
        return self._post("activate", body, tokens, client_request_id)

    def deactivate(
        self, order: RemovalOrder, tokens: PersonTokens, *, client_request_id: str
    ) -> Reading[PimRequest]:
        """See the port."""
        body = self._body(ScheduleRequestActions.SelfDeactivate, order)
        return self._post("deactivate", body, tokens, client_request_id)

    def approve(
        self, request_id: str, tokens: PersonTokens, *, justification: str, client_request_id: str
    ) -> Reading[None]:
        """See the port. The approval has the request's id, and its one stage too.

        Microsoft's page calls the parts of an approval `steps`, its metadata and the SDK `stages`: the second is tried
        when the first is refused as unknown, which changes nothing.
        """
        body = ApprovalStage(review_result="Approve", justification=justification)

        def stage(client: Any) -> Any:
            approvals = client.identity_governance.privileged_access.group.assignment_approvals
            return approvals.by_approval_id(request_id).stages.by_approval_stage_id(request_id)

        def step(client: Any) -> Any:
            path = f"identityGovernance/privilegedAccess/group/assignmentApprovals/{request_id}/steps/{request_id}"
            return stage(client).with_url(f"{self._config.graph_base_url}/{path}")

        def attempt(builder: Callable[[Any], Any]) -> Reading[None]:
            with self._caller.as_person(tokens.access_token):
                return self._caller.send(
                    "approve",
                    builder,
                    lambda at: at.patch(body),
                    port=_PORT,
                    client_request_id=client_request_id,
                )

        try:
            return attempt(stage)
        except errors.Refused as error:
            if error.code != _NO_SEGMENT:
                raise self._approvers(error) from error
        try:
            return attempt(step)
        except errors.Refused as error:
            raise self._approvers(error) from error

    def withdraw(self, request_id: str, tokens: PersonTokens, *, client_request_id: str) -> Reading[None]:
        """See the port."""
        try:
            with self._caller.as_person(tokens.access_token):
                return self._caller.send(
                    "withdraw",
                    lambda client: (
                        client.identity_governance.privileged_access.group.assignment_schedule_requests.by_privileged_access_group_assignment_schedule_request_id(
                            request_id
                        ).cancel
                    ),
                    lambda at: at.post(),
                    port=_PORT,
                    client_request_id=client_request_id,
                )
        except errors.NotPermitted as error:
            raise _signed_out(error) from error

    def _approvers(self, error: errors.Refused) -> errors.Refused:
        """What a refused approval means: a token that is over, or somebody whom PIM doesn't let approve."""
        if not isinstance(error, errors.NotPermitted):
            return error
        if error.code in _NO_TOKEN:
            return _signed_out(error)
        return errors.Refused(
            "PIM doesn't count this person among the approvers of this group.",
            code=error.code,
            receipt=error.receipt,
        )

    def _body(self, action: Any, order: AssignmentOrder | RemovalOrder) -> Any:
        return PrivilegedAccessGroupAssignmentScheduleRequest(
            access_id=PrivilegedAccessGroupRelationships.Member,
            action=action,
            group_id=order.group_id,
            principal_id=order.principal_id,
            justification=with_tag(order.justification, order.tag),
            ticket_info=TicketInfo(ticket_number=order.tag, ticket_system=TICKET_SYSTEM),
        )

    def _post(
        self, operation: str, body: Any, tokens: PersonTokens, client_request_id: str
    ) -> Reading[PimRequest]:
        try:
            with self._caller.as_person(tokens.access_token):
                answer = self._caller.post(
                    operation,
                    lambda client: (
                        client.identity_governance.privileged_access.group.assignment_schedule_requests
                    ),
                    body,
                    port=_PORT,
                    client_request_id=client_request_id,
                )
        except errors.NotPermitted as error:
            raise _signed_out(error) from error
        return Reading(request_from(answer.value), answer.receipt)


def _signed_out(error: errors.ClientError) -> errors.SignInNeeded:
    return errors.SignInNeeded(
        "Entra doesn't accept this person's sign-in for this any more. Signing in again mends that, unless the consent "
        "for it was withdrawn.",
        code=error.code,
        receipt=error.receipt,
    )


def iso_duration(length: timedelta) -> str:
    """Whole seconds as an ISO 8601 duration, rounded down so that it never reaches past the approved end."""
    return f"PT{int(length.total_seconds())}S"
