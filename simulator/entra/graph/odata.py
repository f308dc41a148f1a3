"""OData query options of the Graph front: `$select`, `$expand`, `$filter`, `$orderby`, `$top`, paging."""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from simulator.entra.graph.errors import bad_request
from simulator.entra.graph.filters import FilterError, Node, matches, parse_filter, paths

KNOWN_OPTIONS = frozenset(
    ("$filter", "$select", "$expand", "$top", "$skip", "$skiptoken", "$orderby", "$count", "$search")
)
MAX_TOP = 999


@dataclass(frozen=True)
class Expand:
    """One `$expand` item with its own nested options."""

    select: tuple[str, ...] = ()
    expand: Mapping[str, "Expand"] = field(default_factory=dict)


@dataclass(frozen=True)
class Query:
    """The parsed query options of one request."""

    filter: Node | None = None
    select: tuple[str, ...] = ()
    expand: Mapping[str, Expand] = field(default_factory=dict)
    orderby: tuple[tuple[str, bool], ...] = ()
    top: int | None = None
    skip: int = 0
    skiptoken: str | None = None
    count: bool = False


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside parentheses."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    if depth != 0:
        raise bad_request(f"Found an unbalanced bracket expression in '{text}'.")
    return [*parts, current]


def parse_expand(text: str) -> dict[str, Expand]:
    """`policy($expand=rules),principal($select=id)` as a mapping. Raises GraphError 400."""
    found = {}
    for part in _split(text, ","):
        name, bracket, rest = part.strip().partition("(")
        select: tuple[str, ...] = ()
        nested: dict[str, Expand] = {}
        if bracket:
            for option in _split(rest.removesuffix(")"), ";"):
                key, _, value = option.strip().partition("=")
                if key == "$select":
                    select = tuple(each.strip() for each in value.split(","))
                elif key == "$expand":
                    nested = parse_expand(value)
                else:
                    raise bad_request(f"The query option '{key}' is not supported inside $expand.")
        if not name:
            raise bad_request("Term is empty in a $expand expression.")
        found[name] = Expand(select, nested)
    return found


def _number(name: str, text: str, *, least: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise bad_request(f"Invalid value '{text}' for {name} query option found.")
    return int(text)


def parse_query(args: Mapping[str, str]) -> Query:
    """The query options of a request. Raises GraphError 400 for anything unknown or malformed."""
    for name in args:
        if name.startswith("$") and name not in KNOWN_OPTIONS:
            raise bad_request(f"The query parameter '{name}' is not supported.")
    if "$search" in args:
        raise bad_request("$search is not supported here.")
    tree = None
    if "$filter" in args:
        try:
            tree = parse_filter(args["$filter"])
        except FilterError as reason:
            raise bad_request(f"Invalid filter clause: {reason}") from reason
    order = []
    for part in filter(None, args.get("$orderby", "").split(",")):
        words = part.split()
        if not words or len(words) > 2 or (len(words) == 2 and words[1] not in ("asc", "desc")):
            raise bad_request(f"Invalid $orderby clause '{part}'.")
        order.append((words[0], len(words) == 2 and words[1] == "desc"))
    top = _number("$top", args["$top"], least=1) if "$top" in args else None
    if top is not None and top > MAX_TOP:
        raise bad_request(f"Invalid page size specified: '{top}'. Must be between 1 and {MAX_TOP} inclusive.")
    return Query(
        filter=tree,
        select=tuple(each.strip() for each in args["$select"].split(",")) if args.get("$select") else (),
        expand=parse_expand(args["$expand"]) if args.get("$expand") else {},
        orderby=tuple(order),
        top=top,
        skip=_number("$skip", args["$skip"], least=0) if "$skip" in args else 0,
        skiptoken=args.get("$skiptoken"),
        count=args.get("$count", "").lower() == "true",
    )


def select(
    entity: Mapping[str, Any],
    names: Sequence[str],
    *,
    keep: Collection[str] = (),
    default: Sequence[str] = (),
) -> dict[str, Any]:
    """The properties asked for (or `default`), plus annotations and `keep`. Raises GraphError 400."""
    wanted = names or default
    if not wanted:
        return dict(entity)
    for name in names:
        if name not in entity:
            raise bad_request(f"Could not find a property named '{name}' on the requested type.")
    return {
        name: value
        for name, value in entity.items()
        if name in wanted or name in keep or name.startswith("@")
    }


def _fingerprint(path: str, args: Mapping[str, str]) -> str:
    relevant = sorted((name, value) for name, value in args.items() if name != "$skiptoken")
    return hashlib.sha256(json.dumps([path, relevant]).encode()).hexdigest()[:16]


def _token(path: str, args: Mapping[str, str], last_key: str) -> str:
    content = json.dumps({"q": _fingerprint(path, args), "a": last_key}).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _after(token: str, path: str, args: Mapping[str, str]) -> str:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if content["q"] == _fingerprint(path, args):
            return str(content["a"])
    except (ValueError, KeyError, TypeError):
        pass  # falls through to the one refusal below
    raise bad_request("The skip token is invalid for this query.", "Directory_ExpiredPageToken")


def _sort_value(item: Mapping[str, Any], path: str) -> tuple[int, Any]:
    current: Any = item
    for part in path.split("/"):
        current = current.get(part) if isinstance(current, Mapping) else None
    return (0, "") if current is None else (1, current)


def page(
    items: Sequence[Mapping[str, Any]],
    query: Query,
    *,
    base_url: str,
    path: str,
    args: Mapping[str, str],
    page_size: int,
    case_sensitive: bool = False,
) -> tuple[list[Mapping[str, Any]], dict[str, Any]]:
    """Filter, sort and cut `items` (each with an `id`) to one page, with its annotations.

    Without `$orderby` the order is the one given. The skip token names the last item handed out, so that
    a row that disappears between two pages neither repeats nor hides another.
    """
    kept = list(items)
    if query.filter is not None:
        for name in paths(query.filter):
            if kept and name.split("/")[0] not in kept[0]:
                raise bad_request(f"Could not find a property named '{name}' on the requested type.")
        tree = query.filter
        kept = [item for item in kept if matches(tree, item, case_sensitive=case_sensitive)]
    for name, descending in reversed(query.orderby):
        kept.sort(key=lambda item, name=name: _sort_value(item, name), reverse=descending)  # type: ignore[misc]  # mypy can't infer a lambda with a default
    total = len(kept)
    kept = kept[query.skip :]
    if query.skiptoken is not None:
        last = _after(query.skiptoken, path, args)
        position, _, key = last.partition("|")
        index = next((i for i, item in enumerate(kept) if str(item["id"]) == key), None)
        gone = int(position) - 1 - query.skip  # where the row after a vanished one now stands
        kept = kept[index + 1 if index is not None else max(gone, 0) :]
        offset = total - len(kept)
    else:
        offset = query.skip
    size = min(query.top or page_size, page_size)
    shown, rest = kept[:size], kept[size:]
    notes: dict[str, Any] = {}
    if query.count:
        notes["@odata.count"] = total
    if rest:
        token = _token(path, args, f"{offset + len(shown)}|{shown[-1]['id']}")
        pairs = [(name, value) for name, value in args.items() if name not in ("$skiptoken", "$skip")]
        pairs += [("$skip", str(query.skip))] if query.skip else []
        pairs.append(("$skiptoken", token))
        text = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in pairs)
        notes["@odata.nextLink"] = f"{base_url}{path}?{text}"
    return shown, notes
