"""sts, answered from the world: who calls, and roles of member accounts for a while."""

import re
from datetime import timedelta
from typing import Any

from simulator.aws.calls import Call, Handler, invalid
from simulator.aws.roles import Role, role_arn
from simulator.world.errors import WorldError

ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:[\w+=,.@-]+/)*([\w+=,.@-]{1,64})")
SHORTEST, LONGEST = 900, 3600  # seconds; roles that are chained last an hour at most


def get_caller_identity(call: Call) -> dict[str, Any]:
    """Who calls; needs no permission."""
    role = call.role.name
    return {
        "UserId": f"{_role_id(call, call.account, role)}:{role}",
        "Account": call.account,
        "Arn": role_arn(call.role, call.account),
    }


def assume_role(call: Call) -> dict[str, Any]:
    """A key of a role in an account of the organization. Raises WorldError AccessDenied for what isn't there."""
    arn = str(call.need("RoleArn"))
    match = ROLE_ARN.fullmatch(arn)
    account, name = match.groups() if match else ("", "")
    actions = call.keys.assumable.get(name)
    if actions is None or account not in call.world.state.organization.accounts:
        caller = role_arn(call.role, call.account)
        message = f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        raise WorldError(403, "AccessDenied", message)
    seconds = int(call.params.get("DurationSeconds") or LONGEST)
    if not SHORTEST <= seconds <= LONGEST:
        raise invalid(f"DurationSeconds is between {SHORTEST} and {LONGEST}.", "ValidationError")
    ends_at = call.world.now() + timedelta(seconds=seconds)
    key = f"ASIA{call.world.dice.hex(16).upper()}"
    call.keys.temporary[key] = (Role(name, actions, account), ends_at)
    session = str(call.need("RoleSessionName"))
    return {
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": call.world.dice.hex(40),
            "SessionToken": call.world.dice.hex(64),
            "Expiration": ends_at,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{_role_id(call, account, name)}:{session}",
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        },
    }


def _role_id(call: Call, account: str, role: str) -> str:
    return "AROA" + call.world.dice.named_hex(f"role {account} {role}", 17).upper()


OPERATIONS: dict[str, Handler] = {"GetCallerIdentity": get_caller_identity, "AssumeRole": assume_role}
