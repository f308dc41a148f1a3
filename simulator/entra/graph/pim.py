"""PIM for Groups: requests, schedules and instances."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint

from simulator.entra.graph import render
from simulator.entra.graph.core import Answer, Context, GraphFront
from simulator.entra.graph.errors import GraphError, bad_request, denied
from simulator.entra.graph.filters import equality_terms, parse_datetime
from simulator.world.durations import parse_duration
from simulator.world.pim import Ask
from simulator.world.pim import Caller as PimCaller
from simulator.world.state import Expiration, Identity, ScheduleRequest

BASE = "/identityGovernance/privilegedAccess/group"
CONTEXT = "identityGovernance/privilegedAccess/group"
REMOVALS = ("adminRemove", "selfDeactivate")
ACTIONS = (
    "adminAssign", "adminUpdate", "adminRemove", "selfActivate", "selfDeactivate", "adminExtend",
    "adminRenew", "selfExtend", "selfRenew",
)  # fmt: skip
EXPIRATIONS = ("notSpecified", "noExpiration", "afterDateTime", "afterDuration")
BODY = {
    "accessId", "action", "customData", "groupId", "isValidationOnly", "justification", "principalId",
    "scheduleInfo", "ticketInfo",
}  # fmt: skip

type Lister = Callable[..., Sequence[Any]]


def _scope(context: Context) -> dict[str, str]:
    """`group_id` and `principal_id` of the mandatory filter. Raises GraphError 400 without either."""
    terms = equality_terms(context.query.filter) if context.query.filter is not None else {}
    found = {
        name: str(terms[term])
        for term, name in (("groupId", "group_id"), ("principalId", "principal_id"))
        if isinstance(terms.get(term), str)
    }
    if not found:
        raise bad_request(
            "The required filter is missing: groupId or principalId has to be given with the eq operator.",
            "MissingRequiredFilter",
        )
    return found


def _expanded(context: Context, body: dict[str, Any]) -> dict[str, Any]:
    """`$expand` of group and principal; the names of a principal are not among what it gives."""
    for name, options in context.query.expand.items():
        if name == "group":
            group = context.world.directory.find_group(body["groupId"])
            if not context.world.switches.expand_group_works or group is None:
                body["group"] = None
                continue
            full = render.group(group)
            names = options.select or tuple(full)
            body["group"] = {key: value for key, value in full.items() if key in names or key == "id"}
        elif name == "principal":
            kind = "group" if context.world.directory.find_group(body["principalId"]) else "user"
            body["principal"] = {"@odata.type": f"#microsoft.graph.{kind}", "id": body["principalId"]}
        elif name in ("activatedUsing", "targetSchedule"):
            body[name] = None
        else:
            raise bad_request(f"Could not find a property named '{name}' on the requested type.")
    return body


def _known(value: Mapping[str, Any], names: set[str], where: str) -> None:
    for name in value:
        if name not in names and not name.startswith("@odata."):
            raise bad_request(f"Invalid property '{name}' in {where}.")


def _moment(value: Any, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_datetime(value)
    except (TypeError, ValueError) as reason:
        raise bad_request(f"Cannot convert the value of '{name}' to Edm.DateTimeOffset.") from reason


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise bad_request(f"'{name}' has to be an object.")
    return value


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise bad_request(f"Cannot convert the value of '{name}' to Edm.String.")
    return value


def _schedule_info(value: Any) -> tuple[datetime | None, Expiration | None]:
    if value is None:
        return None, None
    info = _object(value, "scheduleInfo")
    _known(info, {"startDateTime", "expiration", "recurrence"}, "scheduleInfo")
    if info.get("recurrence") is not None:
        raise bad_request("Recurrence is not supported.")
    expiration = None
    if info.get("expiration") is not None:
        given = _object(info["expiration"], "expiration")
        _known(given, {"type", "duration", "endDateTime"}, "expiration")
        kind = str(given.get("type") or "notSpecified")
        kind = kind[:1].lower() + kind[1:]
        if kind not in EXPIRATIONS:
            raise bad_request(f"The value '{kind}' is not a member of expirationPatternType.")
        duration = _text(given, "duration")
        if duration is not None:
            try:
                parse_duration(duration)
            except ValueError as reason:
                raise bad_request(
                    f"Cannot convert the literal '{duration}' to the expected type 'Edm.Duration'."
                ) from reason
        expiration = Expiration(kind, duration, _moment(given.get("endDateTime"), "endDateTime"))
    return _moment(info.get("startDateTime"), "startDateTime"), expiration or Expiration()


def _ask(body: Any) -> Ask:
    given = _object(body, "The request body")
    _known(given, BODY, "the request body")
    for name in ("accessId", "action", "groupId", "principalId"):
        if not isinstance(given.get(name), str):
            raise bad_request(f"The property '{name}' is required.")
    action = given["action"]
    if action not in ACTIONS:
        raise bad_request(f"The value '{action}' is not a member of scheduleRequestActions.")
    if given["accessId"] not in ("member", "owner"):
        raise bad_request(
            f"The value '{given['accessId']}' is not a member of privilegedAccessGroupRelationships."
        )
    start, expiration = _schedule_info(given.get("scheduleInfo"))
    if expiration is None and action not in REMOVALS:
        raise bad_request("The property 'scheduleInfo' is required.", "InvalidRoleAssignmentRequest")
    ticket = _object(given["ticketInfo"], "ticketInfo") if given.get("ticketInfo") is not None else {}
    _known(ticket, {"ticketNumber", "ticketSystem"}, "ticketInfo")
    return Ask(
        action=action,
        group_id=given["groupId"],
        principal_id=given["principalId"],
        access_id=given["accessId"],
        start=start,
        expiration=expiration,
        justification=_text(given, "justification"),
        ticket_number=_text(ticket, "ticketNumber"),
        ticket_system=_text(ticket, "ticketSystem"),
        custom_data=_text(given, "customData"),
        validation_only=bool(given.get("isValidationOnly")),
    )


def pim_caller(context: Context) -> PimCaller:
    """The caller as PIM judges it."""
    caller = context.caller
    app = context.front.provider.registrations.by_client_id(caller.application_id)
    name = app.display_name if app is not None else None
    if not caller.delegated:
        return PimCaller(Identity(caller.application_id, name), None, mfa=False, acrs=frozenset())
    person = context.world.directory.find_user(caller.object_id)
    return PimCaller(
        Identity(caller.application_id, name, caller.object_id, person.display_name if person else None),
        caller.object_id,
        mfa=caller.mfa,
        acrs=caller.contexts
        if caller.capable or not context.world.switches.acrs_needs_capability
        else frozenset(),
    )


def _request_body(context: Context, value: ScheduleRequest) -> dict[str, Any]:
    return _expanded(
        context, render.schedule_request(value, echo_ticket=context.world.switches.echo_ticket_info)
    )


def _check_request_reader(context: Context, kind: str) -> None:
    """The switch that asks for ReadWrite where requests are read."""
    strict = kind == "assignment" and context.world.switches.read_requests_needs_read_write
    if strict and "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup" not in context.caller.permissions:
        raise denied()


def _person(context: Context) -> str:
    """The signed-in person's id. Raises GraphError 400 for an application's token."""
    if not context.caller.delegated:
        raise bad_request("Filtering by the current user needs a token of a signed-in user.")
    return context.caller.object_id


def _requests(kind: str) -> dict[str, Callable[..., Answer]]:
    collection = f"{kind}ScheduleRequests"
    entity = f"{CONTEXT}/{collection}/$entity"

    def listed(context: Context) -> Answer:
        _check_request_reader(context, kind)
        pim = context.world.pim
        lister: Lister = pim.assignment_requests if kind == "assignment" else pim.eligibility_requests
        rows = [_request_body(context, each) for each in lister(**_scope(context))]
        return context.listing(rows, f"{CONTEXT}/{collection}")

    def created(context: Context) -> Answer:
        ask = _ask(context.body)
        write = f"Privileged{kind.capitalize()}Schedule.ReadWrite.AzureADGroup"
        if write not in context.caller.permissions and ask.action not in REMOVALS:
            raise denied()
        pim = context.world.pim
        ask_for = pim.request_assignment if kind == "assignment" else pim.request_eligibility
        return context.single(_request_body(context, ask_for(ask, pim_caller(context))), entity, status=201)

    def one(context: Context, id: str) -> Answer:  # noqa: A002  (named as in the contract's path)
        _check_request_reader(context, kind)
        found = context.world.pim.request(id)
        if found.kind != kind:
            raise GraphError(404, "ResourceNotFound", "The resource is not found.")
        return context.single(_request_body(context, found), entity)

    def cancelled(context: Context, id: str) -> Answer:  # noqa: A002
        context.world.pim.cancel(id, pim_caller(context))
        return Answer(204)

    def mine(context: Context, on: str) -> Answer:
        person = _person(context)
        pim = context.world.pim
        if on == "approver":
            found = [each for each in pim.requests_to_decide(person) if each.kind == kind]
        else:
            lister: Lister = pim.assignment_requests if kind == "assignment" else pim.eligibility_requests
            found = list(lister(principal_id=person) if on == "principal" else lister())
            if on == "createdBy":
                found = [each for each in found if each.created_by.user_id == person]
        return context.listing([_request_body(context, each) for each in found], f"{CONTEXT}/{collection}")

    return {"list": listed, "create": created, "one": one, "cancel": cancelled, "mine": mine}


def _readings(kind: str, shape: str) -> dict[str, Callable[..., Answer]]:
    """Schedules or instances of assignments or eligibilities."""
    collection = f"{kind}{shape}"
    write: Callable[[Any], dict[str, Any]] = render.schedule if shape == "Schedules" else render.instance
    method = f"{kind}_{'schedules' if shape == 'Schedules' else 'instances'}"

    def rows(context: Context, found: Sequence[Any]) -> list[dict[str, Any]]:
        return [_expanded(context, write(each)) for each in found]

    def lister(context: Context) -> Lister:
        chosen: Lister = getattr(context.world.pim, method)
        return chosen

    def listed(context: Context) -> Answer:
        return context.listing(rows(context, lister(context)(**_scope(context))), f"{CONTEXT}/{collection}")

    def one(context: Context, id: str) -> Answer:  # noqa: A002
        group_id = id.split("_", 1)[0]
        found = next((each for each in lister(context)(group_id=group_id) if each.id == id), None)
        if found is None:
            raise GraphError(404, "ResourceNotFound", "The resource is not found.")
        return context.single(rows(context, [found])[0], f"{CONTEXT}/{collection}/$entity")

    def mine(context: Context, on: str) -> Answer:
        person = _person(context)
        if on != "principal":
            raise bad_request(f"The value '{on}' is not supported here.")
        if shape == "Schedules":
            found = lister(context)(principal_id=person)
        else:
            found = context.world.pim.instances_of(person, kind)
        return context.listing(rows(context, found), f"{CONTEXT}/{collection}")

    return {"list": listed, "one": one, "mine": mine}


def add_routes(front: GraphFront, blueprint: Blueprint) -> None:
    """Serve PIM for Groups."""
    for kind in ("assignment", "eligibility"):
        requests = _requests(kind)
        path = f"{BASE}/{kind}ScheduleRequests"
        front.route(blueprint, "GET", path, requests["list"])
        front.route(blueprint, "POST", path, requests["create"])
        front.route(blueprint, "GET", f"{path}/{{id}}", requests["one"])
        front.route(blueprint, "POST", f"{path}/{{id}}/cancel", requests["cancel"])
        front.route(blueprint, "GET", f"{path}/filterByCurrentUser(on='{{on}}')", requests["mine"])
        for shape in ("Schedules", "ScheduleInstances"):
            readings = _readings(kind, shape)
            path_of_shape = f"{BASE}/{kind}{shape}"
            front.route(blueprint, "GET", path_of_shape, readings["list"])
            front.route(blueprint, "GET", f"{path_of_shape}/{{id}}", readings["one"])
            front.route(
                blueprint, "GET", f"{path_of_shape}/filterByCurrentUser(on='{{on}}')", readings["mine"]
            )
