"""Approvals of activations: seen and decided by people with their own tokens, never by applications.

Microsoft's page and the beta version call an approval's parts `steps`, the v1.0 metadata `stages`; which of them v1.0
serves is a switch.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from simulator.entra.graph import render
from simulator.entra.graph.core import Answer, Context, GraphFront
from simulator.entra.graph.errors import bad_request, denied
from simulator.entra.graph.pim import BASE, CONTEXT, pim_caller
from simulator.world.errors import not_found
from simulator.world.state import Approval

PATH = f"{BASE}/assignmentApprovals"
SEGMENTS = ("stages", "steps")


def _check_segment(context: Context, segment: str) -> None:
    served = context.world.switches.approval_segment
    if served not in (segment, "both"):
        raise bad_request(f"Resource not found for the segment '{segment}'.")


def _person(context: Context) -> str:
    """The signed-in person's id. Raises GraphError 403 for an application's token."""
    if not context.caller.delegated:
        raise denied()
    return context.caller.object_id


def _visible(context: Context, approval_id: str) -> Approval:
    """An approval that the caller asked for or decides on. Raises GraphError 403, WorldError 404."""
    person, pim = _person(context), context.world.pim
    approval = pim.approval(approval_id)
    if not pim.may_see_approval(approval_id, person):
        raise denied()
    return approval


def _stages(context: Context, approval: Approval) -> list[dict[str, Any]]:
    person = _person(context)
    assigned = person in approval.approver_ids
    directory = context.world.directory
    return [
        render.approval_stage(
            stage,
            assigned=assigned,
            reviewer=directory.name(stage.reviewed_by) if stage.reviewed_by else None,
        )
        for stage in approval.stages
    ]


def _body(context: Context, approval: Approval) -> dict[str, Any]:
    name = "steps" if context.world.switches.approval_segment == "steps" else "stages"
    return {"id": approval.id, name: _stages(context, approval)}


def _one(context: Context, id: str) -> Answer:  # noqa: A002  (named as in the contract's path)
    approval = _visible(context, id)
    return context.single(_body(context, approval), f"{CONTEXT}/assignmentApprovals/$entity")


def _mine(context: Context, on: str) -> Answer:
    person, pim = _person(context), context.world.pim
    if on not in ("principal", "createdBy", "approver"):
        raise bad_request(f"The value '{on}' is not a member of approvalFilterByCurrentUserOptions.")
    if on == "approver":
        found = pim.requests_to_decide(person)
    else:
        found = [each for each in pim.assignment_requests(principal_id=person) if each.approval_id]
    rows = [_body(context, pim.approval(each.approval_id or "")) for each in found]
    return context.listing(rows, f"{CONTEXT}/assignmentApprovals")


def _list(segment: str) -> Callable[..., Answer]:
    def listed(context: Context, id: str) -> Answer:  # noqa: A002
        _check_segment(context, segment)
        rows = _stages(context, _visible(context, id))
        return context.listing(rows, f"{CONTEXT}/assignmentApprovals('{id}')/{segment}")

    return listed


def _get(segment: str) -> Callable[..., Answer]:
    def one(context: Context, id: str, stageId: str) -> Answer:  # noqa: A002, N803
        _check_segment(context, segment)
        rows = _stages(context, _visible(context, id))
        found = next((each for each in rows if each["id"] == stageId), None)
        if found is None:
            raise not_found(stageId, "ResourceNotFound")
        return context.single(found, f"{CONTEXT}/assignmentApprovals('{id}')/{segment}/$entity")

    return one


def _decide(segment: str) -> Callable[..., Answer]:
    def decided(context: Context, id: str, stageId: str) -> Answer:  # noqa: A002, N803
        _check_segment(context, segment)
        _person(context)
        body = context.body
        if not isinstance(body, dict) or set(body) - {"reviewResult", "justification", "@odata.type"}:
            raise bad_request("A decision has a reviewResult and a justification.")
        result, justification = body.get("reviewResult"), body.get("justification", "")
        if not isinstance(result, str) or not isinstance(justification, str):
            raise bad_request("A decision has a reviewResult and a justification.")
        context.world.pim.decide(id, stageId, pim_caller(context), result, justification)
        return Answer(204)

    return decided


def add_routes(front: GraphFront, blueprint: Blueprint) -> None:
    """Serve approvals, under both names of their parts."""
    front.route(blueprint, "GET", f"{PATH}/{{id}}", _one)
    front.route(blueprint, "GET", f"{PATH}/filterByCurrentUser(on='{{on}}')", _mine)
    for segment in SEGMENTS:
        parts = f"{PATH}/{{id}}/{segment}"
        front.route(blueprint, "GET", parts, _list(segment))
        front.route(blueprint, "GET", f"{parts}/{{stageId}}", _get(segment))
        front.route(blueprint, "PATCH", f"{parts}/{{stageId}}", _decide(segment))
