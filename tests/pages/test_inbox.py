"""The order of the inbox, requests that are alike in one row, and deciding several with one word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from base.clock import business_now
from catalog.models import Judgement, PermissionSet, PimGroup
from policy.models import RuleVersion
from requests_app.actions import deciding_together
from requests_app.bundles import bundled
from requests_app.models import Decision, RequestItem
from requests_app.rows import Row
from requests_app.selectors import first_of, inbox, waits_for
from requests_app.targets import due_at
from tests.pages.conftest import Visitor, World, main_of
from tests.pages.moving import decide
from tests.requests_app import factories as make


@pytest.fixture
def ben(world: World) -> Visitor:
    return world.sign_in(world.ben)


HOUR = timedelta(hours=1)


def asked(
    world: World, *, group: PimGroup | None = None, rule: RuleVersion | None = None, **how: Any
) -> RequestItem:
    """Somebody else's request each time."""
    with world.as_role("portal_web"):
        return make.pending_item(make.person(), group or world.group, rule or world.rule, **how)


@pytest.fixture(autouse=True)
def judged(world: World) -> None:
    """Nothing of what the group opens is dangerous, and all of it is known."""
    judge(world.group)


def judge(group: PimGroup, *, findings: Sequence[object] = (), unknown: Sequence[object] = ()) -> None:
    """What a worker has found out about the group's permission set."""
    found = PermissionSet.objects.filter(account_assignments__group=group).distinct().get()
    Judgement.objects.update_or_create(
        permission_set=found,
        defaults={
            "content_hash": found.content_hash, "findings": list(findings), "unknown": list(unknown),
            "wide": b"", "named": b"", "conditional": b"", "judged_at": business_now(),
        },
    )  # fmt: skip


def as_it_was(group: PimGroup) -> PimGroup:
    """The group as it opened something else, when somebody asked for it."""
    earlier = PimGroup.objects.get(pk=group.pk)
    earlier.scope_hash = "another"
    return earlier


def together(*items: RequestItem) -> str:
    return f"/approvals/{items[0].pk}/together/"


def tokens(*items: RequestItem) -> dict[str, str]:
    return {f"shown-{item.pk}": make.shown(item) for item in items}


def test_the_first_due_comes_first_whoever_asked_first(world: World, ben: Visitor) -> None:
    groups = (make.pim_group(f"AWS - {name}") for name in ("Patient", "Pressing", "Late"))
    patient = asked(world, group=next(groups), ago=20 * HOUR, lapses_after=120 * HOUR)
    pressing = asked(world, group=next(groups), ago=HOUR, lapses_after=3 * HOUR)
    late = asked(world, group=next(groups), ago=5 * HOUR, lapses_after=6 * HOUR)
    assert [each.pk for each in inbox(waits_for(world.ben))] == [late.pk, pressing.pk, patient.pk]
    first, in_all = first_of(waits_for(world.ben), limit=2)
    assert ([each.pk for each in first], in_all) == ([late.pk, pressing.pk], 3)
    assert due_at(pressing) == pressing.created_at + 1.5 * HOUR
    for path in ("/", "/approvals/", "/requests/"):
        assert '<span class="count">3<' in ben.get(path).content.decode(), (
            "counted by the page or by the navigation"
        )
    page = main_of(ben.get("/approvals/"))
    assert page.index("AWS - Late") < page.index("AWS - Pressing") < page.index("AWS - Patient")
    assert page.count("Past its target") == 1
    place = (due_at(late), late.pk)
    assert [each.pk for each in inbox(waits_for(world.ben), after=place)] == [pressing.pk, patient.pk], (
        "no row twice or lost"
    )


def test_none_is_missed_behind_many_that_were_decided(world: World) -> None:
    """Whether something is theirs is asked of the first ones alone, and of all where those don't suffice."""
    items = [asked(world, group=make.pim_group(), ago=ago * HOUR) for ago in (4, 3, 2, 1)]
    with world.as_role("portal_web"):
        for item in items[:3]:
            make.submitted_decision(item, world.ben)
    for limit in (1, 2, 25):
        assert [each.pk for each in inbox(waits_for(world.ben), limit=limit)] == [items[3].pk]
    place = (due_at(items[0]), items[0].pk)
    assert [each.pk for each in inbox(waits_for(world.ben), after=place, limit=1)] == [items[3].pk]


