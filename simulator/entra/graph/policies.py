"""PIM's policies of groups, and the authentication contexts that their rules may name."""

from typing import Any

from flask import Blueprint

from simulator.entra.graph import render
from simulator.entra.graph.core import Answer, Context, GraphFront
from simulator.entra.graph.errors import bad_request
from simulator.entra.graph.filters import equality_terms
from simulator.entra.graph.odata import Expand
from simulator.world.errors import not_found
from simulator.world.policies import ACCESSES

ASSIGNMENTS = "/policies/roleManagementPolicyAssignments"
POLICIES = "/policies/roleManagementPolicies"
CONTEXTS = "/identity/conditionalAccess/authenticationContextClassReferences"


def _scope(context: Context) -> tuple[str, list[str]]:
    """Group and accesses of the mandatory filter. Raises GraphError 400 without it, WorldError 404."""
    terms = equality_terms(context.query.filter) if context.query.filter is not None else {}
    group_id, kind, access = (terms.get(name) for name in ("scopeId", "scopeType", "roleDefinitionId"))
    if not isinstance(group_id, str) or kind != "Group":
        raise bad_request(
            "The filter has to name scopeId and scopeType with the eq operator.", "MissingRequiredFilter"
        )
    context.world.directory.group(group_id)
    return group_id, [each for each in ACCESSES if access in (None, each)]


def _policy(context: Context, group_id: str, access: str, expand: dict[str, Expand]) -> dict[str, Any]:
    if set(expand) - {"rules", "effectiveRules"}:
        raise bad_request("Could not find a property of that name on the requested type.")
    policies = context.world.policies
    rules = policies.rules(group_id, access)
    body = render.policy(
        policies.policy_id(group_id, access),
        group_id,
        policies.policy(group_id, access),
        rules if "rules" in expand else None,
    )
    if "effectiveRules" in expand:
        body["effectiveRules"] = rules
    return body


def _assignment(context: Context, group_id: str, access: str) -> dict[str, Any]:
    policies = context.world.policies
    body: dict[str, Any] = {
        "id": policies.assignment_id(group_id, access),
        "policyId": policies.policy_id(group_id, access),
        "scopeId": group_id,
        "scopeType": "Group",
        "roleDefinitionId": access,
    }
    for name, options in context.query.expand.items():
        if name != "policy":
            raise bad_request(f"Could not find a property named '{name}' on the requested type.")
        body["policy"] = _policy(context, group_id, access, dict(options.expand))
    return body


def _assignments(context: Context) -> Answer:
    group_id, accesses = _scope(context)
    rows = [_assignment(context, group_id, each) for each in accesses]
    return context.listing(rows, "policies/roleManagementPolicyAssignments")


def _find(context: Context, wanted: str, *, assignment: bool = False) -> tuple[str, str]:
    """Group and access of a policy's (or its assignment's) id as it is now. Raises WorldError 404.

    An id from before the group was onboarded is unknown.
    """
    policies = context.world.policies
    of = policies.assignment_id if assignment else policies.policy_id
    group_id = wanted.removeprefix("Group_").partition("_")[0]
    if context.world.directory.find_group(group_id) is not None:
        for access in ACCESSES:
            if of(group_id, access) == wanted:
                return group_id, access
    raise not_found(wanted, "ResourceNotFound")


def _one_assignment(context: Context, id: str) -> Answer:  # noqa: A002  (named as in the contract's path)
    group_id, access = _find(context, id, assignment=True)
    body = _assignment(context, group_id, access)
    return context.single(body, "policies/roleManagementPolicyAssignments/$entity")


def _policies(context: Context) -> Answer:
    group_id, accesses = _scope(context)
    rows = []
    for each in accesses:
        policy = _policy(context, group_id, each, dict(context.query.expand))
        # What the filter speaks of is the policy's assignment, so a row carries it for the filter alone.
        rows.append({**policy, "roleDefinitionId": each})
    answer = context.listing(rows, "policies/roleManagementPolicies")
    values = (answer.body or {})["value"]
    for row in values:
        row.pop("roleDefinitionId", None)
    return answer


def _one_policy(context: Context, id: str) -> Answer:  # noqa: A002
    group_id, access = _find(context, id)
    body = _policy(context, group_id, access, dict(context.query.expand))
    return context.single(body, "policies/roleManagementPolicies/$entity")


def _rules(context: Context, id: str) -> Answer:  # noqa: A002
    rows = context.world.policies.rules(*_find(context, id))
    return context.listing(rows, f"policies/roleManagementPolicies('{id}')/rules", lenient=True)


def _rule(context: Context, id: str, ruleId: str) -> Answer:  # noqa: A002, N803
    rows = context.world.policies.rules(*_find(context, id))
    found = next((each for each in rows if each["id"] == ruleId), None)
    if found is None:
        raise not_found(ruleId, "ResourceNotFound")
    return context.single(found, f"policies/roleManagementPolicies('{id}')/rules/$entity")


def _contexts(context: Context) -> Answer:
    rows = [
        {"id": each, "displayName": name, "description": "", "isAvailable": True}
        for each, name in sorted(context.world.state.authentication_contexts.items())
    ]
    return context.listing(rows, "identity/conditionalAccess/authenticationContextClassReferences")


def add_routes(front: GraphFront, blueprint: Blueprint) -> None:
    """Serve policies, their assignments and rules, and the authentication contexts."""
    front.route(blueprint, "GET", ASSIGNMENTS, _assignments)
    front.route(blueprint, "GET", f"{ASSIGNMENTS}/{{id}}", _one_assignment)
    front.route(blueprint, "GET", POLICIES, _policies)
    front.route(blueprint, "GET", f"{POLICIES}/{{id}}", _one_policy)
    front.route(blueprint, "GET", f"{POLICIES}/{{id}}/rules", _rules)
    front.route(blueprint, "GET", f"{POLICIES}/{{id}}/rules/{{ruleId}}", _rule)
    front.route(blueprint, "GET", CONTEXTS, _contexts)
