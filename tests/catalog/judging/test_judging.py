"""What a permission set is judged to allow: by hand-made policies, by AWS's own, and against a naive reading."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.judging.actions import Level, action_table, read_table
from catalog.judging.dangers import DANGERS, Kind, find_dangers
from catalog.judging.documents import is_everywhere, read_policy
from catalog.judging.judgement import Content, Judged, Unknown, judge
from catalog.judging.reach import Reach, reach_of
from tests.support.aws_policies import aws_policy

TABLE = action_table()


def allow(actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def deny(actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(actions, resource, **more), "Effect": "Deny"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def inline(*statements: dict[str, Any]) -> Judged:
    return judge(Content(inline=policy(*statements)), {})


def managed(*names: str, boundary: str = "") -> Judged:
    documents = {f"arn:aws:iam::aws:policy/{name}": aws_policy(name) for name in [*names, boundary] if name}
    arn = f"arn:aws:iam::aws:policy/{boundary}" if boundary else ""
    return judge(
        Content(managed=[f"arn:aws:iam::aws:policy/{name}" for name in names], boundary=arn), documents
    )


def named(bits: int) -> set[str]:
    return {f"{span.service}:{name}" for span, name in TABLE.names(bits)}


def found(judged: Judged) -> dict[str, str]:
    """Dangers by key, with how they are hedged."""
    return {each.danger.key: each.hedge.value for each in judged.findings}


def kinds(judged: Judged) -> set[Kind]:
    return {each.danger.kind for each in judged.findings}


# --- the table of actions


def test_the_table_has_what_aws_documents() -> None:
    assert TABLE.count > 20_000
    assert TABLE.everything.bit_count() == TABLE.count
    levels = {
        f"{span.service}:{name}": span.level for span, name in TABLE.names(TABLE.matching("s3:*Object"))
    }
    assert (levels["s3:GetObject"], levels["s3:PutObject"]) == (Level.READ, Level.WRITE)
    assert TABLE.counts(TABLE.matching("iam:PassRole")) == {("iam", Level.PERMISSIONS): 1}
    assert TABLE.counts(TABLE.matching("s3:PutBucketPolicy")) == {("s3", Level.PERMISSIONS): 1}


def test_another_file_is_another_version() -> None:
    assert read_table("s3 R GetObject\n").version != read_table("s3 R GetObject HeadObject\n").version
    with pytest.raises(ValueError, match="X"):
        read_table("s3 X GetObject\n")


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("s3:getobject", "s3:GetObject", True),
        ("S3:GET*", "s3:GetObject", True),
        ("s3:Get?bject", "s3:GetObject", True),
        ("s3:Get?ct", "s3:GetObject", False),
        ("s3:*Obj*", "s3:GetObject", True),
        ("*:GetObject", "s3:GetObject", True),
        ("s?:GetObject", "s3:GetObject", True),
        ("*", "s3:GetObject", True),
        ("s3:*", "s3-object-lambda:GetObject", False),
        ("s3", "s3:GetObject", False),
        ("s3:Get.bject", "s3:GetObject", False),
    ],
)
def test_a_pattern_is_read_as_iam_reads_it(pattern: str, action: str, matches: bool) -> None:
    assert bool(TABLE.matching(pattern) & TABLE.matching(action)) is matches


def test_every_action_of_every_danger_exists() -> None:
    for danger in DANGERS:
        for action in (each for way in danger.ways for each in way.split("+")):
            assert TABLE.matching(action).bit_count() == 1, action


# --- documents


@pytest.mark.parametrize(
    ("resource", "everywhere"),
    [
        ("*", True),
        ("arn:aws:s3:::*", True),
        ("arn:aws:s3:::*/*", True),
        ("arn:aws:iam::*:role/*", True),
        ("arn:aws:iam::111122223333:role/*", False),
        ("arn:aws:lambda:eu-west-1:*:function:*", False),
        ("arn:aws:logs:*:*:log-group:app:*", False),
        ("arn:aws:ssm:*:*:parameter/app/*", False),
        ("arn:aws:dynamodb:*:*:table/*/index/*", True),
        ("arn:aws:lambda:*:*:function:*", True),
        ("arn:aws:s3:::logs/*", False),
        ("arn:aws:s3:::logs-*", False),
        ("arn:aws:iam::*:role/path/name", False),
        ("arn:aws:iam::*:role/service-role/x*", False),
    ],
)
def test_a_resource_that_names_a_whole_kind_limits_nothing(resource: str, everywhere: bool) -> None:
    assert is_everywhere(resource) is everywhere


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "nonsense",
        '{"Statement": "x"}',
        '{"Statement": [{"Effect": "Allow"}]}',
        '{"Statement": [{"Effect": "Maybe", "Action": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "NotAction": "s3:*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": [1], "Resource": "*"}]}',
        '{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": {"a": 1}}]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_policy_is_unknown_and_never_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_policy(text)
    if text:
        judged = judge(Content(inline=text), {})
        assert judged.unknown == ((Unknown.INLINE, ""),)
        assert not judged.complete


# --- what statements allow together


def test_not_action_allows_all_the_rest() -> None:
    judged = inline({"Effect": "Allow", "NotAction": ["iam:*", "s3:Get*"], "Resource": "*"})
    assert judged.reach.wide & TABLE.matching("iam:*") == 0
    assert judged.reach.wide == TABLE.everything & ~TABLE.matching("iam:*") & ~TABLE.matching("s3:Get*")


def test_a_denial_everywhere_takes_away_and_a_limited_one_only_hedges() -> None:
    always = inline(allow("s3:*"), deny("s3:DeleteBucket"))
    assert "s3:DeleteBucket" not in named(always.reach.all)
    for limited in (
        deny("s3:*", "arn:aws:s3:::vault/*"),
        deny("s3:*", "arn:aws:s3:::*"),
        deny("s3:*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}),
        {"Effect": "Deny", "NotAction": "ec2:*", "NotResource": "arn:aws:s3:::vault/*"},
    ):
        judged = inline(allow(["s3:GetObject"]), limited)
        assert named(judged.reach.conditional) == {"s3:GetObject"}
        assert found(judged) == {"stored-data": "conditional"}


def test_a_denial_of_all_but_some_leaves_those() -> None:
    judged = inline(allow("*"), {"Effect": "Deny", "NotAction": ["s3:ListAllMyBuckets"], "Resource": "*"})
    assert named(judged.reach.all) == {"s3:ListAllMyBuckets"}


def test_what_is_allowed_twice_is_as_wide_as_the_wider() -> None:
    bucket = "arn:aws:s3:::logs/*"
    condition = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
    limited = inline(allow("s3:GetObject", bucket), allow("s3:PutObject", Condition=condition))
    assert (named(limited.reach.named), named(limited.reach.conditional)) == (
        {"s3:GetObject"},
        {"s3:PutObject"},
    )
    wide = inline(
        allow("s3:GetObject", bucket), allow("s3:GetObject"), allow("s3:GetObject", Condition=condition)
    )
    assert (named(wide.reach.wide), wide.reach.named, wide.reach.conditional) == ({"s3:GetObject"}, 0, 0)


def test_policies_of_one_role_count_together() -> None:
    assert "pass-role" not in found(managed("AmazonEC2FullAccess"))
    both = judge(
        Content(managed=["ec2"], inline=policy(allow("iam:PassRole", "arn:aws:iam::*:role/app"))),
        {"ec2": aws_policy("AmazonEC2FullAccess")},
    )
    assert found(both)["pass-role"] == "named"


# --- AWS's own policies


@pytest.mark.parametrize(
    ("name", "has", "has_not"),
    [
        ("AdministratorAccess", {Kind.EVERYTHING}, {Kind.POWER}),
        ("PowerUserAccess", set(Kind) - {Kind.EVERYTHING}, set()),
        ("ReadOnlyAccess", {Kind.DATA}, {Kind.POWER, Kind.TRACES, Kind.EXPOSURE, Kind.DESTRUCTION}),
        ("ViewOnlyAccess", set(), set(Kind)),
        ("SecurityAudit", set(), set(Kind)),
        ("IAMFullAccess", {Kind.POWER}, {Kind.DATA, Kind.DESTRUCTION}),
        ("AmazonS3FullAccess", {Kind.EXPOSURE, Kind.DESTRUCTION, Kind.DATA}, {Kind.POWER}),
        ("AWSCloudTrail_FullAccess", {Kind.TRACES}, {Kind.DESTRUCTION}),
        ("SecretsManagerReadWrite", {Kind.DATA, Kind.EXPOSURE}, {Kind.TRACES}),
        ("AmazonEC2ReadOnlyAccess", set(), set(Kind)),
    ],
)
def test_aws_policies_are_judged_as_people_would(name: str, has: set[Kind], has_not: set[Kind]) -> None:
    judged = managed(name)
    assert has <= kinds(judged)
    assert not has_not & kinds(judged)
    assert judged.complete


def test_findings_name_ways_and_say_how_far_they_reach() -> None:
    judged = managed("PowerUserAccess")
    assert named(judged.reach.all & TABLE.matching("iam:*")) == {
        "iam:CreateServiceLinkedRole",
        "iam:DeleteServiceLinkedRole",
        "iam:ListRoles",
    }
    trail = next(each for each in judged.findings if each.danger.key == "trail")
    assert (trail.ways[0], trail.more, trail.hedge.words) == ("cloudtrail:StopLogging", 2, "")
    handed = next(each for each in managed("AWSLambda_FullAccess").findings if each.danger.key == "pass-role")
    assert (handed.ways, handed.hedge.words) == (
        ("iam:PassRole+lambda:CreateFunction",),
        "under conditions or with exceptions",
    )


def test_a_way_of_two_actions_needs_both_and_reaches_as_far_as_the_nearer() -> None:
    start = allow("ec2:RunInstances")
    assert "pass-role" not in found(inline(allow("iam:PassRole")))
    assert found(inline(allow("iam:PassRole"), start))["pass-role"] == ""
    assert found(inline(allow("iam:PassRole", "arn:aws:iam::*:role/app"), start))["pass-role"] == "named"
    limited = allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}})
    assert found(inline(limited, start))["pass-role"] == "conditional"


# --- what isn't known


def test_what_cannot_be_read_is_named_and_nothing_is_made_of_it() -> None:
    judged = judge(
        Content(
            managed=["arn:aws:iam::aws:policy/New"],
            customer_managed=["acme-admin"],
            inline=policy(allow(["s3:GetObject", "novel:Do*", "s3:Novelty"])),
            boundary="/acme/limits",
        ),
        {},
    )
    assert judged.unknown == (
        (Unknown.MANAGED, "New"),
        (Unknown.CUSTOMER, "acme-admin"),
        (Unknown.BOUNDARY, "limits"),
    )
    assert judged.strangers == ("novel:Do*", "s3:Novelty")
    assert named(judged.reach.all) == {"s3:GetObject"}
    assert (judged.bounded, judged.complete) == (True, False)


def test_a_boundary_that_is_known_limits_everything() -> None:
    judged = managed("AdministratorAccess", boundary="AmazonS3ReadOnlyAccess")
    assert named(judged.reach.all) == named(managed("AmazonS3ReadOnlyAccess").reach.all)
    assert judged.bounded
    assert judged.complete
    some = Reach(wide=0b1001, named=0b0010, conditional=0b0100)
    assert Reach(wide=0b1111).within(some) == some
    assert some.within(Reach(named=0b0111, conditional=0b1000)) == Reach(named=0b0011, conditional=0b1100)


def test_nothing_at_all_is_no_danger() -> None:
    assert judge(Content(), {}).findings == ()
    assert find_dangers(Reach()) == ()


# --- against a naive reading

VOCABULARY = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:PutBucketPolicy",
    "iam:PassRole",
    "iam:GetRole",
    "ec2:RunInstances",
    "ec2:DescribeInstances",
    "kms:Decrypt",
)


def naive(pattern: str, text: str) -> bool:
    """IAM's wildcards, letter by letter."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return naive(pattern[1:], text) or (bool(text) and naive(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and naive(pattern[1:], text[1:])


