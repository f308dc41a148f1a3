"""Groups, users, service principals and who is assigned to the enterprise application."""

from typing import Any

from flask import Blueprint

from simulator.entra.graph import render
from simulator.entra.graph.core import Answer, Context, GraphFront
from simulator.entra.graph.errors import bad_request, denied, not_found
from simulator.entra.graph.permissions import accepted


def _groups(context: Context) -> Answer:
    rows = [render.group(each) for each in context.world.directory.groups()]
    return context.listing(rows, "groups")


def _group(context: Context, id: str) -> Answer:  # noqa: A002  (named as in the contract's path)
    return context.single(render.group(context.world.directory.group(id)), "groups/$entity")


def _members(context: Context, id: str) -> Answer:  # noqa: A002
    members = context.world.directory.members(id)
    return _directory_objects(context, [render.directory_object(each) for each in members])


def _transitive_members(context: Context, id: str) -> Answer:  # noqa: A002
    members = context.world.directory.transitive_members(id)
    return _directory_objects(context, [render.directory_object(each) for each in members])


def _owners(context: Context, id: str) -> Answer:  # noqa: A002
    directory = context.world.directory
    listed = {}
    if context.world.switches.owners_list_applications:
        listed = {row["id"]: render.service_principal_object(row) for row in _service_principal_rows(context)}
    rows = []
    for each in directory.owner_ids(id):
        person = directory.find_user(each)
        row = listed.get(each) if person is None else render.directory_object(person)
        if row is not None:
            rows.append(row)
    if not _may_read_people(context):
        rows = [
            {name: value if name in ("@odata.type", "id") else None for name, value in row.items()}
            for row in rows
        ]
    return _directory_objects(context, rows)


def _may_read_people(context: Context) -> bool:
    kind = "delegated" if context.caller.delegated else "application"
    return bool(accepted()["GET /users/{id}"][kind] & context.caller.permissions)


def _directory_objects(context: Context, rows: list[dict[str, Any]]) -> Answer:
    """Users without `$select` come with their default properties only, as everywhere."""
    if not context.query.select:
        rows = [
            {
                name: value
                for name, value in row.items()
                if row["@odata.type"] != "#microsoft.graph.user"
                or name in render.USER_DEFAULT
                or name.startswith("@")
            }
            for row in rows
        ]
    return context.listing(rows, "directoryObjects", lenient=True)


def _user(context: Context, id: str) -> Answer:  # noqa: A002
    directory = context.world.directory
    found = directory.find_user(id) or directory.find_user_by_name(id)
    if found is None:
        raise not_found(id)
    return context.single(render.user(found), "users/$entity", default=render.USER_DEFAULT)


def _manager(context: Context, id: str) -> Answer:  # noqa: A002
    if not (context.caller.delegated or context.world.switches.application_reads_managers):
        raise denied()
    directory = context.world.directory
    found = directory.find_user(id) or directory.find_user_by_name(id)
    if found is None:
        raise not_found(id)
    manager = directory.find_user(found.manager_id) if found.manager_id else None
    if manager is None:
        raise not_found("manager")
    row = render.directory_object(manager)
    shown = context.single(row, "directoryObjects/$entity", default=("@odata.type", *render.USER_DEFAULT))
    return Answer(shown.status, {**(shown.body or {}), "@odata.type": row["@odata.type"]})


def _me(context: Context) -> Answer:
    return _user(context, context.caller.object_id)


def _check_member_groups(context: Context, id: str) -> Answer:  # noqa: A002
    body = context.body
    wanted = body.get("groupIds") if isinstance(body, dict) else None
    if not isinstance(wanted, list) or not all(isinstance(each, str) for each in wanted):
        raise bad_request("The property 'groupIds' is required and has to be a list of ids.")
    if set(body) - {"groupIds"}:
        raise bad_request("Invalid property in the request body.")
    most = context.world.switches.member_groups_per_call
    if len(wanted) > most:
        raise bad_request(f"The number of groupIds exceeds the maximum of {most}.")
    context.world.directory.user(id)
    held = {group.id for group in context.world.directory.member_groups(id)}
    return Answer(
        200,
        {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Collection(Edm.String)",
            "value": [each for each in wanted if each in held],
        },
    )


def _service_principal_rows(context: Context) -> list[dict[str, Any]]:
    world, registrations = context.world, context.front.provider.registrations
    tenant = world.state.tenant_id
    return [
        render.enterprise_application(world.directory.application, tenant),
        render.registration(registrations.signin, tenant),
        render.registration(registrations.worker, tenant),
    ]


def owned_by_caller(context: Context, service_principal_id: str) -> bool:
    """The worker's service principal owns the enterprise application of IAM Identity Center, nothing else."""
    worker = context.front.provider.registrations.worker
    return (
        context.caller.application_id == worker.client_id
        and service_principal_id == context.world.directory.application.id
    )


def check_service_principal(context: Context, service_principal_id: str) -> dict[str, Any]:
    """The service principal that a path names. Raises GraphError 404, or 403 when it isn't the caller's."""
    rows = _service_principal_rows(context)
    found = next((row for row in rows if row["id"] == service_principal_id), None)
    if found is None:
        raise not_found(service_principal_id)
    context.authorize(owned=owned_by_caller(context, service_principal_id))
    return found


def _service_principals(context: Context) -> Answer:
    return context.listing(_service_principal_rows(context), "servicePrincipals")


def _service_principal(context: Context, id: str) -> Answer:  # noqa: A002
    return context.single(check_service_principal(context, id), "servicePrincipals/$entity")


def _app_role_assigned_to(context: Context, id: str) -> Answer:  # noqa: A002
    check_service_principal(context, id)
    directory = context.world.directory
    rows = []
    if id == directory.application.id:
        for each in directory.app_role_assignments():
            principal = directory.find_group(each.principal_id) or directory.find_user(each.principal_id)
            name = principal.display_name if principal is not None else ""
            rows.append(render.app_role_assignment(each, directory.application, name))
    return context.listing(rows, "appRoleAssignments")


def _app_role_assignments(context: Context, id: str) -> Answer:  # noqa: A002
    directory = context.world.directory
    group = directory.group(id)
    rows = [
        render.app_role_assignment(each, directory.application, group.display_name)
        for each in directory.app_role_assignments()
        if each.principal_id == group.id
    ]
    return context.listing(rows, "appRoleAssignments")


def add_routes(front: GraphFront, blueprint: Blueprint) -> None:
    """Serve the directory."""
    front.route(blueprint, "GET", "/groups", _groups)
    front.route(blueprint, "GET", "/groups/{id}", _group)
    front.route(blueprint, "GET", "/groups/{id}/members", _members)
    front.route(blueprint, "GET", "/groups/{id}/transitiveMembers", _transitive_members)
    front.route(blueprint, "GET", "/groups/{id}/owners", _owners)
    front.route(blueprint, "GET", "/groups/{id}/appRoleAssignments", _app_role_assignments)
    front.route(blueprint, "GET", "/users/{id}", _user)
    front.route(blueprint, "GET", "/users/{id}/manager", _manager)
    front.route(blueprint, "GET", "/me", _me)
    front.route(blueprint, "POST", "/users/{id}/checkMemberGroups", _check_member_groups)
    front.route(blueprint, "GET", "/servicePrincipals", _service_principals)
    front.route(blueprint, "GET", "/servicePrincipals/{id}", _service_principal)
    front.route(blueprint, "GET", "/servicePrincipals/{id}/appRoleAssignedTo", _app_role_assigned_to)
