"""SCIM over HTTP, as `https://scim.<region>.amazonaws.com/<tenant>/scim/v2/` answers."""

from collections.abc import Callable
from threading import RLock
from typing import Any

from flask import Blueprint, Response, g, request
from flask.json import dumps

from simulator.aws.throttles import Throttles
from simulator.delays import DELAYS, Hold
from simulator.faulty import retry_after
from simulator.listener import DROP
from simulator.scim import documents
from simulator.scim.errors import ScimError, invalid, missing, not_allowed
from simulator.world.faults import Fault
from simulator.world.world import World

MEDIA_TYPE = "application/scim+json"
DESCRIPTIONS = ("ServiceProviderConfig", "ResourceTypes", "Schemas")
RATES = {"scim-write.*": (25.0, 25.0), "scim-read.*": (40.0, 40.0)}  # each operation alone, in real time


class _Front:
    """The views; each holds the lock while it asks the world."""

    def __init__(self, world: World, lock: RLock, throttles: Throttles, hold: Hold) -> None:
        self._world = world
        self._lock = lock
        self._throttles = throttles
        self._hold = hold

    def admit(self) -> Response | None:
        """Tenant, token, limits and faults, before every call; an answer when the call isn't to happen."""
        operation = f"{request.method} {request.path.split('/')[5]}"
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            self._world.advance()
            if g.scim_tenant != self._world.state.identity_center.scim_tenant_id:
                raise ScimError(401, "UnauthorizedException", "The tenant is not known.")
            self._world.scim.check_token(token)
            fault = g.scim_fault = self._world.faults.take(f"scim.{operation}")
        if fault is not None and fault.kind == "lose_request":
            return _drop()
        bucket = "scim-read" if request.method == "GET" else "scim-write"
        if not self._throttles.take(bucket, operation):
            raise ScimError(429, "ThrottlingException", "Rate exceeded")
        if fault is not None and fault.kind in ("throttle", "error"):
            raise _asked_for(fault)
        if fault is not None and fault.kind == "delay":
            self._hold(fault.seconds)
        return None

    def finish(self, response: Response) -> Response:
        """What a fault does to the answer, after the call took effect."""
        fault: Fault | None = g.pop("scim_fault", None)
        if fault is not None and fault.kind == "lose_answer":
            return _drop()
        if fault is not None and fault.kind == "error_after":
            return self.refuse(_asked_for(fault))
        return response

    def _admit_members(self, change: Any) -> None:
        """Each membership that a request adds or removes counts; the number is a switch. Raises ScimError 429."""
        rate = self._world.switches.scim_membership_changes_per_second
        value = change
        if isinstance(change, dict):
            if not str(change.get("path", "")).startswith("members"):
                return
            value = change.get("value") or [change["path"]]
        count = len(value) if isinstance(value, list) else 0
        if rate and not self._throttles.draw("scim-members", rate, rate, count):
            raise ScimError(429, "ThrottlingException", "Rate exceeded")

    def refuse(self, error: ScimError) -> Response:
        with self._lock:
            as_in_rfc = self._world.switches.scim_error_schemas
        refused = _json(error.body(as_in_rfc=as_in_rfc), error.status)
        refused.headers.update(error.headers)
        return refused

    def list_users(self) -> Response:
        with self._lock:
            return _json(self._world.scim.list_users(request.args.get("filter"), **_page()))

    def list_groups(self) -> Response:
        with self._lock:
            return _json(self._world.scim.list_groups(request.args.get("filter"), **_page()))

    def create_user(self) -> Response:
        with self._lock:
            return _json(self._world.scim.create_user(_body()), 201)

    def create_group(self) -> Response:
        with self._lock:
            body = _body()
            self._admit_members(body.get("members"))
            return _json(self._world.scim.create_group(body), 201)

    def user(self, user_id: str) -> Response:
        with self._lock:
            if request.method == "PUT":
                return _json(self._world.scim.put_user(user_id, _body()))
            if request.method == "PATCH":
                return _json(self._world.scim.patch_user(user_id, _body()))
            if request.method == "DELETE":
                self._world.scim.delete_user(user_id)
                return Response(status=204)
            return _json(self._world.scim.get_user(user_id))

    def group(self, group_id: str) -> Response:
        with self._lock:
            if request.method == "PATCH":
                body = _body()
                for operation in body.get("Operations") or []:
                    self._admit_members(operation)
                self._world.scim.patch_group(group_id, body)
                if self._world.switches.scim_patch_group_status == 200:
                    return _json(self._world.scim.get_group(group_id))
                return Response(status=204)
            if request.method == "DELETE":
                self._world.scim.delete_group(group_id)
                return Response(status=204)
            return _json(self._world.scim.get_group(group_id))