@st.composite
def patterns(draw: st.DrawFn) -> str:
    service, _, verb = draw(st.sampled_from(VOCABULARY)).partition(":")
    cut = draw(st.integers(0, len(verb)))
    shape = draw(st.sampled_from(("whole", "beginning", "end", "letter", "service", "all")))
    shapes = {
        "whole": verb,
        "beginning": f"{verb[:cut]}*",
        "end": f"*{verb[cut:]}",
        "letter": f"{verb[:cut]}?{verb[cut + 1 :]}",
        "service": "*",
    }
    text = "*" if shape == "all" else f"{service}:{shapes[shape]}"
    return draw(st.sampled_from((text, text.lower(), text.upper())))


@st.composite
def statements(draw: st.DrawFn) -> dict[str, Any]:
    row: dict[str, Any] = {"Effect": draw(st.sampled_from(("Allow", "Allow", "Deny")))}
    row[draw(st.sampled_from(("Action", "Action", "NotAction")))] = draw(
        st.lists(patterns(), min_size=1, max_size=3)
    )
    row["Resource"] = draw(st.sampled_from(("*", "*", ["arn:aws:s3:::logs/*"])))
    if draw(st.booleans()):
        row["Condition"] = {"Bool": {"aws:SecureTransport": "true"}}
    return row


def applies(row: dict[str, Any], action: str) -> bool:
    listed = row.get("Action") or row["NotAction"]
    return any(naive(each.lower(), action.lower()) for each in listed) is ("Action" in row)


@settings(max_examples=150, deadline=None)
@given(st.lists(statements(), max_size=5))
def test_no_action_is_missed_and_none_made_up(rows: list[dict[str, Any]]) -> None:
    reach = reach_of(read_policy(policy(*rows)))
    assert reach.wide & reach.named == reach.wide & reach.conditional == reach.named & reach.conditional == 0
    for action in VOCABULARY:
        bit = TABLE.matching(action)
        about = [row for row in rows if applies(row, action)]
        unlimited = [row for row in about if row["Resource"] == "*" and "Condition" not in row]
        allowed = any(row["Effect"] == "Allow" for row in about) and not any(
            row["Effect"] == "Deny" for row in unlimited
        )
        assert bool(reach.all & bit) is allowed, action
        wide = any(row["Effect"] == "Allow" for row in unlimited) and all(
            row["Effect"] == "Allow" for row in about
        )
        assert bool(reach.wide & bit) is wide, action