def test_rows_are_looked_up_by_keys_that_are_known(world: World) -> None:
    """Within one statement of so many joins Postgres would join all requests there are before it looks at the keys."""
    asked(world)
    with CaptureQueriesContext(connection) as captured:
        assert len(inbox(waits_for(world.ben))) == 1
    (rows,) = [query["sql"] for query in captured if "justification" in query["sql"]]
    assert "LIMIT" not in rows
    assert "EXISTS" not in rows
    with CaptureQueriesContext(connection) as captured:
        assert inbox(waits_for(world.ada)) == []
    assert not [query["sql"] for query in captured if "justification" in query["sql"]]


def test_a_target_of_the_organisation_orders_too_and_never_lies_after_the_lapse(
    world: World, settings: Settings
) -> None:
    settings.DECISION_TARGET = 4 * HOUR
    first = asked(world, group=make.pim_group(), ago=3 * HOUR, lapses_after=90 * HOUR)
    second = asked(world, group=make.pim_group(), ago=HOUR, lapses_after=3 * HOUR)
    assert [each.pk for each in inbox(waits_for(world.ben))] == [first.pk, second.pk]
    assert (due_at(first), due_at(second)) == (first.created_at + 4 * HOUR, second.lapses_at)
    assert [each.pk for each in inbox(waits_for(world.ben), after=(due_at(first), first.pk))] == [second.pk]


def test_alike_are_those_of_one_group_length_and_rule_with_nothing_to_weigh(world: World) -> None:
    same = [asked(world) for _ in range(3)]
    longer, elsewhere = asked(world, duration=2 * HOUR), asked(world, group=make.pim_group())
    changed = asked(world, group=as_it_was(world.group))
    rows = [Row(item, thread="open" if item.pk == same[2].pk else "") for item in inbox(waits_for(world.ben))]
    bundles = {tuple(row.item.pk for row in each.rows) for each in bundled(rows)}
    assert bundles == {
        tuple(item.pk for item in same[:2]),
        *((item.pk,) for item in (same[2], longer, elsewhere, changed)),
    }


@pytest.mark.parametrize("why", ["dangerous", "unknown", "changed", "never judged"])
def test_what_may_do_harm_is_never_alike(world: World, why: str) -> None:
    for _ in range(2):
        asked(world)
    assert len(bundled([Row(item) for item in inbox(waits_for(world.ben))])) == 1
    match why:
        case "dangerous":
            judge(world.group, findings=[{"danger": "audit", "ways": [], "more": 0, "hedge": ""}])
        case "unknown":
            judge(world.group, unknown=[["customer", "Boundary"]])
        case "changed":
            PermissionSet.objects.update(content_hash="other")
        case _:
            Judgement.objects.all().delete()
    assert len(bundled([Row(item) for item in inbox(waits_for(world.ben))])) == 2


def test_alike_stand_in_one_row_that_leads_to_each_and_to_all(world: World, ben: Visitor) -> None:
    items = [asked(world) for _ in range(3)]
    page = main_of(ben.get("/approvals/"))
    assert page.count('<th scope="row">') == 1
    assert f"3 alike: {world.group.display_name}" in page
    assert all(f"/approvals/{item.pk}/" in page for item in items)
    address = page.partition(f'href="{together(items[0])}')[2].partition('"')[0].replace("&amp;", "&")
    shown = main_of(ben.get(together(items[0]) + address))
    for item in items:
        assert item.requester.display_name in shown
        assert f'name="shown-{item.pk}" value="{make.shown(item)}"' in shown
    assert shown.count(" checked>") == 3


def test_one_word_stores_a_decision_each_bound_to_what_was_shown(world: World, ben: Visitor) -> None:
    items = [asked(world) for _ in range(3)]
    answer = ben.post(
        together(*items), item=[str(each.pk) for each in items[:2]], verdict="approve", comment="Fine", **tokens(*items)
    )  # fmt: skip
    assert (answer.status_code, answer["Location"]) == (302, "/approvals/")
    stored = {each.item_id: (each.verdict, each.comment, each.shown) for each in Decision.objects.all()}
    assert stored == {each.pk: ("approve", "Fine", make.shown(each)) for each in items[:2]}
    assert "2 decisions are being checked" in main_of(ben.get("/approvals/"))