def scim_blueprint(
    world: World,
    lock: RLock,
    *,
    throttles: Throttles | None = None,
    hold: Hold = DELAYS.hold,
) -> Blueprint:
    """The endpoint under `/scim/<tenant>/scim/v2`; every call needs the bearer token and the right tenant."""
    blueprint = Blueprint("scim", __name__, url_prefix="/scim/<tenant>/scim/v2")
    front = _Front(world, lock, throttles or Throttles(rates=RATES), hold)

    @blueprint.url_value_preprocessor
    def take_tenant(_: str | None, values: dict[str, Any] | None) -> None:
        g.scim_tenant = (values or {}).pop("tenant", "")

    blueprint.before_request(front.admit)
    blueprint.after_request(front.finish)
    blueprint.register_error_handler(ScimError, front.refuse)
    views: list[tuple[str, Callable[..., Response], list[str]]] = [
        ("/Users", front.list_users, ["GET"]),
        ("/Users", front.create_user, ["POST"]),
        ("/Users/<user_id>", front.user, ["GET", "PUT", "PATCH", "DELETE"]),
        ("/Groups", front.list_groups, ["GET"]),
        ("/Groups", front.create_group, ["POST"]),
        ("/Groups/<group_id>", front.group, ["GET", "PATCH", "DELETE"]),
        ("/ServiceProviderConfig", _service_provider_config, ["GET"]),
        ("/ResourceTypes", _resource_types, ["GET"]),
        ("/ResourceTypes/<name>", _resource_type, ["GET"]),
        ("/Schemas", _schemas, ["GET"]),
        ("/Schemas/<name>", _schema, ["GET"]),
        *((f"/{each}", _described_only, ["POST", "PUT", "PATCH", "DELETE"]) for each in DESCRIPTIONS),
        ("/<path:rest>", _anything_else, ["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    for rule, view, methods in views:
        blueprint.add_url_rule(rule, f"{methods[0]} {rule}", view, methods=methods)
    return blueprint


def _service_provider_config() -> Response:
    return _json(documents.SERVICE_PROVIDER_CONFIG)


def _resource_types() -> Response:
    return _json(documents.listed(documents.RESOURCE_TYPES))


def _resource_type(name: str) -> Response:
    return _one(documents.RESOURCE_TYPES, name)


def _schema(name: str) -> Response:
    return _one(documents.SCHEMAS, name)


def _one(rows: list[dict[str, Any]], name: str) -> Response:
    found = next((each for each in rows if each["id"] == name), None)
    if found is None:
        raise missing(name)
    return _json(found)


def _described_only() -> Response:
    raise not_allowed(request.method, request.path.rsplit("/", 1)[-1])


def _schemas() -> Response:
    return _json(documents.listed(documents.SCHEMAS))


def _anything_else(rest: str) -> Response:
    raise missing(rest)


def _asked_for(fault: Fault) -> ScimError:
    usual = {429: ("ThrottlingException", "Rate exceeded")}
    kind, detail = usual.get(fault.status, ("InternalServerException", "A fault."))
    return ScimError(fault.status, fault.code or kind, fault.message or detail, retry_after(fault))


def _drop() -> Response:
    """Cut the connection without an answer, where the server can."""
    drop = request.environ.get(DROP)
    if drop is not None:
        drop()
    return Response(status=500)


def _page() -> dict[str, Any]:
    try:
        start, count = int(request.args.get("startIndex", 1)), int(request.args.get("count", 100))
    except ValueError as error:
        raise invalid("startIndex and count are numbers.") from error
    return {"start_index": start, "count": count, "cursor": request.args.get("cursor")}


def _body() -> dict[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise invalid("The body is a JSON object.")
    return body


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(dumps(content), status=status, mimetype=MEDIA_TYPE)
