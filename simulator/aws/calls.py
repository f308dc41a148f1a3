"""One API call as the handlers see it, and what they share: pages and refusals."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.aws.roles import Keys, Role
from simulator.world.errors import WorldError
from simulator.world.world import World

type Handler = Callable[["Call"], dict[str, Any]]


@dataclass(frozen=True)
class Call:
    """A parsed request: `account` is the caller's, `params` follow the service's model."""

    world: World
    service: str
    operation: str
    account: str
    role: Role
    keys: Keys
    region: str
    params: dict[str, Any]

    def need(self, name: str) -> Any:
        """A parameter that has to be there. Raises WorldError ValidationException."""
        value = self.params.get(name)
        if value in (None, ""):
            raise invalid(f"{name} is required.")
        return value

    @property
    def is_management(self) -> bool:
        """Whether the organization's management account calls."""
        return self.account == self.world.state.organization.management_account_id

    @property
    def is_delegated(self) -> bool:
        """Whether a delegated administrator for sso.amazonaws.com calls."""
        return self.account in self.world.state.organization.delegated_administrators


def invalid(message: str, code: str = "ValidationException") -> WorldError:
    """A malformed request."""
    return WorldError(400, code, message)


def access_denied(call: Call) -> WorldError:
    """AccessDeniedException."""
    return WorldError(
        400, "AccessDeniedException", f"You don't have permission to call {call.operation} from this account."
    )


def page(
    call: Call,
    key: str,
    rows: Sequence[Any],
    *,
    default: int | None = None,
    most: int = 100,
    code: str = "ValidationException",
) -> dict[str, Any]:
    """One page of rows under `key`, with a NextToken when more follow. Raises WorldError for a bad size or token."""
    size = int(call.params.get("MaxResults") or default or call.world.switches.aws_page_size)
    if not 1 <= size <= most:
        raise invalid(f"MaxResults has to be between 1 and {most}.", code)
    token = call.params.get("NextToken")
    first = _offset(token, call.operation, code)
    if call.world.switches.aws_short_pages:
        size = max(1, size // 2) if token else 0
    answer: dict[str, Any] = {key: list(rows[first : first + size])}
    if first + size < len(rows):
        answer["NextToken"] = base64.urlsafe_b64encode(f"{call.operation}:{first + size}".encode()).decode()
    return answer


def _offset(token: str | None, operation: str, code: str) -> int:
    if not token:
        return 0
    try:
        name, _, offset = base64.urlsafe_b64decode(token).decode().partition(":")
        if name == operation:
            return int(offset)
    except (ValueError, binascii.Error):
        pass  # one refusal for all that isn't a token of ours
    raise invalid("The NextToken is not valid.", code)
