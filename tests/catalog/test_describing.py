"""Words for what a permission set allows: plain where known, honest where not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from catalog.describing import managed_policy_sentence, summarise
from catalog.inline_policy import UNREADABLE, inline_sentence
from tests.support.fake_clouds import a_permission_set


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def test_known_and_unknown_managed_policies() -> None:
    known = managed_policy_sentence(
        "AmazonS3ReadOnlyAccess", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    )
    assert known == "Read all S3 buckets and objects (AmazonS3ReadOnlyAccess)."
    job = managed_policy_sentence("ViewOnlyAccess", "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess")
    assert job.startswith("See which resources exist")
    unknown = managed_policy_sentence("AmazonNewThing", "arn:aws:iam::aws:policy/AmazonNewThing")
    assert unknown == "AWS managed policy AmazonNewThing."


def test_a_policy_of_the_same_name_elsewhere_gets_no_words() -> None:
    words = managed_policy_sentence("ReadOnlyAccess", "arn:aws:iam::123456789012:policy/ReadOnlyAccess")
    assert words == "AWS managed policy ReadOnlyAccess."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("  ", ""),
        (policy(allow("s3:GetObject", "s3:List*")), "Can read from S3 (inline policy)."),
        (policy(allow("ec2:StartInstances", "ec2:Describe*")), "Can change things in EC2 (inline policy)."),
        (
            policy(allow("ec2:Start*"), allow("logs:Get*", "unheard:Get*")),
            "Can change things in EC2 and read from CloudWatch Logs and unheard (inline policy).",
        ),
        (
            policy(allow("s3:PutObject", resource=["arn:aws:s3:::x/*"])),
            "Can change things in S3, on named resources only (inline policy).",
        ),
        (policy(allow("*")), "Allows everything, in every service (inline policy)."),
        (
            policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
            "Allows everything except a list of actions (inline policy).",
        ),
        (policy({"Effect": "Deny", "Action": "*", "Resource": "*"}), "Allows nothing of itself, with"),
        (policy(allow("kms:Decrypt", Condition={"Bool": {}})), "under conditions"),
        (policy(allow("s3:*")), "Can change things in S3"),
        (json.dumps({"Statement": allow("sns:Publish")}), "SNS"),
        ("{", UNREADABLE),
        ("[]", UNREADABLE),
        ('"*"', UNREADABLE),
        ("{}", UNREADABLE),
        (policy({"Effect": "Allow"}), UNREADABLE),
        (json.dumps({"Statement": [None]}), UNREADABLE),
        (policy({"Effect": "Allow", "Action": [1]}), UNREADABLE),
    ],
)
def test_inline_policies(text: str, words: str) -> None:
    sentence = inline_sentence(text)
    assert words in sentence
    assert bool(sentence) == bool(words)


def test_a_write_action_is_never_called_reading() -> None:
    for verb in ("Create", "Put", "Delete", "Update", "Start", "Pass", "Assume", "Decrypt", "Tag", "*"):
        assert "read" not in inline_sentence(policy(allow(f"s3:{verb}Thing")))


def test_the_whole_summary() -> None:
    details = a_permission_set(
        "EC2AdminAccess",
        description="For the compute team",
        customer_managed_policies=(("/", "TeamLimits"),),
        inline_policy=policy(allow("s3:GetObject")),
        permissions_boundary="arn:aws:iam::aws:policy/PowerUserAccess",
    )
    assert summarise(details).splitlines() == [
        "For the compute team.",
        "Start, change and delete EC2 instances, load balancers, scaling and their alarms (AmazonEC2FullAccess).",
        "Can read from S3 (inline policy).",
        "Your organisation's own policy TeamLimits; what these allow differs by account and is not known here.",
        "Limited by the permissions boundary PowerUserAccess.",
    ]


def test_a_set_without_policies_says_so() -> None:
    assert "carries no policy" in summarise(a_permission_set("Empty", managed_policies=()))


def test_many_policies_are_counted() -> None:
    many = tuple((f"P{n}", f"arn:aws:iam::aws:policy/P{n}") for n in range(9))
    assert "And 3 more AWS managed policies." in summarise(a_permission_set("Many", managed_policies=many))
