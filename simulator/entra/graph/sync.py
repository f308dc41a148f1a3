"""Provisioning: the synchronization job of the enterprise application, and the provisioning log."""

from typing import Any

from flask import Blueprint

from simulator.entra.graph import render
from simulator.entra.graph.core import Answer, Context, GraphFront
from simulator.entra.graph.directory import check_service_principal
from simulator.entra.graph.errors import bad_request, not_found
from simulator.entra.graph.filters import paths
from simulator.world.provisioning import Subject
from simulator.world.state import Job

JOBS = "/servicePrincipals/{id}/synchronization/jobs"
RESET_FLAGS = {
    "None",
    "ConnectorDataStore",
    "Escrows",
    "Watermark",
    "QuarantineState",
    "Full",
    "ForceDeletes",
}


def _job(context: Context, service_principal_id: str, job_id: str | None = None) -> Job:
    check_service_principal(context, service_principal_id)
    job: Job = context.world.provisioning.job
    if service_principal_id != context.world.directory.application.id or job_id not in (None, job.id):
        raise not_found(job_id or service_principal_id)
    return job


def _rendered(context: Context, job: Job) -> dict[str, Any]:
    switches = context.world.switches
    return render.job(job, interval=switches.job_interval, template_id=switches.job_template_id)


def _jobs(context: Context, id: str) -> Answer:  # noqa: A002  (named as in the contract's path)
    check_service_principal(context, id)
    rows = []
    if id == context.world.directory.application.id:
        rows.append(_rendered(context, context.world.provisioning.job))
    return context.listing(rows, f"servicePrincipals('{id}')/synchronization/jobs")


def _one_job(context: Context, id: str, jobId: str) -> Answer:  # noqa: A002, N803
    job = _job(context, id, jobId)
    return context.single(_rendered(context, job), f"servicePrincipals('{id}')/synchronization/jobs/$entity")


def _schema(context: Context, id: str, jobId: str) -> Answer:  # noqa: A002, N803
    job = _job(context, id, jobId)
    where = f"servicePrincipals('{id}')/synchronization/jobs('{jobId}')/schema/$entity"
    return context.single(render.job_schema(job, context.world.provisioning.rules), where)


def _start(context: Context, id: str, jobId: str) -> Answer:  # noqa: A002, N803
    _job(context, id, jobId)
    context.world.provisioning.start()
    return Answer(204)


def _pause(context: Context, id: str, jobId: str) -> Answer:  # noqa: A002, N803
    _job(context, id, jobId)
    context.world.provisioning.pause()
    return Answer(204)


def _restart(context: Context, id: str, jobId: str) -> Answer:  # noqa: A002, N803
    _job(context, id, jobId)
    body = context.body if context.body is not None else {}
    criteria = body.get("criteria", {}) if isinstance(body, dict) else None
    if not isinstance(criteria, dict) or set(body) - {"criteria"}:
        raise bad_request("The restart criteria are malformed.")
    scope = criteria.get("resetScope", "None")
    flags = {flag.strip() for flag in scope.split(",")} if isinstance(scope, str) else {""}
    if not flags <= RESET_FLAGS or set(criteria) - {"resetScope", "@odata.type"}:
        raise bad_request(f"The value '{scope}' is not a member of synchronizationJobRestartScope.")
    context.world.provisioning.restart(scope)
    return Answer(204)


def _members(subject: dict[str, Any]) -> tuple[str, ...]:
    """The people that a group's links name. Raises GraphError 400."""
    links = subject.get("links") or {}
    if not isinstance(links, dict) or set(links) - {"members", "owners", "manager", "@odata.type"}:
        raise bad_request("The links of a subject are malformed.")
    members = links.get("members") or []
    if not isinstance(members, list):
        raise bad_request("The members of a subject have to be a list.")
    found = []
    for member in members:
        if not isinstance(member, dict) or not isinstance(member.get("objectId"), str):
            raise bad_request("Each of the members needs an objectId.")
        if member.get("objectTypeName") != "User":
            raise bad_request("Only members of type User can be provisioned on demand.")
        found.append(member["objectId"])
    return tuple(found)


def _subjects(body: Any, rule_ids: tuple[str, str]) -> list[Subject]:
    """What a provisionOnDemand call names. Raises GraphError 400."""
    parameters = body.get("parameters") if isinstance(body, dict) else None
    if not isinstance(parameters, list) or not parameters or set(body) - {"parameters"}:
        raise bad_request("The property 'parameters' is required and has to be a list.")
    found = []
    for each in parameters:
        given = each.get("subjects") if isinstance(each, dict) else None
        if not isinstance(given, list) or not given:
            raise bad_request("Each of the parameters needs a ruleId and subjects.")
        if each.get("ruleId") not in rule_ids:
            raise bad_request(f"The synchronization rule '{each.get('ruleId')}' does not exist.")
        for subject in given:
            if not isinstance(subject, dict) or not isinstance(subject.get("objectId"), str):
                raise bad_request("Each of the subjects needs an objectId.")
            if subject.get("objectTypeName") not in ("User", "Group"):
                raise bad_request("The objectTypeName of a subject is User or Group.")
            found.append(Subject(subject["objectId"], subject["objectTypeName"], _members(subject)))
    return found


def _provision_on_demand(context: Context, id: str, jobId: str) -> Answer:  # noqa: A002, N803
    _job(context, id, jobId)
    provisioning = context.world.provisioning
    answer = provisioning.on_demand(_subjects(context.body, provisioning.rules))
    body = {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.stringKeyStringValuePair",
        **render.on_demand(answer.key, answer.value),
    }
    return Answer(200, body)


def _log(context: Context) -> Answer:
    world = context.world
    by_source = context.query.filter is not None and "sourceIdentity/id" in paths(context.query.filter)
    if by_source and not world.switches.provisioning_log_by_source:
        raise bad_request("Invalid filter clause: filtering by 'sourceIdentity/id' is not supported.")
    application, job = world.directory.application, world.provisioning.job
    rows = [
        render.log_row(row, tenant_id=world.state.tenant_id, job_id=job.id, application=application)
        for row in world.provisioning.log()
    ]
    return context.listing(rows, "auditLogs/provisioning", case_sensitive=True)


def add_routes(front: GraphFront, blueprint: Blueprint) -> None:
    """Serve provisioning."""
    front.route(blueprint, "GET", JOBS, _jobs)
    front.route(blueprint, "GET", f"{JOBS}/{{jobId}}", _one_job)
    front.route(blueprint, "GET", f"{JOBS}/{{jobId}}/schema", _schema)
    front.route(blueprint, "POST", f"{JOBS}/{{jobId}}/start", _start)
    front.route(blueprint, "POST", f"{JOBS}/{{jobId}}/pause", _pause)
    front.route(blueprint, "POST", f"{JOBS}/{{jobId}}/restart", _restart)
    front.route(blueprint, "POST", f"{JOBS}/{{jobId}}/provisionOnDemand", _provision_on_demand)
    front.route(blueprint, "GET", "/auditLogs/provisioning", _log)
