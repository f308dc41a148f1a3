"""What a person may ask for, page by page, in a bounded number of queries whatever the size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from base.errors import Missing
from catalog.models import (
    AccountAssignment,
    AwsAccount,
    Eligibility,
    OrganizationalUnit,
    PermissionSet,
    PimGroup,
)
from catalog.selectors import (
    ACCOUNTS_PER_PAGE,
    best_eligibility,
    eligible_groups,
    group_for,
    opened_accounts,
    search_words,
)
from catalog.sync.scopes import refresh_scope, refresh_scopes, spaced
from identity.models import DirectoryGroup, Person

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_person(name: str = "Ada") -> Person:
    return Person.objects.create(tenant_id="t", object_id=name.lower(), display_name=name)


def a_group(name: str, number: int = 0, **changes: Any) -> PimGroup:
    return PimGroup.objects.create(object_id=f"{name.lower()}-{number}"[:36], display_name=name, **changes)


def eligible(person: Person, group: PimGroup, **changes: Any) -> Eligibility:
    number = Eligibility.objects.count()
    return Eligibility.objects.create(person=person, group=group, instance_id=f"i{number}", **changes)


def opening(group: PimGroup, *accounts: str, permission_sets: tuple[str, ...] = ("EC2AdminAccess",)) -> None:
    """Open permission sets on accounts, both by name, and sum it up as the sync does."""
    start = AwsAccount.objects.count()
    made = AwsAccount.objects.bulk_create(
        [
            AwsAccount(account_id=f"{start + n:012}", name=name, state="ACTIVE")
            for n, name in enumerate(accounts)
        ]
    )
    sets = [PermissionSet.objects.get_or_create(arn=f"arn:{name}", name=name)[0] for name in permission_sets]
    AccountAssignment.objects.bulk_create(
        [
            AccountAssignment(group=group, account=account, permission_set=each)
            for account in made
            for each in sets
        ]
    )
    refresh_scope(group)


def names(person: Person, query: str = "") -> list[str]:
    return [row.group.display_name for row in eligible_groups(person, NOW, query=query).rows]


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    person = a_person()
    for number in range(23):
        eligible(person, a_group(f"Group {number // 3}", number))
    seen: list[int] = []
    after, pages = "", 0
    while pages == 0 or after:
        page = eligible_groups(person, NOW, after=after, limit=5)
        seen += [row.group.pk for row in page.rows]
        after, pages = page.next, pages + 1
    assert pages == 5
    assert seen == list(PimGroup.objects.order_by("display_name", "pk").values_list("pk", flat=True))


@pytest.mark.parametrize("after", ["", "nonsense", "999999999", "-1", "1e3", "²", "9" * 400])
def test_a_cursor_from_nowhere_begins_at_the_beginning(after: str) -> None:
    person = a_person()
    eligible(person, a_group("One"))
    assert len(eligible_groups(person, NOW, after=after).rows) == 1


def test_only_ones_own_and_only_while_they_last() -> None:
    ada, ben = a_person("Ada"), a_person("Ben")
    eligible(ada, a_group("Permanent"))
    eligible(ada, a_group("Ending"), ends_at=NOW + HOUR)
    eligible(ada, a_group("Over"), ends_at=NOW)
    eligible(ada, a_group("To come"), starts_at=NOW + HOUR)
    eligible(ada, a_group("Gone", present=False))
    eligible(ben, a_group("Somebody else's"))
    page = eligible_groups(ada, NOW, limit=3)
    assert [row.group.display_name for row in page.rows] == ["Ending", "Permanent", "To come"]
    assert page.next == "", "what is hidden takes no room on a page"
    for hidden in ("Over", "Gone", "Somebody else's", "Absent"):
        with pytest.raises(Missing) as refused:
            group_for(ada, f"{hidden.lower()}-0", NOW)
        assert refused.value.code == "group.missing"


def test_a_group_held_twice_is_one_row_with_the_better_eligibility() -> None:
    person, group = a_person(), a_group("Twice")
    through = DirectoryGroup.objects.create(object_id="team", display_name="Team")
    ending = eligible(person, group, ends_at=NOW + HOUR)
    permanent = eligible(person, group, through=through)
    (row,) = eligible_groups(person, NOW).rows
    assert row.eligibility == permanent
    assert row.others == (ending,)


def test_which_eligibility_counts() -> None:
    begun, later, ending, to_come = (
        Eligibility(ends_at=NOW + 2 * HOUR),
        Eligibility(starts_at=NOW + HOUR),
        Eligibility(ends_at=NOW + HOUR),
        Eligibility(starts_at=NOW + 2 * HOUR),
    )
    assert best_eligibility([ending, begun, later], NOW) is begun
    assert best_eligibility([to_come, later], NOW) is later


@pytest.mark.parametrize("groups", [3, 60])
@pytest.mark.parametrize("query", ["", "group"])
def test_the_list_takes_as_many_queries_for_many_groups_as_for_few(groups: int, query: str) -> None:
    person = a_person()
    for number in range(groups):
        group = a_group(f"Group {number}", number)
        eligible(person, group)
        opening(group, f"account-{number}")
    last = PimGroup.objects.order_by("display_name").first()
    assert last is not None
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = eligible_groups(person, NOW, query=query, after=str(last.pk), limit=20)
        for row in page.rows:
            assert row.group.preview["accounts"]
            assert row.eligibility.through is None
    assert len(queries) == 3


def test_a_thousand_accounts_are_shown_a_page_at_a_time() -> None:
    person, group = a_person(), a_group("Everywhere")
    eligible(person, group)
    sets = ("EC2AdminAccess", "ReadOnly", "Billing")
    opening(group, *(f"account-{number:04}" for number in range(1000)), permission_sets=sets)
    unit = OrganizationalUnit.objects.create(unit_id="ou-1", name="Workloads", path="Workloads")
    AwsAccount.objects.update(unit=unit)
    with CaptureQueriesContext(connection) as queries:
        detail = group_for(person, group.object_id, NOW)
        for opened in detail.accounts:
            assert opened.account.unit == unit
    assert len(queries) <= 6
    assert (detail.group.account_count, detail.group.permission_set_count) == (1000, 3)
    assert len(detail.accounts) == ACCOUNTS_PER_PAGE
    assert [each.accounts for each in detail.permission_sets] == [1000, 1000, 1000]
    assert [each.name for each in detail.accounts[0].permission_sets] == [
        "Billing",
        "EC2AdminAccess",
        "ReadOnly",
    ]
    seen, after = list(detail.accounts), detail.next_accounts
    while after:
        more, after = opened_accounts(group, after=after)
        seen += more
    assert [each.account.name for each in seen] == [f"account-{number:04}" for number in range(1000)]


def test_a_search_for_what_no_name_can_hold_finds_by_the_rest() -> None:
    group = a_group("Everywhere")
    opening(group, "payments-prod", "sandbox")
    assert [each.account.name for each in opened_accounts(group, query="sand\0")[0]] == ["sandbox"]


def test_accounts_of_a_group_can_be_searched() -> None:
    person, group = a_person(), a_group("Everywhere")
    eligible(person, group)
    opening(group, "payments-prod", "search-prod", "sandbox")
    found = group_for(person, group.object_id, NOW, accounts_query="PROD")
    assert [each.account.name for each in found.accounts] == ["payments-prod", "search-prod"]
    by_id = group_for(person, group.object_id, NOW, accounts_query="000000000002")
    assert [each.account.name for each in by_id.accounts] == ["sandbox"]
    assert not group_for(person, group.object_id, NOW, accounts_query="%").accounts


@pytest.fixture
def searched() -> Person:
    person = a_person()
    compute = a_group("AWS - Amazon EC2 Admin", description="Amazon EC2 administrator permissions")
    opening(compute, "payments-prod")
    unit = OrganizationalUnit.objects.create(unit_id="ou-1", name="Café", path="Workloads / Café")
    AwsAccount.objects.update(unit=unit, tags={"Owner": "Treasury"})
    PermissionSet.objects.update(managed_policies=[{"name": "AmazonEC2FullAccess", "arn": "arn"}])
    refresh_scopes([compute.pk])
    money = a_group("AWS - Billing")
    opening(money, "management", permission_sets=("Billing_Reader",))
    for group in (compute, money):
        eligible(person, group)
    return person


@pytest.mark.parametrize(
    "query",
    [
        "ec2",
        "EC2",
        "admin",
        "administrator perm",
        "ec2admin",
        "adminaccess",
        "pay",
        "payments-prod",
        "prod",
        "000000000000",
        "workl",
        "café",
        "treas",
        "owner treasury",
        "fullaccess",
        "amazon payments",
    ],
)
def test_words_and_their_beginnings_are_found(searched: Person, query: str) -> None:
    expected = ["AWS - Amazon EC2 Admin"]
    if query in ("adminaccess", "fullaccess"):
        expected = []  # the middle of a word that no capital separates
    assert names(searched, query) == expected


def test_all_words_must_be_found(searched: Person) -> None:
    assert names(searched, "aws") == ["AWS - Amazon EC2 Admin", "AWS - Billing"]
    assert names(searched, "aws reader") == ["AWS - Billing"]
    assert names(searched, "billing treasury") == []


@pytest.mark.parametrize(
    "query",
    [
        "'",
        "\\",
        "a:*",
        "!a",
        "a & | b",
        "(",
        "<->",
        "a'b",
        "\x00",
        "🦆",
        "%",
        "_",
        "ec2' | 'aws",
        " ",
        "x " * 500,
    ],
)
def test_no_query_is_an_error(searched: Person, query: str) -> None:
    names(searched, query)


def test_a_query_is_read_as_beginnings_of_words() -> None:
    assert search_words("EC2 pay-prod_x") == "'ec2':* & 'pay':* & 'prod':* & 'x':*"
    assert search_words(" !& ") == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("EC2AdminAccess", "EC2AdminAccess EC2 Admin Access"),
        ("ReadOnly", "ReadOnly Read Only"),
        ("AWSReadOnly", "AWSReadOnly AWS Read Only"),
        ("payments-prod", "payments-prod payments prod"),
        ("plain", "plain"),
    ],
)
def test_names_are_taken_apart_for_the_index(words: str, expected: str) -> None:
    assert spaced(words) == expected
