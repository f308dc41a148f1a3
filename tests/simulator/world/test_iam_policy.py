"""Deny statements, judged as IAM judges them."""

import json
from typing import Any

import pytest

from simulator.world.iam_policy import parse

ROLE = "arn:aws:iam::222233334444:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef"
CONTEXT = {
    "identitystore:userid": ("u-1",),
    "aws:principalarn": (ROLE,),
    "aws:tokenissuetime": ("2026-03-02T09:00:00+00:00",),
    "aws:tags": ("one", "two"),
}


def denied(condition: dict[str, Any], *, action: str = "s3:GetObject", **more: Any) -> bool:
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition} | more
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return parse(document).denies(action, "*", CONTEXT)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, True),
        ({"StringEquals": {"identitystore:userId": "u-1"}}, True),
        ({"StringEquals": {"identitystore:UserId": ["u-0", "u-1"]}}, True),  # keys don't look at case
        ({"StringEquals": {"identitystore:userId": "U-1"}}, False),  # values do
        ({"StringEquals": {"identitystore:userId": "u-*"}}, False),
        ({"StringLike": {"identitystore:userId": "u-*"}}, True),
        ({"StringNotEquals": {"identitystore:userId": ["u-2", "u-1"]}}, False),
        ({"StringNotEquals": {"identitystore:userId": "u-2"}}, True),
        ({"StringEqualsIgnoreCase": {"identitystore:userId": "U-1"}}, True),
        ({"ForAnyValue:StringEquals": {"identitystore:userId": ["u-1", "u-9"]}}, True),
        ({"ForAnyValue:StringEquals": {"identitystore:userId": ["u-9"]}}, False),
        ({"ForAnyValue:StringEquals": {"aws:tags": ["two"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:tags": ["two"]}}, False),
        ({"ForAllValues:StringEquals": {"aws:absent": ["two"]}}, True),
        ({"StringEquals": {"aws:absent": "x"}}, False),
        ({"StringNotEquals": {"aws:absent": "x"}}, True),
        ({"StringEqualsIfExists": {"aws:absent": "x"}}, True),
        ({"ForAnyValue:StringEquals": {"aws:absent": "x"}}, False),
        ({"Null": {"aws:absent": "true"}}, True),
        ({"Null": {"identitystore:userId": "true"}}, False),
        ({"ArnEquals": {"aws:PrincipalArn": ROLE}}, True),
        ({"ArnLike": {"aws:PrincipalArn": ROLE.replace("eu-west-1/", "*").replace("2222", "????", 1)}}, True),
        (
            {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws-reserved/*/AWSReservedSSO_Admin_*"}},
            True,
        ),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam:*"}}, False),  # a part doesn't reach over colons
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws-reserved/*"}}, False),
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-03-02T09:00:01Z"}}, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-03-02T09:00:00Z"}}, False),
        ({"DateLessThanEquals": {"aws:TokenIssueTime": "2026-03-02T10:00:00+01:00"}}, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "1772442001"}}, True),
        ({"DateGreaterThan": {"aws:TokenIssueTime": "2026-03-02T09:00:00Z"}}, False),
        (
            {
                "StringEquals": {"identitystore:userId": "u-1"},
                "DateLessThan": {"aws:TokenIssueTime": "2026-03-02T08:00:00Z"},
            },
            False,  # all of them have to hold
        ),
    ],
)
def test_conditions(condition: dict[str, Any], expected: bool) -> None:
    assert denied(condition) is expected


def test_actions_and_resources() -> None:
    assert denied({}, Action=["ec2:*", "s3:Get*"])
    assert not denied({}, Action=["ec2:*"])
    document = {"Statement": {"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}}
    policy = parse(json.dumps(document))
    assert policy.denies("s3:GetObject", "*", {})
    assert not policy.denies("IAM:ListRoles", "*", {})
    bucket = parse(
        json.dumps({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:s3:::a/*"}})
    )
    assert bucket.denies("s3:GetObject", "arn:aws:s3:::a/b", {})
    assert not bucket.denies("s3:GetObject", "arn:aws:s3:::b/b", {})
    allow = {"Effect": "Allow", "Action": "s3:*", "NotResource": "*", "Condition": {"IpAddress": {"a": "b"}}}
    assert not parse(json.dumps({"Statement": [allow]})).denies("s3:GetObject", "*", {})


@pytest.mark.parametrize(
    "document",
    [
        "no json",
        "[]",
        '{"Version": "2030-01-01", "Statement": []}',
        '{"Statement": "x"}',
        '{"Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Action": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Action": [], "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Mood": 1}]}',
        '{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": []}]}',
        '{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringEquals": 1}}]}',
        '{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"a": "b"}}}]}',
        '{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"a": "b"}}}]}',
    ],
)
def test_what_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(document)
