"""iam, as far as it is the same in every account: AWS managed policies, with the documents that moto ships from AWS."""

import hashlib
import json
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from simulator.aws.calls import Call, Handler
from simulator.world.errors import WorldError

PREFIX = "arn:aws:iam::aws:policy"


@lru_cache(maxsize=1)
def _policies() -> dict[str, dict[str, Any]]:
    """moto's copy of AWS's policies by ARN; 5 MB that are read at the first question only."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    named = json.loads(aws_managed_policies_data)
    return {f"{PREFIX}{each['Path']}{name}": {**each, "Name": name} for name, each in named.items()}


def managed_policy(arn: str, version: str = "") -> dict[str, Any]:
    """One AWS managed policy with its document, if `version` is the one that holds (or none is asked for).

    Raises:
        WorldError: NoSuchEntity. AWS keeps older versions; here only the newest exists.
    """
    found = _policies().get(arn)
    if found is None:
        raise WorldError(404, "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
    if version not in ("", found["DefaultVersionId"]):
        raise WorldError(404, "NoSuchEntity", f"Policy {arn} version {version} does not exist.")
    return found


def get_policy(call: Call) -> dict[str, Any]:
    """What IAM keeps about a policy, without its document."""
    arn = str(call.need("PolicyArn"))
    found = managed_policy(arn)
    return {
        "Policy": {
            "PolicyName": found["Name"],
            "PolicyId": "ANPA" + hashlib.sha256(arn.encode()).hexdigest()[:17].upper(),
            "Arn": arn,
            "Path": found["Path"],
            "DefaultVersionId": found["DefaultVersionId"],
            "AttachmentCount": 0,
            "PermissionsBoundaryUsageCount": 0,
            "IsAttachable": True,
            "CreateDate": datetime.fromisoformat(found["CreateDate"]),
            "UpdateDate": datetime.fromisoformat(found["UpdateDate"]),
        }
    }


def get_policy_version(call: Call) -> dict[str, Any]:
    """The document, percent-encoded as IAM gives it."""
    found = managed_policy(str(call.need("PolicyArn")), str(call.need("VersionId")))
    return {
        "PolicyVersion": {
            "Document": quote(json.dumps(found["Document"]), safe=""),
            "VersionId": found["DefaultVersionId"],
            "IsDefaultVersion": True,
            "CreateDate": datetime.fromisoformat(found["UpdateDate"]),
        }
    }


OPERATIONS: dict[str, Handler] = {"GetPolicy": get_policy, "GetPolicyVersion": get_policy_version}
