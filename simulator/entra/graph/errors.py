"""Graph's error envelope."""

import datetime as dt
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


def unauthenticated(message: str) -> GraphError:
    """401 for a missing, expired or foreign token."""
    return GraphError(
        401,
        "InvalidAuthenticationToken",
        message,
        {
            "WWW-Authenticate": 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
        },
    )
