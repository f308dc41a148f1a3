"""moto's protocol layer with the world behind it.

moto reads a request by the service's model and writes the answer and its errors by the same model. Of moto's own
back ends nothing is used: an operation that the world doesn't answer is refused, never made up.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any

from botocore.exceptions import BotoCoreError
from botocore.model import OperationModel, OperationNotFoundError
from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model

from simulator.aws import control_policies, identitystore, organizations, sso_admin
from simulator.aws.calls import Call, Handler
from simulator.aws.roles import ADMINISTRATOR, Role, action_of, not_authorized, role_arn
from simulator.aws.shapes import is_known_error, problems
from simulator.aws.throttles import Throttles
from simulator.world.errors import WorldError
from simulator.world.faults import Fault
from simulator.world.world import World

OPERATIONS: Mapping[str, Mapping[str, Handler]] = {
    "sso-admin": sso_admin.OPERATIONS,
    "identitystore": identitystore.OPERATIONS,
    "organizations": {**organizations.ORGANIZATIONS, **control_policies.OPERATIONS},
    "sts": organizations.STS,
}
SIGNING_NAMES = {"sso": "sso-admin"}  # signing name -> service, where they differ
THROTTLED = {"organizations": "TooManyRequestsException", "sts": "Throttling"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class NoAnswerError(Exception):
    """The connection is to be cut without an answer."""


class DefectError(Exception):
    """The simulator's own answer is wrong."""


class UnknownKeyError(Exception):
    """Nobody has this access key."""


class ApiError(ServiceException):  # type: ignore[misc]  # moto has no types
    """An error of the service's own model; moto looks models up by the module that a class was defined in."""


@dataclass(frozen=True)
class Backend:
    """What a response needs besides the request.

    `roles` maps access keys to who they are, and another key is refused; None: every key is an administrator of the
    management account.
    """

    world: World
    lock: RLock
    throttles: Throttles
    roles: Mapping[str, Role] | None


class WorldResponse(BaseResponse):  # type: ignore[misc]  # moto has no types
    """One request to one service."""

    def __init__(self, service: str, backend: Backend, fault: Fault | None) -> None:
        super().__init__(service_name=service)
        self.automated_parameter_parsing = True
        self._backend = backend
        self._fault = fault

    def answer(self, request: Request) -> Answer:
        """Read the request, ask the world, write the answer."""
        service = str(self.service_name)
        try:
            self.setup_class(request)
        except (OperationNotFoundError, BotoCoreError, ValueError, TypeError, KeyError):
            return refusal(400, "SerializationException", "The request can't be read.")
        operation = self._get_action()
        if operation not in OPERATIONS[service]:
            return refusal(400, "UnknownOperationException", f"{operation} is not simulated.")
        try:
            result = self._ask(service, operation)
        except UnknownKeyError:
            return _unknown_key(service)
        except DefectError as error:
            return refusal(500, "SimulatorDefect", str(error))
        except WorldError as error:
            if self._fault is None and not is_known_error(self._model(operation), error.code):
                return refusal(500, "SimulatorDefect", f"{operation} can't refuse with {error.code}")
            result = self._error(error)
        status, headers, body = self.serialized(result)
        headers, body = self._enrich_response(headers, body)
        text = body.encode() if isinstance(body, str) else body
        return Answer(int(status), {key: str(value) for key, value in headers.items()}, text or b"")

    def _ask(self, service: str, operation: str) -> ActionResult:
        backend = self._backend
        handler = OPERATIONS[service][operation]
        role, account = self._caller()
        if not backend.throttles.take(service, operation):
            raise _throttled(service)
        fault = self._fault
        if fault is not None and fault.kind == "throttle":
            raise _throttled(service, fault)
        if fault is not None and fault.kind == "error":
            raise WorldError(fault.status, fault.code or "InternalServerException", fault.message or "Fault.")
        if not role.allows(action_of(service, operation)):
            raise not_authorized(service, operation, role_arn(role, account))
        with backend.lock:
            backend.world.advance()
            result = handler(
                Call(
                    world=backend.world,
                    service=service,
                    operation=operation,
                    account=account,
                    role=role,
                    region=self.region,
                    params=self.params,
                )
            )
        if fault is not None and fault.kind == "lose_answer":
            raise NoAnswerError
        if fault is not None and fault.kind == "error_after":
            raise WorldError(fault.status, fault.code or "InternalServerException", fault.message or "Fault.")
        self._hold_to_model(operation, result)
        return ActionResult(result)

    def _model(self, operation: str) -> OperationModel:
        return get_service_model(self.boto3_service_name).operation_model(operation)

    def _hold_to_model(self, operation: str, result: dict[str, Any]) -> None:
        """Every answer, in whichever test or demo. Raises DefectError."""
        found = problems(self._model(operation).output_shape, result)
        if found:
            raise DefectError(f"The answer to {operation} isn't what the model says: {'; '.join(found)}")

    def _caller(self) -> tuple[Role, str]:
        """Who calls, and in which account. Raises UnknownKeyError."""
        backend = self._backend
        role = ADMINISTRATOR if backend.roles is None else backend.roles.get(self.get_access_key())
        if role is None:
            raise UnknownKeyError
        return role, role.account or backend.world.state.organization.management_account_id

    def _error(self, error: WorldError) -> ActionResult:
        refused = ApiError(error.code, error.message)
        for name, value in error.details.items():
            setattr(refused, name, value)
        if error.code == "ThrottlingException" and error.retry_after is not None:
            refused.RetryAfterSeconds = error.retry_after
        return ActionResult(refused)


def _throttled(service: str, fault: Fault | None = None) -> WorldError:
    code = (fault.code if fault else "") or THROTTLED.get(service, "ThrottlingException")
    return WorldError(400, code, "Rate exceeded", retry_after=(fault.retry_after if fault else None) or 1)


def _unknown_key(service: str) -> Answer:
    """What AWS answers before it looks at anything else, in each protocol's form."""
    message = "The security token included in the request is invalid."
    if service != "sts":
        return refusal(400, "UnrecognizedClientException", message)
    body = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>InvalidClientTokenId</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
    return Answer(403, {"Content-Type": "text/xml"}, body.encode())


def refusal(status: int, code: str, message: str) -> Answer:
    """An error outside any service's model, in the JSON protocol's form."""
    body = json.dumps({"__type": code, "message": message}).encode()
    return Answer(status, {"Content-Type": "application/x-amz-json-1.1", "X-Amzn-ErrorType": code}, body)


def service_of(authorization: str) -> str | None:
    """The service that a SigV4 Authorization header is scoped to, or None."""
    parts = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    if len(parts) != 5:
        return None
    name = SIGNING_NAMES.get(parts[3], parts[3])
    return name if name in OPERATIONS else None


def operation_of(environ: Mapping[str, Any], body: bytes) -> str:
    """The operation's name: from the target header, or from the form of the query protocol."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return target.rsplit(".", 1)[-1]
    form = dict(part.partition("=")[::2] for part in body.decode(errors="replace").split("&"))
    return form.get("Action", "")