def test_each_that_can_not_be_taken_is_told_and_keeps_none_back(world: World, ben: Visitor) -> None:
    taken, decided, moved = (asked(world) for _ in range(3))
    foreign = asked(world, rule=make.rule(world.cy))
    shown = tokens(taken, decided, moved)
    decide(decided, world.ben, "deny", world.as_role)
    answer = ben.post(
        together(taken), verdict="approve", comment="",
        item=[str(each.pk) for each in (taken, decided, moved, foreign)],
        **{**shown, f"shown-{moved.pk}": "a.b.c"},
    )  # fmt: skip
    assert answer.status_code == 302
    assert [each.item_id for each in Decision.objects.filter(status="submitted")] == [taken.pk]
    page = main_of(ben.get("/approvals/"))
    assert "1 decision is being checked" in page
    assert "your decision was not taken" in page, "somebody had decided"
    assert f"{moved.requester.display_name}, {world.group.display_name}: " in page
    assert "Your decision was not taken. Look at it as it is now" in page
    assert foreign.requester.display_name not in page, "whose request that is, Ben isn't told"


def test_what_has_changed_since_it_was_asked_for_is_decided_by_itself(world: World, ben: Visitor) -> None:
    fine, changed = asked(world), asked(world, group=as_it_was(world.group))
    page = main_of(ben.get(f"{together(fine)}?item={changed.pk}"))
    assert page.count('type="checkbox"') == 1
    assert "Decide it by itself" in page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"verdict": "deny"}, "Say why"),
        ({"verdict": "maybe"}, "Choose whether to approve or to deny."),
        ({"verdict": "approve", "item": []}, "Choose at least one."),
    ],
)
def test_what_is_wrong_with_the_word_is_said_and_nothing_is_stored(
    world: World, ben: Visitor, fields: dict[str, str | list[str]], sentence: str
) -> None:
    items = [asked(world) for _ in range(2)]
    keys = [str(each.pk) for each in items]
    answer = ben.post(together(*items), **{"item": keys, "named": keys, **tokens(*items), **fields})
    assert answer.status_code == 422
    assert sentence in main_of(answer)
    assert all(f"shown-{key}" in main_of(answer) for key in keys)
    assert not Decision.objects.exists()


def test_what_could_do_harm_is_named_before_it_is_decided_with_others(world: World, ben: Visitor) -> None:
    item = asked(world)
    assert "No danger is known in what it allows." in main_of(ben.get(together(item)))
    judge(world.group, findings=[{"danger": "trail", "ways": [], "more": 0, "hedge": ""}])
    page = main_of(ben.get(together(item))).replace("&#x27;", "'")
    assert "Stops or thins out CloudTrail's record of what is done." in page
    assert "No danger is known" not in page
    judge(world.group, findings=[{"danger": "of-an-earlier-release", "ways": [], "more": 0, "hedge": ""}])
    assert "Not all of what it allows is known here." in main_of(ben.get(together(item)))
    judge(world.group, unknown=[["customer", "Boundary"]])
    assert "Not all of what it allows is known here." in main_of(ben.get(together(item)))
    Judgement.objects.all().delete()
    assert "Not all of what it allows is known here." in main_of(ben.get(together(item)))


def test_the_page_asks_no_more_for_many_than_for_few(world: World, ben: Visitor) -> None:
    items = [asked(world) for _ in range(6)]
    addresses = [
        f"{together(items[0])}?{urlencode([('item', each.pk) for each in some])}"
        for some in (items[:2], items)
    ]
    ben.get(addresses[0])
    counts = []
    for address in addresses:
        with CaptureQueriesContext(connection) as captured:
            assert main_of(ben.get(address)).count(" checked>") in (2, 6)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_too_many_at_once_are_refused_before_any(
    world: World, ben: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding_together, "MOST_TOGETHER", 1)
    items = [asked(world) for _ in range(2)]
    answer = ben.post(
        together(*items), item=[str(each.pk) for each in items], verdict="approve", **tokens(*items)
    )
    assert answer.status_code == 422
    assert "At most 1 can be decided together" in main_of(answer)
    assert not Decision.objects.exists()


def test_whoever_comes_when_all_are_decided_is_told_so(world: World, ben: Visitor) -> None:
    item = asked(world)
    decide(item, world.ben, "deny", world.as_role)
    assert ben.get(together(item))["Location"] == "/approvals/"
    assert "have been decided" in main_of(ben.get("/approvals/"))
    cy = world.sign_in(world.cy)
    assert cy.get(together(item)).status_code == cy.post(together(item), verdict="deny").status_code == 404
