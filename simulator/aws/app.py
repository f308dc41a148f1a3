"""The WSGI application that stands in for AWS: sso-admin, identitystore, organizations, iam, sts and s3 at one address.

Clients find it through `AWS_ENDPOINT_URL`. Signatures aren't checked; the credential scope says which service is
meant, as at AWS. It opens no connection of its own.
"""

import io
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from threading import RLock
from typing import Any

from moto.core.request import Request

from simulator.aws import s3
from simulator.aws.protocol import (
    Answer,
    Backend,
    NoAnswerError,
    WorldResponse,
    operation_of,
    refusal,
    service_of,
    signed_for,
    where_of,
)
from simulator.aws.roles import Keys, Role
from simulator.aws.throttles import Throttles
from simulator.delays import DELAYS, Hold
from simulator.world.errors import WorldError
from simulator.world.faults import Fault
from simulator.world.world import World

MOST_BODY = 1024 * 1024
DROP = "simulator.drop"
type Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def create_app(
    world: World,
    lock: RLock,
    *,
    throttles: Throttles | None = None,
    roles: Mapping[str, Role] | None = None,
    hold: Hold = DELAYS.hold,
) -> Application:
    """AWS in front of `world`. `throttles` None: AWS's own limits; `roles`: whom each access key belongs to.

    Without `roles` every key is an administrator of the management account.
    """
    backend = Backend(world, lock, throttles or Throttles(), Keys(roles))

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            answer = _answer(backend, environ, hold)
        except NoAnswerError:
            drop = environ.get(DROP)
            if drop is not None:
                drop()
            answer = Answer(500, {}, b"")
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        headers = {key: value for key, value in answer.headers.items() if key.lower() != "status"}
        if environ["REQUEST_METHOD"] != "HEAD" or "Content-Length" not in headers:
            headers["Content-Length"] = str(len(answer.body))
        start_response(status, list(headers.items()))
        return [answer.body]

    return application


def _answer(backend: Backend, environ: dict[str, Any], hold: Hold) -> Answer:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > MOST_BODY:
        return refusal(413, "RequestEntityTooLargeException", "The request is too large.")
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    authorization = str(environ.get("HTTP_AUTHORIZATION", ""))
    key, name = signed_for(authorization)
    if name == s3.SERVICE:
        return _answer_s3(backend, environ, key, hold)
    service = service_of(authorization)
    if environ["REQUEST_METHOD"] != "POST" or service is None:
        return refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    with backend.lock:
        operation = f"aws.{service}.{operation_of(environ, body)}"
        fault = backend.world.faults.take(operation, where_of(backend, environ, body))
    if fault is not None and fault.kind == "lose_request":
        raise NoAnswerError
    if fault is not None and fault.kind == "delay":
        hold(fault.seconds)
    return WorldResponse(service, backend, fault).answer(Request(environ))


def _answer_s3(backend: Backend, environ: dict[str, Any], key: str, hold: Hold) -> Answer:
    """A request to S3: faults are named by its method, as `aws.s3.PUT`."""
    with backend.lock:
        fault = backend.world.faults.take(f"aws.s3.{environ['REQUEST_METHOD']}", "")
    if fault is not None and fault.kind == "lose_request":
        raise NoAnswerError
    if fault is not None and fault.kind == "delay":
        hold(fault.seconds)
    if fault is not None and fault.kind in ("error", "throttle"):
        return _refused_s3(fault)
    answered = _ask_s3(backend, environ, key)
    if fault is not None and fault.kind == "lose_answer":
        raise NoAnswerError
    return _refused_s3(fault) if fault is not None and fault.kind == "error_after" else answered


def _ask_s3(backend: Backend, environ: dict[str, Any], key: str) -> Answer:
    with backend.lock:
        try:
            role = backend.keys.find(key, backend.world.now())
        except WorldError as error:
            return Answer(*s3.refusal(400, "ExpiredToken", error.message))
        if role is None:
            message = "The AWS Access Key Id you provided does not exist in our records."
            return Answer(*s3.refusal(403, "InvalidAccessKeyId", message))
        try:
            return Answer(*s3.answer(backend.world, role, environ))
        except s3.DefectError as error:
            return Answer(*s3.refusal(500, "SimulatorDefect", str(error)))


def _refused_s3(fault: Fault) -> Answer:
    message = fault.message or "Please reduce your request rate."
    return Answer(*s3.refusal(fault.status, fault.code or "SlowDown", message))
