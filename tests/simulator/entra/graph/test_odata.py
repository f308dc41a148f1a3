"""Query options: selecting, expanding, sorting, paging."""

import itertools
from typing import Any

import httpx
import pytest

from simulator.entra.graph.errors import GraphError
from simulator.entra.graph.odata import Expand, page, parse_expand, parse_query, select

ITEMS = [{"id": f"i{number}", "name": f"n{number % 3}", "at": number} for number in range(10)]


def pages(items: list[dict[str, Any]], args: dict[str, str], size: int = 3) -> list[list[str]]:
    """Ids page by page, following the links as a client does."""
    found = []
    while True:
        shown, notes = page(
            items, parse_query(args), base_url="http://x/v1.0", path="/things", args=args, page_size=size
        )
        found.append([item["id"] for item in shown])
        if "@odata.nextLink" not in notes:
            return found
        args = dict(httpx.URL(notes["@odata.nextLink"]).params)


def test_every_item_once_over_all_pages() -> None:
    got = pages(ITEMS, {})
    assert [len(each) for each in got] == [3, 3, 3, 1]
    assert list(itertools.chain(*got)) == [item["id"] for item in ITEMS]


def test_top_is_a_page_size() -> None:
    assert [len(each) for each in pages(ITEMS, {"$top": "2"})] == [2, 2, 2, 2, 2]


def test_filter_and_order_hold_on_every_page() -> None:
    got = pages(ITEMS, {"$filter": "name eq 'n0'", "$orderby": "at desc"}, size=2)
    assert list(itertools.chain(*got)) == ["i9", "i6", "i3", "i0"]


def test_a_row_that_vanishes_between_pages_hides_no_other() -> None:
    args: dict[str, str] = {}
    _, notes = page(ITEMS, parse_query(args), base_url="", path="/t", args=args, page_size=3)
    token = notes["@odata.nextLink"].split("skiptoken=")[1]
    left = [item for item in ITEMS if item["id"] != "i2"]
    args = {"$skiptoken": token}
    shown, _ = page(left, parse_query(args), base_url="", path="/t", args=args, page_size=3)
    assert [item["id"] for item in shown] == ["i3", "i4", "i5"]


def test_a_token_of_another_query_is_refused() -> None:
    _, notes = page(ITEMS, parse_query({}), base_url="", path="/t", args={}, page_size=3)
    args = {"$skiptoken": notes["@odata.nextLink"].split("skiptoken=")[1], "$filter": "name eq 'n0'"}
    with pytest.raises(GraphError) as refused:
        page(ITEMS, parse_query(args), base_url="", path="/t", args=args, page_size=3)
    assert refused.value.code == "Directory_ExpiredPageToken"


def test_count_is_of_everything_kept() -> None:
    args = {"$count": "true", "$filter": "name eq 'n0'", "$top": "1"}
    _, notes = page(ITEMS, parse_query(args), base_url="", path="/t", args=args, page_size=3)
    assert notes["@odata.count"] == 4


def test_nested_expand() -> None:
    assert parse_expand("policy($expand=rules),principal($select=id)") == {
        "policy": Expand(expand={"rules": Expand()}),
        "principal": Expand(select=("id",)),
    }


def test_select_keeps_annotations_and_refuses_unknown_names() -> None:
    entity = {"@odata.type": "#t", "id": "1", "a": 1, "b": 2}
    assert select(entity, ("a",)) == {"@odata.type": "#t", "a": 1}
    assert select(entity, (), default=("id", "b")) == {"@odata.type": "#t", "id": "1", "b": 2}
    with pytest.raises(GraphError):
        select(entity, ("c",))


@pytest.mark.parametrize(
    "args",
    [
        {"$top": "0"},
        {"$top": "1000"},
        {"$top": "x"},
        {"$skip": "-1"},
        {"$filter": "a eq"},
        {"$orderby": "a sideways"},
        {"$search": "x"},
        {"$unknown": "x"},
        {"$expand": "policy($expand=rules"},
        {"$expand": "policy($top=1)"},
    ],
)
def test_malformed_options_are_refused(args: dict[str, str]) -> None:
    with pytest.raises(GraphError) as refused:
        parse_query(args)
    assert refused.value.status == 400
