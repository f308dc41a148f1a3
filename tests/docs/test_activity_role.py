"""The role that accounts are asked to deploy can look events up and nothing else, and only the worker may use it."""

from __future__ import annotations

from typing import Any

import yaml

from clients.aws.config import ACTIVITY_ROLE
from stack.running import ROOT


class Template(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, as `{"Ref": name}` and `{"Fn::GetAtt": name}`."""


Template.add_constructor("!Ref", lambda _, node: {"Ref": node.value})
Template.add_constructor("!GetAtt", lambda _, node: {"Fn::GetAtt": node.value})


def read() -> dict[str, Any]:
    text = (ROOT / "docs" / "activity-role.yaml").read_text()
    found: dict[str, Any] = yaml.load(text, Loader=Template)  # noqa: S506 - derived from the safe loader
    return found


def references(part: Any, form: str) -> set[str]:
    if isinstance(part, dict):
        own = {part[form]} if form in part else set()
        return own.union(*(references(each, form) for each in part.values()))
    return set().union(*(references(each, form) for each in part)) if isinstance(part, list) else set()


def test_the_role_looks_events_up_and_nothing_else() -> None:
    template = read()
    (role,) = template["Resources"].values()
    assert role["Type"] == "AWS::IAM::Role"
    assert set(role["Properties"]) == {
        "RoleName",
        "Description",
        "MaxSessionDuration",
        "AssumeRolePolicyDocument",
        "Policies",
    }
    (policy,) = role["Properties"]["Policies"]
    (allowed,) = policy["PolicyDocument"]["Statement"]
    assert (allowed["Effect"], allowed["Action"]) == ("Allow", "cloudtrail:LookupEvents")
    (trusted,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"AWS": {"Ref": "WorkerRoleArn"}}
    assert trusted["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": {"Ref": "OrganizationId"}}}
    assert role["Properties"]["MaxSessionDuration"] >= 3600


def test_the_template_holds_together() -> None:
    template = read()
    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    assert references(template, "Ref") == set(template["Parameters"])
    assert {each.split(".")[0] for each in references(template, "Fn::GetAtt")} == set(template["Resources"])
    assert template["Parameters"]["RoleName"]["Default"] == ACTIVITY_ROLE
    assert all("AllowedPattern" in each for each in template["Parameters"].values())
