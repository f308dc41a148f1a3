"""The control API at `/_control` and the state page at `/`: look at the world, move its clock, break things.

Every body is JSON. Refusals are `{"error": sentence}` with status 400, 404, or the world's own.
"""

import threading
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from simulator.calls import CallLog
from simulator.delays import DELAYS
from simulator.entra.provider import Provider
from simulator.entra.signin import page
from simulator.overview import overview, world_state
from simulator.portal import session_rows
from simulator.world import happenings
from simulator.world.errors import WorldError
from simulator.world.switches import Switches
from simulator.world.world import World

SHOWN_CALLS = 50


class ControlError(Exception):
    """A request to the control API that makes no sense; the text says why."""


def _body() -> dict[str, Any]:
    """The JSON object of a request. Its content type is insisted on: a foreign page can't send it."""
    body = request.get_json(silent=True) if request.is_json else None
    if not isinstance(body, dict):
        raise ControlError("send a JSON object with Content-Type: application/json")
    return body


def _number(body: dict[str, Any], name: str) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ControlError(f"'{name}' has to be a number")
    return float(value)


def _clock(world: World) -> dict[str, Any]:
    return {"now": world.now().isoformat(), "factor": world.clock.factor, "stepped": world.clock.factor == 0}


def _add_looking(blueprint: Blueprint, world: World, provider: Provider, calls: CallLog) -> None:
    @blueprint.get("/_control/clock")
    def clock() -> Response:
        return jsonify(_clock(world))

    @blueprint.get("/_control/state")
    def state() -> Response:
        return jsonify(world_state(world))

    @blueprint.get("/_control/calls")
    def latest() -> Response:
        count = request.args.get("count", default=SHOWN_CALLS, type=int)
        return jsonify({"total": calls.total, "calls": calls.latest(max(count, 1))})

    @blueprint.get("/_control/journal")
    def journal() -> Response:
        return jsonify(
            [{**asdict(each), "at": each.at.isoformat()} for each in reversed(world.state.journal)]
        )

    @blueprint.get("/_control/people")
    def people() -> Response:
        accounts = provider.accounts
        found = accounts.featured() if request.args.get("featured") else accounts.search("", 100_000)
        return jsonify(
            [
                {
                    "name": each.name,
                    "upn": each.user_principal_name,
                    "oid": each.object_id,
                    "tenant_id": each.tenant_id,
                    "enabled": each.enabled,
                    "app_roles": list(each.app_roles),
                    "what": each.hint,
                }
                for each in found
            ]
        )


def _add_faults(blueprint: Blueprint, world: World) -> None:
    @blueprint.get("/_control/faults")
    def faults() -> Response:
        return jsonify([asdict(each) for each in world.faults.list()])

    @blueprint.post("/_control/faults")
    def add_fault() -> tuple[Response, int]:
        body = _body()
        operation, kind = body.pop("operation", None), body.pop("kind", None)
        if not isinstance(operation, str) or not isinstance(kind, str):
            raise ControlError("'operation' and 'kind' are needed, for example 'graph.POST *' and 'throttle'")
        try:
            fault = world.faults.add(operation, kind, **body)
        except TypeError as reason:
            raise ControlError(f"an unknown setting of a fault: {', '.join(body)}") from reason
        return jsonify(asdict(fault)), 201

    @blueprint.delete("/_control/faults")
    def clear_faults() -> Response:
        world.faults.clear()
        DELAYS.let_go()
        return Response(status=204)

    @blueprint.delete("/_control/faults/<int:fault_id>")
    def remove_fault(fault_id: int) -> Response:
        return Response(status=204 if world.faults.remove(fault_id) else 404)


def _add_changes(blueprint: Blueprint, world: World) -> None:
    @blueprint.post("/_control/clock/advance")
    def advance() -> Response:
        seconds = _number(_body(), "seconds")
        if seconds < 0:
            raise ControlError("time only moves forward")
        world.step(timedelta(seconds=seconds))
        return jsonify(_clock(world))

    @blueprint.get("/_control/events")
    def event_kinds() -> Response:
        return jsonify(happenings.NAMES)

    @blueprint.post("/_control/events")
    def events() -> Response:
        body = _body()
        kind = body.pop("kind", None)
        if not isinstance(kind, str):
            raise ControlError("'kind' names what is to happen")
        return jsonify(world.happen(kind, **{name: str(value) for name, value in body.items()}))


def _same_kind(old: Any, new: Any) -> bool:
    return type(old) is type(new) or (isinstance(old, float) and type(new) is int)


def _add_switches(blueprint: Blueprint, world: World) -> None:
    @blueprint.get("/_control/switches")
    def switches() -> Response:
        return jsonify(asdict(world.switches))

    @blueprint.patch("/_control/switches")
    def change_switches() -> Response:
        body = _body()
        known = {each.name for each in fields(Switches)}
        for name, value in body.items():
            if name not in known:
                raise ControlError(f"there is no switch '{name}'")
            if not _same_kind(getattr(world.switches, name), value):
                raise ControlError(f"'{name}' takes {type(getattr(world.switches, name)).__name__}")
        for name, value in body.items():
            setattr(world.switches, name, value)
        return jsonify(asdict(world.switches))


