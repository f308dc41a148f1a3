"""Activation as the person over a simulated world in the same process. Here a token is what it proves, in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from clients import errors
from clients.types import AssignmentOrder, PersonTokens, PimRequest, Reading, Receipt, RemovalOrder
from simulator.world.pim import Ask, Caller
from simulator.world.state import Expiration, Identity
from tests.support.world_port import WorldPort
from tests.support.world_requests import request_from

SIGNED_IN = "signin"  # the client id of people's sign-in
SIGN_IN = "entra.POST token"
PIM_POST = "graph.POST assignmentScheduleRequests"
PIM_PATCH = "graph.PATCH assignmentApprovals"
PIM_CANCEL = "graph.POST assignmentScheduleRequests/cancel"


def token_for(
    object_id: str, *, contexts: Iterable[str] = (), mfa: bool = True, withdrawn: bool = False
) -> str:
    """What signing in, with these authentication contexts, leaves with the portal; `withdrawn`: Entra takes it no more."""
    said = {"person": object_id, "contexts": sorted(contexts), "mfa": mfa, "withdrawn": withdrawn}
    return json.dumps(said)


class WorldPersonalPim(WorldPort):
    def sign_in(self, refresh_token: str, *, context: str = "") -> Reading[PersonTokens]:
        def answer() -> PersonTokens:
            said = json.loads(refresh_token)
            user = self._world.directory.find_user(said["person"])
            if user is None or not user.account_enabled or said["withdrawn"]:
                raise errors.SignInNeeded(
                    "Entra doesn't accept the sign-in any more.", code="AADSTS50057", receipt=Receipt("")
                )
            if context and context not in said["contexts"]:
                claims = {"access_token": {"acrs": {"essential": True, "value": context}}}
                raise errors.StepUpRequired(
                    "Entra asks for more.", claims=json.dumps(claims), code="AADSTS50076", receipt=Receipt("")
                )
            proven = {**said, "contexts": [context] if context else []}
            return PersonTokens(json.dumps(proven), refresh_token)

        return self._read(SIGN_IN, answer)

    def activate(
        self, order: AssignmentOrder, tokens: PersonTokens, *, client_request_id: str
    ) -> Reading[PimRequest]:
        seconds = int((order.ends_at - order.starts_at).total_seconds())
        return self._ask(
            "selfActivate",
            order,
            tokens,
            client_request_id,
            start=order.starts_at,
            expiration=Expiration("afterDuration", duration=f"PT{seconds}S"),
            ticket=order.ticket,
        )

    def deactivate(
        self, order: RemovalOrder, tokens: PersonTokens, *, client_request_id: str
    ) -> Reading[PimRequest]:
        return self._ask("selfDeactivate", order, tokens, client_request_id)

    def approve(
        self, request_id: str, tokens: PersonTokens, *, justification: str, client_request_id: str
    ) -> Reading[None]:
        def answer() -> None:
            self._world.pim.decide(request_id, request_id, _caller(tokens), "Approve", justification)

        try:
            return self._write(PIM_PATCH, answer, client_request_id)
        except errors.NotPermitted as error:
            raise errors.Refused(error.sentence, code=error.code, receipt=error.receipt) from error

    def withdraw(self, request_id: str, tokens: PersonTokens, *, client_request_id: str) -> Reading[None]:
        return self._write(
            PIM_CANCEL, lambda: self._world.pim.cancel(request_id, _caller(tokens)), client_request_id
        )

    def _ask(
        self,
        action: str,
        order: AssignmentOrder | RemovalOrder,
        tokens: PersonTokens,
        client_request_id: str,
        *,
        ticket: str = "",
        **schedule: Any,
    ) -> Reading[PimRequest]:
        ask = Ask(
            action,
            order.group_id,
            order.principal_id,
            justification=f"{order.justification} [access-portal:{order.tag}]",
            ticket_number=ticket or order.tag,
            ticket_system="reference" if ticket else "access-portal",
            **schedule,
        )
        return self._write(
            PIM_POST,
            lambda: request_from(self._world.pim.request_assignment(ask, _caller(tokens))),
            client_request_id,
        )


def _caller(tokens: PersonTokens) -> Caller:
    said = json.loads(tokens.access_token)
    who = Identity(SIGNED_IN, "Access Portal", said["person"], None)
    return Caller(who, said["person"], mfa=said["mfa"], acrs=frozenset(said["contexts"]))
