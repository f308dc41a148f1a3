"""CloudTrail: what sessions and sign-ins did, per account and Region, for ninety days.

The shapes are those of section 5 of the AWS contract. What the vendor doesn't document is a switch: whether sessions of
permission sets carry `onBehalfOf`, whether `Username` is the session's name, how long an event takes to appear.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.world.aws_state import PermissionSet, PortalSession, RoleSession, TrailEvent

if TYPE_CHECKING:
    from simulator.world.world import World

KEPT = timedelta(days=90)
MOST = 50_000
SIGN_IN_SOURCE = "sso.amazonaws.com"
ADDRESS = "192.0.2.10"
READS = ("Get", "List", "Describe", "Head", "Lookup", "Search", "View")


def is_read(operation: str) -> bool:
    """Whether an operation of this name reads only, by the vendors' habit."""
    return operation.startswith(READS)


class Trail:
    """The events of the whole organization."""

    def __init__(self, world: "World") -> None:
        self._world = world

    @property
    def _events(self) -> list[TrailEvent]:
        return self._world.state.organization.trail

    def visible(self, account_id: str, region: str) -> list[TrailEvent]:
        """Events of an account and Region that have appeared and are younger than ninety days, newest first."""
        now = self._world.now()
        appeared = now - timedelta(seconds=self._world.switches.trail_delay_seconds)
        return [
            each
            for each in reversed(self._events)
            if (each.account_id, each.region) == (account_id, region) and now - KEPT < each.at <= appeared
        ]

    # ------------------------------------------------------------ what is recorded

    def signed_in(self, session: PortalSession) -> None:
        """A sign-in to the access portal: the only one of Identity Center's events with the user's name."""
        name = self._world.identity_store.user(session.user_id).user_name
        self._of_identity_center(
            "Authenticate",
            session.user_id,
            session.id,
            additional={"CredentialType": "EXTERNAL_IDP", "UserName": name},
        )

    def federated(self, session: RoleSession, portal_session_id: str, permission_set: PermissionSet) -> None:
        """A role session that is opened in the portal."""
        details = {"account_id": session.account_id, "role_name": permission_set.name}
        self._of_identity_center("Federate", session.user_id, portal_session_id, details=details)

    def acted(
        self,
        session: RoleSession,
        role: tuple[str, str],
        action: str,
        *,
        region: str = "",
        resource: str = "*",
        refusal: str = "",
    ) -> None:
        """Something that a role session did, or was refused. `role`: name and ARN of its role."""
        service, _, operation = action.partition(":")
        role_name, _ = role
        record = {
            "userIdentity": self._assumed_role(session, role),
            "eventSource": f"{service}.amazonaws.com",
            "eventName": operation,
            "userAgent": "aws-cli/2",
            "eventType": "AwsApiCall",
        }
        if refusal:
            arn = f"arn:aws:sts::{session.account_id}:assumed-role/{role_name}/{session.session_name}"
            record |= {
                "errorCode": "AccessDenied",
                "errorMessage": f"User: {arn} is not authorized to perform: {action} with an explicit deny",
            }
        by_name = self._world.switches.trail_username_is_session_name
        self._append(
            record,
            account_id=session.account_id,
            region=region or self._world.state.identity_center.region,
            username=session.session_name if by_name else role_name,
            access_key_id=session.access_key_id,
            resources=[] if resource == "*" else [resource],
        )

    def _assumed_role(self, session: RoleSession, role: tuple[str, str]) -> dict[str, Any]:
        (name, arn), role_id = role, self._world.access_portal.role_id(session)
        identity: dict[str, Any] = {
            "type": "AssumedRole",
            "principalId": f"{role_id}:{session.session_name}",
            "arn": f"arn:aws:sts::{session.account_id}:assumed-role/{name}/{session.session_name}",
            "accountId": session.account_id,
            "accessKeyId": session.access_key_id,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": role_id,
                    "arn": arn,
                    "accountId": session.account_id,
                    "userName": name,
                },
                "attributes": {"creationDate": _stamp(session.started_at), "mfaAuthenticated": "false"},
            },
        }
        if self._world.switches.sessions_carry_on_behalf_of:
            identity["onBehalfOf"] = self._on_behalf_of(session.user_id)
        return identity

    def _of_identity_center(
        self,
        name: str,
        user_id: str,
        credential_id: str,
        *,
        additional: Mapping[str, str] | None = None,
        details: Mapping[str, str] | None = None,
    ) -> None:
        center = self._world.state.identity_center
        record: dict[str, Any] = {
            "userIdentity": {
                "type": self._world.switches.sign_in_identity_type,
                "accountId": center.owner_account_id,
                "onBehalfOf": self._on_behalf_of(user_id),
                "credentialId": credential_id,
            },
            "eventSource": SIGN_IN_SOURCE,
            "eventName": name,
            "userAgent": "Mozilla/5.0",
            "eventType": "AwsServiceEvent",
        }
        if additional:
            record["additionalEventData"] = dict(additional)
        if details:
            record["serviceEventDetails"] = dict(details)
        self._append(record, account_id=center.owner_account_id, region=center.region, read_only=False)

    def _on_behalf_of(self, user_id: str) -> dict[str, str]:
        return {"userId": user_id, "identityStoreArn": self._world.identity_center.store_arn()}

    def _append(
        self,
        record: dict[str, Any],
        *,
        account_id: str,
        region: str,
        username: str = "",
        access_key_id: str = "",
        resources: list[str] | None = None,
        read_only: bool | None = None,
    ) -> None:
        now, dice = self._world.now(), self._world.dice
        reads = is_read(record["eventName"]) if read_only is None else read_only
        event_id = dice.guid()
        content = {
            "eventVersion": "1.11",
            **record,
            "eventTime": _stamp(now),
            "awsRegion": region,
            "sourceIPAddress": ADDRESS,
            "requestParameters": None,
            "responseElements": None,
            "requestID": dice.guid(),
            "eventID": event_id,
            "readOnly": reads,
            "managementEvent": True,
            "recipientAccountId": account_id,
            "eventCategory": "Management",
        }
        events = self._events
        events.append(
            TrailEvent(
                id=event_id,
                at=now,
                account_id=account_id,
                region=region,
                name=record["eventName"],
                source=record["eventSource"],
                read_only=reads,
                username=username,
                access_key_id=access_key_id,
                resources=list(resources or []),
                record=json.dumps(content, separators=(",", ":")),
            )
        )
        gone = next((i for i, each in enumerate(events) if now - each.at < KEPT), len(events))
        del events[: max(gone, len(events) - MOST)]


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