def _names(body: dict[str, Any], name: str) -> tuple[str, ...]:
    given = body[name]
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ControlError(f"'{name}' is a list of names")
    return tuple(given)


def _change_apps(provider: Provider, body: dict[str, Any]) -> None:
    """What the two app registrations may do, and whether they can."""
    if "worker_permissions" in body:
        provider.registrations.set_worker_permissions(_names(body, "worker_permissions"))
    if "signin_scopes" in body:
        provider.registrations.set_signin_scopes(_names(body, "signin_scopes"))
    if "worker_enabled" in body:
        provider.registrations.set_worker_enabled(enabled=bool(body["worker_enabled"]))
    if "worker_credentials_expired" in body:
        provider.registrations.expire_worker_credentials(expired=bool(body["worker_credentials_expired"]))
    if body.get("revoke_worker"):
        provider.state.revoke_tokens(provider.registrations.worker.service_principal_id)


def _add_tokens(blueprint: Blueprint, provider: Provider) -> None:
    @blueprint.post("/_control/tokens")
    def tokens() -> Response:
        body = _body()
        if body.pop("rotate_keys", False):
            provider.keys.rotate()
        for name in ("access_token_seconds", "id_token_seconds"):
            if name in body:
                setattr(provider, name, int(_number(body, name)))
        _change_apps(provider, body)
        if "refresh_token_seconds" in body:
            provider.state.refresh_seconds = _number(body, "refresh_token_seconds")
        if "mfa_at_sign_in" in body:
            provider.mfa_at_sign_in = bool(body["mfa_at_sign_in"])
        if "revoke_person" in body:
            provider.state.revoke_person(str(body["revoke_person"]))
        return jsonify(
            {
                "access_token_seconds": provider.access_token_seconds,
                "id_token_seconds": provider.id_token_seconds,
                "refresh_token_seconds": provider.state.refresh_seconds,
                "mfa_at_sign_in": provider.mfa_at_sign_in,
                "worker_enabled": provider.registrations.worker.enabled,
                "worker_permissions": list(provider.registrations.worker.permissions),
                "signin_scopes": list(provider.registrations.signin.scopes),
                "worker_credentials_expired": provider.registrations.worker.credentials_expired,
            }
        )


def _add_sessions(blueprint: Blueprint, world: World) -> None:
    @blueprint.get("/_control/sessions")
    def sessions() -> Response:
        return jsonify(session_rows(world, request.args.get("person")))

    @blueprint.post("/_control/sessions")
    def open_session() -> tuple[Response, int]:
        body = _body()
        what = "role" if "role" in body else "permission_set"
        for name in ("person", "account_id", what):
            if not isinstance(body.get(name), str):
                raise ControlError(
                    "'person' (an Entra object id), 'account_id' and 'permission_set' (its name) are needed; or 'role'"
                )
        opens = world.account_access if what == "role" else world.access_portal
        opened = opens.open_session(body["person"], body["account_id"], body[what])
        rows = session_rows(world, body["person"])
        return jsonify(next(row for row in rows if row["id"] == opened.id)), 201

    @blueprint.post("/_control/sessions/<session_id>/act")
    def act(session_id: str) -> Response:
        body = _body()
        for name, value in body.items():
            if name not in ("action", "resource", "region") or not isinstance(value, str):
                raise ControlError(
                    "'action' (service:Operation), 'resource' (an ARN) and 'region' may be given"
                )
        verdict = world.access_portal.act(session_id, **body)
        return jsonify({"allowed": verdict.allowed, **asdict(verdict)})


def control(*, world: World, lock: threading.RLock, provider: Provider, calls: CallLog) -> Blueprint:
    """The control API and the state page. Every view runs with the world's lock held and its time advanced."""
    blueprint = Blueprint("control", __name__)
    _add_looking(blueprint, world, provider, calls)
    _add_faults(blueprint, world)
    _add_changes(blueprint, world)
    _add_switches(blueprint, world)
    _add_tokens(blueprint, provider)
    _add_sessions(blueprint, world)

    @blueprint.get("/")
    def state_page() -> Response:
        return page(
            "state.html",
            **overview(world),
            clock=_clock(world),
            calls=calls.latest(SHOWN_CALLS),
            journal=list(reversed(world.state.journal[-SHOWN_CALLS:])),
        )

    @blueprint.before_request
    def hold() -> None:
        lock.acquire()
        world.advance()

    @blueprint.teardown_request
    def let_go(_: BaseException | None) -> None:
        lock.release()

    @blueprint.errorhandler(ControlError)
    @blueprint.errorhandler(ValueError)
    def senseless(problem: Exception) -> tuple[Response, int]:
        return jsonify({"error": str(problem)}), 400

    @blueprint.errorhandler(WorldError)
    def refused(problem: WorldError) -> tuple[Response, int]:
        return jsonify({"error": str(problem)}), problem.status

    @blueprint.errorhandler(HTTPException)
    def http(problem: HTTPException) -> tuple[Response, int]:
        return jsonify({"error": problem.description}), problem.code or 500

    return blueprint
