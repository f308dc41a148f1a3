"""moto's protocol layer with the world behind it.

moto reads a request by the service's model and writes the answer and its errors by the same model. Of moto's own
back ends nothing is used: an operation that the world doesn't answer is refused, never made up.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from typing import Any
from xml.sax.saxutils import escape

from botocore.exceptions import BotoCoreError
from botocore.model import OperationModel, OperationNotFoundError
from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model

from simulator.aws import (
    cloudtrail,
    control_policies,
    iam,
    identitystore,
    organizations,
    sso_admin,
    sts,
    trail_queries,
)
from simulator.aws.calls import Call, Handler
from simulator.aws.roles import QUERY, Keys, Role, action_of, not_authorized, role_arn
from simulator.aws.shapes import is_known_error, problems
from simulator.aws.throttles import Throttles
from simulator.world.errors import WorldError
from simulator.world.faults import Fault
from simulator.world.world import World

OPERATIONS: Mapping[str, Mapping[str, Handler]] = {
    "sso-admin": sso_admin.OPERATIONS,
    "identitystore": identitystore.OPERATIONS,
    "organizations": {**organizations.OPERATIONS, **control_policies.OPERATIONS},
    "sts": sts.OPERATIONS,
    "iam": iam.OPERATIONS,
    "cloudtrail": {**cloudtrail.OPERATIONS, **trail_queries.OPERATIONS},
}
SIGNING_NAMES = {"sso": "sso-admin"}  # signing name -> service, where they differ
THROTTLED = {"organizations": "TooManyRequestsException", "sts": "Throttling", "iam": "Throttling"}


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
    """What a response needs besides the request."""

    world: World
    lock: RLock
    throttles: Throttles
    keys: Keys


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
        status = 200
        try:
            result = self._ask(service, operation)
        except UnknownKeyError:
            return _unknown_key(service)
        except DefectError as error:
            return refusal(500, "SimulatorDefect", str(error))
        except WorldError as error:
            if self._fault is None and not is_known_error(self._model(operation), error.code):
                return refusal(500, "SimulatorDefect", f"{operation} can't refuse with {error.code}")
            if not self._is_modelled(error.code):
                return refused(service, error.status, error.code, error.message)
            result, status = self._error(error), error.status
        _, headers, body = self.serialized(result)
        headers, body = self._enrich_response(headers, body)
        text = body.encode() if isinstance(body, str) else body
        return Answer(status, {key: str(value) for key, value in headers.items()}, text or b"")

    def _ask(self, service: str, operation: str) -> ActionResult:
        backend = self._backend
        handler = OPERATIONS[service][operation]
        role, account = self._caller()
        fault = self._fault
        throttled = not self._take(service, operation, account)
        if throttled or (fault is not None and fault.kind == "throttle"):
            raise self._throttled(service, fault if not throttled else None)
        if fault is not None and fault.kind == "error":
            raise _asked_for(fault)
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
                    keys=backend.keys,
                    region=self.region,
                    params=self.params,
                )
            )
        if fault is not None and fault.kind == "lose_answer":
            raise NoAnswerError
        if fault is not None and fault.kind == "error_after":
            raise _asked_for(fault)
        self._hold_to_model(operation, result)
        return ActionResult(result)

    def _is_modelled(self, code: str) -> bool:
        """Whether the service's model has a shape for an error; those common to all services have none."""
        shapes = get_service_model(self.boto3_service_name).error_shapes
        return any(code in (each.name, each.metadata.get("error", {}).get("code")) for each in shapes)

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
        role = backend.keys.find(self.get_access_key(), backend.world.now())
        if role is None:
            raise UnknownKeyError
        return role, role.account or backend.world.state.organization.management_account_id

    def _take(self, service: str, operation: str, account: str) -> bool:
        """Whether the request limits let this call go ahead."""
        switches = self._backend.world.switches
        return self._backend.throttles.take(
            service,
            operation,
            account=account,
            caller=account if switches.aws_limits_per_account else "",
            region=self.region,
            rate=switches.organizations_per_second if service == "organizations" else None,
        )

    def _throttled(self, service: str, fault: Fault | None) -> WorldError:
        switches = self._backend.world.switches
        code = (fault.code if fault else "") or THROTTLED.get(service, "ThrottlingException")
        return WorldError(
            switches.throttling_status,
            code,
            switches.throttling_message,
            retry_after=(fault.retry_after if fault else None) or 1,
        )

    def _error(self, error: WorldError) -> ActionResult:
        refused = ApiError(error.code, error.message)
        for name, value in error.details.items():
            setattr(refused, name, value)
        if error.code == "ThrottlingException" and error.retry_after is not None:
            refused.RetryAfterSeconds = error.retry_after
        return ActionResult(refused)


def _asked_for(fault: Fault) -> WorldError:
    code, message = fault.code or "InternalServerException", fault.message or "Fault."
    return WorldError(fault.status, code, message, retry_after=fault.retry_after)


def _unknown_key(service: str) -> Answer:
    """What AWS answers before it looks at anything else, in each protocol's form."""
    message = "The security token included in the request is invalid."
    if service in QUERY:
        return refused(service, 403, "InvalidClientTokenId", message)
    return refused(service, 400, "UnrecognizedClientException", message)


def refused(service: str, status: int, code: str, message: str) -> Answer:
    """An error that the service's model has no shape for, in its protocol's form."""
    if service not in QUERY:
        return refusal(status, code, message)
    body = (
        f'<ErrorResponse xmlns="{QUERY[service]}"><Error><Type>Sender</Type>'
        f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    )
    return Answer(status, {"Content-Type": "text/xml"}, body.encode())


def refusal(status: int, code: str, message: str) -> Answer:
    """An error outside any service's model, in the JSON protocol's form."""
    body = json.dumps({"__type": code, "message": message}).encode()
    return Answer(status, {"Content-Type": "application/x-amz-json-1.1", "X-Amzn-ErrorType": code}, body)


def signed_for(authorization: str) -> tuple[str, str]:
    """The access key and the service's signing name of a SigV4 Authorization header; "" twice for anything else."""
    parts = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    return (parts[0], parts[3]) if len(parts) == 5 else ("", "")


def service_of(authorization: str) -> str | None:
    """The service that a SigV4 Authorization header is scoped to, or None."""
    _, signing = signed_for(authorization)
    name = SIGNING_NAMES.get(signing, signing)
    return name if name in OPERATIONS else None


def where_of(backend: Backend, environ: Mapping[str, Any], body: bytes) -> str:
    """`account/Region` of a call to CloudTrail; the account whose role is to be assumed; else "" """
    scope = (
        str(environ.get("HTTP_AUTHORIZATION", "")).partition("Credential=")[2].partition(",")[0].split("/")
    )
    if len(scope) != 5:
        return ""
    key, _, region, name, _ = scope
    if name == "sts":
        found = re.search(r"(?:^|&)RoleArn=arn%3Aaws%3Aiam%3A%3A(\d{12})%3A", body.decode(errors="replace"))
        return found.group(1) if found else ""
    if name != "cloudtrail":
        return ""
    held = backend.keys.temporary.get(key)
    role = held[0] if held else (backend.keys.lasting or {}).get(key)
    account = role.account if role else ""
    return f"{account or backend.world.state.organization.management_account_id}/{region}"


def operation_of(environ: Mapping[str, Any], body: bytes) -> str:
    """The operation's name: from the target header, or from the form of the query protocol."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return target.rsplit(".", 1)[-1]
    form = dict(part.partition("=")[::2] for part in body.decode(errors="replace").split("&"))
    return form.get("Action", "")
