"""An inline policy in one sentence: which services, and whether anything can be changed. Read with care."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

MOST_NAMED = 6
UNREADABLE = "An inline policy that the portal can't read, so what it allows is not known."
# Verbs with which AWS names actions that read (service authorization reference: access levels List and Read).
_READING = (
    "get",
    "list",
    "describe",
    "batchget",
    "query",
    "scan",
    "search",
    "lookup",
    "view",
    "select",
    "head",
)
_SERVICES: Mapping[str, str] = {
    "ec2": "EC2",
    "s3": "S3",
    "iam": "IAM",
    "sts": "STS",
    "rds": "RDS",
    "kms": "KMS",
    "ssm": "Systems Manager",
    "logs": "CloudWatch Logs",
    "cloudwatch": "CloudWatch",
    "dynamodb": "DynamoDB",
    "lambda": "Lambda",
    "secretsmanager": "Secrets Manager",
    "ecs": "ECS",
    "eks": "EKS",
    "ecr": "ECR",
    "sqs": "SQS",
    "sns": "SNS",
    "cloudformation": "CloudFormation",
    "cloudtrail": "CloudTrail",
    "route53": "Route 53",
    "elasticloadbalancing": "Elastic Load Balancing",
    "autoscaling": "Auto Scaling",
    "organizations": "Organizations",
    "glue": "Glue",
    "athena": "Athena",
    "states": "Step Functions",
    "codepipeline": "CodePipeline",
    "codebuild": "CodeBuild",
    "ce": "Cost Explorer",
    "support": "AWS Support",
}


def inline_sentence(policy: str) -> str:
    """One sentence about the policy's JSON text; "" when there is none."""
    if not policy.strip():
        return ""
    try:
        statements = _statements(json.loads(policy))
        allowed = [each for each in statements if each.get("Effect") == "Allow"]
        denied = any(each.get("Effect") == "Deny" for each in statements)
        sentence = _allowed(allowed)
    except (ValueError, TypeError, AttributeError):
        return UNREADABLE
    hedges = []
    if any("Condition" in each for each in allowed):
        hedges.append("under conditions")
    if denied:
        hedges.append("with exceptions that are denied")
    return f"{sentence}{', ' if hedges else ''}{' and '.join(hedges)} (inline policy)."


def _statements(document: Any) -> list[dict[str, Any]]:
    statement = document["Statement"] if isinstance(document, dict) and "Statement" in document else None
    statements = [statement] if isinstance(statement, dict) else statement
    if not isinstance(statements, list) or not all(isinstance(each, dict) for each in statements):
        raise ValueError("not a policy")
    return statements


def _allowed(statements: list[dict[str, Any]]) -> str:
    if not statements:
        return "Allows nothing of itself"
    if any("NotAction" in each for each in statements):
        return "Allows everything except a list of actions"
    actions = [action for each in statements for action in _texts(each.get("Action"))]
    if any(action in ("*", "*:*") for action in actions):
        return "Allows everything, in every service"
    reading: set[str] = set()
    writing: set[str] = set()
    for action in actions:
        service, _, verb = action.partition(":")
        target = reading if verb.lower().startswith(_READING) else writing
        target.add(_SERVICES.get(service.lower(), service))
    words = []
    if writing:
        words.append(f"change things in {_named(writing)}")
    if reading - writing:
        words.append(f"read from {_named(reading - writing)}")
    resources = [text for each in statements for text in _texts(each.get("Resource", "*"))]
    where = "" if "*" in resources else ", on named resources only"
    return f"Can {' and '.join(words)}{where}"


def _texts(value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) for each in texts):
        raise ValueError("neither a text nor a list of texts")
    return texts


def _named(services: Iterable[str]) -> str:
    names = sorted(services, key=str.lower)
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more services"
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
