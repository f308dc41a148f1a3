"""What one access adds to another, and whether one is less: a table of accesses, and a property."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.judging.actions import Level, action_table
from catalog.judging.comparing import Place, Role, addition, smaller, wide_of
from catalog.judging.dangers import Kind
from catalog.judging.judgement import Content, judge
from tests.catalog.judging.test_judging import allow, inline, managed, named, policy
from tests.support.aws_policies import aws_policy

TABLE = action_table()
ADMIN = Role(1, "Admin", managed("AdministratorAccess"))
POWER = Role(2, "Power", managed("PowerUserAccess"))
READ = Role(3, "ReadOnly", managed("ReadOnlyAccess"))
VIEW = Role(4, "ViewOnly", managed("ViewOnlyAccess"))
EC2 = Role(5, "EC2", managed("AmazonEC2FullAccess"))
EC2_READ = Role(6, "EC2Read", managed("AmazonEC2ReadOnlyAccess"))
BUCKET = Role(7, "Bucket", inline(allow("s3:GetObject", "arn:aws:s3:::logs/*")))
OTHER_BUCKET = Role(8, "OtherBucket", inline(allow("s3:GetObject", "arn:aws:s3:::pay/*")))
OWN = Role(9, "Own", judge(Content(customer_managed=["acme"]), {}))
UNJUDGED = Role(10, "Unjudged", None)
ROLES = {
    role.key: role for role in (ADMIN, POWER, READ, VIEW, EC2, EC2_READ, BUCKET, OTHER_BUCKET, OWN, UNJUDGED)
}


# --- what is added


def test_to_nothing_everything_is_added() -> None:
    found = addition([Place(3, [READ, EC2])])
    assert (found.accounts, found.roles) == (3, ["EC2", "ReadOnly"])
    assert READ.judged is not None
    assert EC2.judged is not None
    assert found.bits == READ.judged.reach.all | EC2.judged.reach.all
    assert sum(found.levels.values()) == found.bits.bit_count()
    assert next(iter(found.levels)) is Level.PERMISSIONS
    (secrets,) = (each for each in found.dangers if each.finding.danger.key == "secrets")
    assert secrets.roles == ["EC2", "ReadOnly"]
    assert (len(secrets.finding.ways), secrets.finding.more > 0) == (4, True)


def test_what_is_held_is_not_added_again_account_by_account() -> None:
    assert addition([Place(3, [READ], [READ])]).accounts == 0
    both = addition([Place(2, [READ], [READ]), Place(1, [READ])])
    assert (both.accounts, both.roles) == (1, ["ReadOnly"])
    under_admin = addition([Place(3, [POWER], [ADMIN])])
    assert (under_admin.accounts, under_admin.bits, list(under_admin.dangers)) == (3, 0, [])
    over_view = addition([Place(1, [READ], [VIEW])])
    assert VIEW.judged is not None
    assert over_view.bits
    assert not over_view.bits & VIEW.judged.reach.wide


def test_a_limited_right_stands_for_no_other_limited_right() -> None:
    found = addition([Place(1, [OTHER_BUCKET], [BUCKET])])
    assert named(found.bits) == {"s3:GetObject"}
    assert [(each.finding.danger.key, each.finding.hedge.value) for each in found.dangers] == [
        ("stored-data", "named")
    ]


def test_what_is_not_known_is_said_and_covers_nothing() -> None:
    found = addition([Place(1, [OWN, UNJUDGED, VIEW])])
    assert [(reason.value, what, role) for reason, what, role in found.unknown] == [
        ("customer", "acme", "Own")
    ]
    assert (found.unjudged, found.strangers > 0) == (["Unjudged"], True)
    assert wide_of([OWN, UNJUDGED]) == 0
    hidden = Role(
        11,
        "Hidden",
        judge(Content(managed=["a"], customer_managed=["acme"]), {"a": aws_policy("AdministratorAccess")}),
    )
    assert addition([Place(1, [VIEW], [hidden])]).bits, "a policy that isn't known could deny"


def test_a_danger_is_as_wide_as_its_widest_role_and_new_only_where_its_actions_are() -> None:
    wide = Role(12, "Wide", inline(allow("s3:GetObject")))
    (found,) = addition([Place(1, [BUCKET, wide])]).dangers
    assert (found.finding.hedge.value, found.roles) == ("", ["Bucket", "Wide"])
    tables = Role(13, "Tables", inline(allow(["s3:GetObject", "dynamodb:GetItem"])))
    (more,) = addition([Place(1, [tables], [wide])]).dangers
    assert more.finding.danger.key == "stored-data"
    assert list(addition([Place(1, [wide], [tables])]).dangers) == []


def test_everything_stays_a_danger_whatever_is_held() -> None:
    assert addition([Place(1, [ADMIN], [POWER])]).kinds == [Kind.EVERYTHING]


def test_all_under_a_boundary_is_bounded() -> None:
    bounded = Role(14, "Bounded", managed("AdministratorAccess", boundary="ViewOnlyAccess"))
    assert addition([Place(1, [bounded])]).bounded
    assert not addition([Place(1, [bounded, VIEW])]).bounded
    assert not addition([]).bounded


# --- what is less


@pytest.mark.parametrize(
    ("offered", "asked", "less"),
    [
        ({1: [VIEW]}, {1: [READ]}, None),  # ViewOnly lists things that ReadOnly doesn't
        ({1: [READ]}, {1: [ADMIN]}, (1, 1)),
        ({1: [EC2_READ]}, {1: [EC2]}, (1, 1)),
        ({1: [EC2]}, {1: [POWER]}, (1, 1)),
        ({1: [POWER]}, {1: [EC2]}, None),
        ({1: [EC2]}, {1: [EC2]}, None),
        ({1: [EC2]}, {1: [EC2], 2: [EC2]}, (1, 2)),
        ({1: [EC2], 3: [EC2]}, {1: [EC2], 2: [EC2]}, None),
        ({1: [EC2]}, {1: [EC2, READ]}, (1, 1)),
        ({1: [POWER]}, {1: [POWER, EC2]}, None),  # nothing less: EC2 is within it
        ({}, {1: [EC2]}, None),
        ({1: [BUCKET]}, {1: [READ]}, (1, 1)),
        ({1: [OTHER_BUCKET]}, {1: [BUCKET]}, None),
        ({1: [OWN]}, {1: [ADMIN]}, None),
        ({1: [OWN]}, {1: [OWN], 2: [OWN]}, (1, 2)),  # the same set needs no judgement
        ({1: [VIEW]}, {1: [OWN]}, None),
        ({1: [UNJUDGED]}, {1: [UNJUDGED, ADMIN]}, (1, 1)),
        ({1: [VIEW]}, {1: [UNJUDGED]}, None),
        ({1: [EC2], 2: [ADMIN]}, {1: [POWER], 2: [POWER]}, None),
    ],
)
def test_less_is_told_from_more_and_from_something_else(
    offered: Mapping[int, Collection[Role]],
    asked: Mapping[int, Collection[Role]],
    less: tuple[int, int] | None,
) -> None:
    def keys(opened: Mapping[int, Collection[Role]]) -> dict[int, list[int]]:
        return {account: [role.key for role in roles] for account, roles in opened.items()}

    found = smaller(keys(offered), keys(asked), ROLES)
    assert (None if found is None else (found.accounts, found.asked_accounts)) == less


def test_it_is_said_what_is_spared() -> None:
    found = smaller({1: [READ.key]}, {1: [ADMIN.key]}, ROLES)
    assert found is not None
    assert found.same_accounts
    assert Kind.POWER in found.spared
    assert Kind.DATA not in found.spared
    assert (found.asked_actions, found.actions < TABLE.count) == (TABLE.count, True)
    unknown = smaller({1: [OWN.key]}, {1: [OWN.key], 2: [OWN.key]}, ROLES)
    assert unknown is not None
    assert (unknown.spared, unknown.asked_actions) == ([], None)


ACTIONS = ("s3:GetObject", "s3:PutObject", "iam:PassRole", "kms:Decrypt")
SMALL = st.lists(st.sampled_from(ACTIONS), unique=True, max_size=4)


@settings(max_examples=60, deadline=None)
@given(SMALL, SMALL)
def test_less_allows_no_action_that_more_does_not(ours: list[str], theirs: list[str]) -> None:
    roles = {
        key: Role(key, str(key), judge(Content(inline=policy(allow(actions))), {}))
        for key, actions in ((1, ours), (2, theirs))
    }
    found = smaller({1: [1]}, {1: [2]}, roles)
    assert (found is not None) is (set(ours) < set(theirs))
    added = addition([Place(1, [roles[1]], [roles[2]])])
    assert named(added.bits) == set(ours) - set(theirs)
