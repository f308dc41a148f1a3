"""The WSGI application that stands in for AWS: sso-admin, identitystore, organizations, iam and sts at one address.

Clients find it through `AWS_ENDPOINT_URL`. Signatures aren't checked; the credential scope says which service is
meant, as at AWS. It opens no connection of its own.
"""

import io
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from threading import RLock
from typing import Any

from moto.core.request import Request

from simulator.aws.protocol import (
    Answer,
    Backend,
    NoAnswerError,
    WorldResponse,
    operation_of,
    refusal,
    service_of,
    where_of,
)
from simulator.aws.roles import Keys, Role
from simulator.aws.throttles import Throttles
from simulator.delays import DELAYS, Hold
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
    service = service_of(str(environ.get("HTTP_AUTHORIZATION", "")))
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
