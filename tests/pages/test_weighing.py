"""What a request adds, as the requester and whoever decides are told, from what a worker judged before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.judging.dangers import Kind
from catalog.judging.storing import judge_sets
from catalog.models import AccountAssignment, AwsAccount, PermissionSet, PimGroup
from requests_app import weighing
from requests_app.lifecycle import GrantStatus
from requests_app.weighing import weigh, weigh_several
from requests_app.weighing_words import Weighed
from tests.pages.conftest import World, main_of
from tests.pages.moving import bring, decide
from tests.requests_app import factories as make

READS = ["s3:GetObject", "s3:ListBucket"]
MORE = [*READS, "s3:PutBucketPolicy", "cloudtrail:StopLogging"]


def allow(group: PimGroup, actions: Sequence[str], **content: object) -> PermissionSet:
    """The group's permission set allows these actions everywhere, and is judged."""
    row = PermissionSet.objects.get(pk__in=sets_of(group))
    text = json.dumps({"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})
    values = {"inline_policy": text, "content_hash": make.oid(), **content}
    PermissionSet.objects.filter(pk=row.pk).update(**values)
    row.refresh_from_db()
    judge_sets([row])
    return row


def sets_of(group: PimGroup) -> list[int]:
    return list(
        AccountAssignment.objects.filter(group=group).values_list("permission_set_id", flat=True).distinct()
    )


def accounts_of(group: PimGroup) -> list[AwsAccount]:
    return list(AwsAccount.objects.filter(account_assignments__group=group).order_by("pk").distinct())


def on_the_same_accounts(group: PimGroup, name: str, number: int = 2) -> PimGroup:
    """Another group, with a permission set of its own on the first accounts of this one."""
    other = make.pim_group(name, accounts=1)
    (permission_set,) = sets_of(other)
    AccountAssignment.objects.filter(group=other).delete()
    for account in accounts_of(group)[:number]:
        AccountAssignment.objects.create(group=other, account=account, permission_set_id=permission_set)
    PimGroup.objects.filter(pk=other.pk).update(account_count=number)
    other.refresh_from_db()
    return other


def hold(world: World, group: PimGroup, status: GrantStatus = GrantStatus.ACTIVE) -> None:
    """Ada has this group's access now."""
    with world.as_role("portal_web"):
        item = make.pending_item(world.ada, group, world.rule)
    decide(item, world.ben, "approve", world.as_role)
    bring(make.scheduled_grant(item), status)


def said(world: World, group: PimGroup) -> Weighed:
    with world.as_role("portal_web"):
        return Weighed(weigh(world.ada, group))


def test_who_decides_reads_what_is_added_and_what_of_it_is_dangerous(world: World) -> None:
    allow(world.group, MORE)
    item = world.ask()
    page = main_of(world.sign_in(world.ben).get(f"/approvals/{item.pk}/"))
    assert "All of it is new, on 2 AWS accounts." in page
    assert "4 actions of 2 services: 1 change permissions, 1 write, 1 read and 1 list." in page
    for words in ("Could hide what was done", "cloudtrail:StopLogging", "s3:PutBucketPolicy", "s3:GetObject"):
        assert words in page
    assert "Not known" not in page


def test_the_requester_reads_it_on_the_form(world: World) -> None:
    allow(world.group, ["s3:ListAllMyBuckets"])
    page = main_of(world.sign_in(world.ada).get(f"/access/{world.group.object_id}/request/"))
    assert "1 action of 1 service: 1 list." in page
    assert "None of the dangers that the portal looks for is in what is known of it." in page


def test_what_is_held_on_the_same_accounts_is_not_new(world: World) -> None:
    allow(world.group, MORE)
    other = on_the_same_accounts(world.group, "AWS - Reader", number=1)
    allow(other, READS)
    hold(world, other)
    found = said(world, world.group)
    assert found.lede == "New on 2 of 2 AWS accounts. Held there already: AWS - Reader."
    assert found.weight.adds.bits.bit_count() == 4, "on the other account all of it is new"
    second = accounts_of(world.group)[1]
    AccountAssignment.objects.create(group=other, account=second, permission_set_id=sets_of(other)[0])
    found = said(world, world.group)
    assert found.counted == "2 actions of 2 services: 1 change permissions and 1 write."
    assert Kind.DATA not in found.weight.adds.kinds
    assert said(world, other).lede == "You have this PIM group now: it adds time, and nothing else."
    assert said(world, other).kinds == []


def test_several_that_are_asked_for_together_are_weighed_as_each_would_be_alone(world: World) -> None:
    allow(world.group, MORE)
    held, other = (on_the_same_accounts(world.group, f"AWS - {name}", number=1) for name in ("Held", "Other"))
    far = make.pim_group("AWS - Far", accounts=2)
    allow(held, READS)
    allow(other, [*READS, "iam:PassRole"])
    hold(world, held)
    groups = [world.group, held, other, far]

    def weighed() -> dict[int, weighing.Weight]:
        with world.as_role("portal_web"), CaptureQueriesContext(connection) as asked:
            found = weigh_several(world.ada, groups)
        assert len([each for each in asked.captured_queries if "ROLE" not in each["sql"]]) <= 5
        return found

    alone = {group.pk: replace(said(world, group).weight, less=()) for group in groups}
    assert weighed() == alone
    assert alone[other.pk].through == ["AWS - Held"]
    assert alone[far.pk].through == []
    with patch.object(weighing, "MOST_PAIRS", 2):  # the larger ones by their sets alone
        found = weighed()
    assert found[other.pk] == alone[other.pk]
    assert (found[far.pk].through, found[far.pk].adds.accounts) == ([], 2)
    assert (found[world.group.pk].through, found[world.group.pk].adds.accounts) == ([], 2)


def test_the_same_permission_set_through_another_group_adds_nothing(world: World) -> None:
    allow(world.group, MORE)
    other = on_the_same_accounts(world.group, "AWS - Twin")
    AccountAssignment.objects.filter(group=other).update(permission_set=sets_of(world.group)[0])
    hold(world, other)
    found = said(world, world.group)
    assert found.lede == "Everything in it is held already, through AWS - Twin."
    assert (found.kinds, found.counted, found.unknown) == ([], "", [])


@pytest.mark.parametrize("status", [GrantStatus.SCHEDULED, GrantStatus.REMOVING, GrantStatus.ENDED])
def test_what_is_not_there_or_on_its_way_out_does_not_count(world: World, status: GrantStatus) -> None:
    allow(world.group, MORE)
    hold(world, world.group, status)
    assert said(world, world.group).lede == "All of it is new, on 2 AWS accounts."


def test_what_is_not_known_is_said(world: World) -> None:
    assert said(world, world.group).unknown == [
        f"What {PermissionSet.objects.get(pk__in=sets_of(world.group)).name} allows hasn't been judged yet."
    ]
    row = allow(world.group, READS, customer_managed_policies=[{"name": "acme-admin", "path": "/"}])
    found = said(world, world.group)
    assert "your organisation's own policy acme-admin allows is not known here" in found.unknown[0]
    assert not found.harmless
    PermissionSet.objects.filter(pk=row.pk).update(content_hash="changed since")
    assert said(world, world.group).counted == "", "a judgement of other contents is none"


def test_a_smaller_group_is_suggested_with_a_link_and_to_who_decides_without(world: World) -> None:
    allow(world.group, MORE)
    less, elsewhere, beyond = (
        on_the_same_accounts(world.group, "AWS - Reader"),
        make.pim_group("AWS - Elsewhere", accounts=1),
        on_the_same_accounts(world.group, "AWS - Other"),
    )
    fewer = on_the_same_accounts(world.group, "AWS - One account", number=1)
    foreign = on_the_same_accounts(world.group, "AWS - Not eligible")
    for group, actions in ((less, READS), (elsewhere, READS), (beyond, ["ec2:RunInstances"]), (fewer, MORE)):
        allow(group, actions)
        make.eligibility(world.ada, group)
    allow(foreign, READS)
    found = said(world, world.group).less
    spared = "It leaves out: could hide what was done and could open resources to outsiders."
    assert [(each.name, each.words) for each in found] == [
        ("AWS - Reader", f"Opens the same 2 AWS accounts with 2 instead of 4 actions. {spared}"),
        ("AWS - One account", "Opens 1 of the 2 AWS accounts."),
    ]
    form = main_of(world.sign_in(world.ada).get(f"/access/{world.group.object_id}/request/"))
    assert f'<a href="/access/{less.object_id}/request/">AWS - Reader</a>' in form
    page = main_of(world.sign_in(world.ben).get(f"/approvals/{world.ask().pk}/"))
    assert "Less could be asked for" in page
    assert less.object_id not in page


def test_a_group_too_large_to_compare_counts_as_new_and_suggests_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(world.group, MORE)
    other = on_the_same_accounts(world.group, "AWS - Reader")
    allow(other, READS)
    make.eligibility(world.ada, other)
    monkeypatch.setattr(weighing, "MOST_PAIRS", 1)
    found = said(world, world.group)
    assert (found.lede, found.less) == ("All of it is new, on 2 AWS accounts.", []), "nothing is held"
    assert found.weight.adds.bits.bit_count() == 4
    hold(world, other)
    assert said(world, world.group).lede.startswith("It opens 2 AWS accounts. That was too much to compare")
    with world.as_role("portal_web"):
        several = weigh_several(world.ada, [world.group, other])
    assert [several[each.pk].compared for each in (world.group, other)] == [False, True]
