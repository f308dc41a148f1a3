"""PIM for Groups with a person's own token: selfActivate and selfDeactivate, and getting that token.

Only the person's token travels with these calls, never the worker's own: PIM then holds the person to its own policy
and names the person in its audit.
"""

from __future__ import annotations

from datetime import timedelta
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


class GraphPersonalPim:
    """Implements clients.ports.PersonalPim."""

    def __init__(self, caller: GraphCaller, config: EntraConfig) -> None:
        self._caller = caller
        self._config = config

    def sign_in(self, refresh_token: str, *, context: str = "") -> Reading[PersonTokens]:
        """See the port."""
        return self._caller.elsewhere(
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
            raise errors.SignInNeeded(
                "Entra doesn't accept this person's sign-in for activating any more. Signing in again mends that, "
                "unless the consent for it was withdrawn.",
                code=error.code,
                receipt=error.receipt,
            ) from error
        return Reading(request_from(answer.value), answer.receipt)


def iso_duration(length: timedelta) -> str:
    """Whole seconds as an ISO 8601 duration, rounded down so that it never reaches past the approved end."""
    return f"PT{int(length.total_seconds())}S"
