"""Graph's error envelope."""

import base64
import datetime as dt
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(eq=False)
class GraphError(Exception):
    """A refusal with its HTTP status, code and message, as Graph answers it."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, *, request_id: str, client_request_id: str) -> dict[str, object]:
        """The documented envelope."""
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "innerError": {
                    "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S"),
                    "request-id": request_id,
                    "client-request-id": client_request_id,
                },
            }
        }


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """400."""
    return GraphError(400, code, message)


def not_found(what: str) -> GraphError:
    """404 in the directory's words."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{what}' does not exist or one of its queried reference-property objects are not present.",
    )


def denied() -> GraphError:
    """403 for a token that lacks every permission that the operation accepts."""
    return GraphError(
        403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
    )


AUTHORIZATION_URI = "https://login.microsoftonline.com/common/oauth2/authorize"
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"


def unauthenticated(message: str) -> GraphError:
    """401 for a missing, expired or foreign token."""
    return GraphError(
        401,
        "InvalidAuthenticationToken",
        message,
        {"WWW-Authenticate": f'Bearer realm="", authorization_uri="{AUTHORIZATION_URI}"'},
    )


def challenged() -> GraphError:
    """401 with a claims challenge, for a token that was withdrawn (continuous access evaluation).

    Only clients that declared cp1 get it. Source: the identity platform's page on claims challenges.
    """
    claims = {"access_token": {"nbf": {"essential": True, "value": str(int(time.time()))}}}
    encoded = base64.b64encode(json.dumps(claims, separators=(",", ":")).encode()).decode()
    return GraphError(
        401,
        "InvalidAuthenticationToken",
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
        "TokenIssuedBeforeRevocationTimestamp",
        {
            "WWW-Authenticate": (
                f'Bearer realm="", authorization_uri="{AUTHORIZATION_URI}", client_id="{GRAPH_APP_ID}", '
                f'error="insufficient_claims", claims="{encoded}"'
            )
        },
    )
