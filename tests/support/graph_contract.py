"""Hold every exchange with Microsoft Graph's stand-in to the published shape of the API.

`GraphContract` checks method, path, query options, mandatory filters, the request body and the answer
against tests/contracts/graph-openapi-subset.json, and remembers which operations were exercised. It shares no
code with the simulator's own reading of queries: two readers have to agree.

Give it to a simulator in the test process (`graph_app.observers.append(contract.observe)`), or read what a
simulator process wrote with `--record FILE` (`contract.read_recording(path)`); then call `assert_clean`.
"""

import copy
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # no types published
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]  # no types published
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from simulator.entra.graph.exchange import Exchange

DOCUMENT = Path(__file__).parents[1] / "contracts" / "graph-openapi-subset.json"
EXAMPLES = Path(__file__).parents[1] / "contracts" / "graph-examples"
# What each mandatory filter of the contract asks for, as patterns that must all be found.
MANDATORY_FILTERS = {
    "eq filter on groupId or principalId is mandatory": (r"\b(groupId|principalId)\s+eq\s+'[^']+'",),
    "scopeId eq '{groupId}' and scopeType eq 'Group' is mandatory; "
    "roleDefinitionId eq 'member'|'owner' optional": (
        r"\bscopeId\s+eq\s+'[^']+'",
        r"\bscopeType\s+eq\s+'Group'",
    ),
}


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    loaded: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return loaded


def _without_required(schema: Any) -> Any:
    """Entities lose `required`: with `$select`, an answer may leave out even the id."""
    if isinstance(schema, dict):
        relaxed = {name: _without_required(value) for name, value in schema.items()}
        if schema.get("x-kind") == "entity":
            relaxed.pop("required", None)
        return relaxed
    if isinstance(schema, list):
        return [_without_required(each) for each in schema]
    return schema


@cache
def _registry(*, relaxed: bool) -> Registry[Any]:
    content = copy.deepcopy(document())
    if relaxed:
        content["components"]["schemas"] = _without_required(content["components"]["schemas"])
    resource = Resource.from_contents(content, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource("urn:graph", resource)
    return registry


@cache
def _validator(pointer: str, *, relaxed: bool) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"urn:graph#{pointer}"}, registry=_registry(relaxed=relaxed))


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """Path templates as patterns; those with fewer placeholders come first, so a literal segment wins."""
    found = []
    for template in document()["paths"]:
        pattern = "".join(
            "([^/]+)" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\{[^}]+\})", template)
        )
        found.append((template.count("{"), -len(template), template, re.compile(pattern + r"\Z")))
    return [(pattern, template) for _, _, template, pattern in sorted(found, key=lambda each: each[:3])]


def _problem(validator: Draft202012Validator, body: Any, what: str) -> Iterable[str]:
    error = best_match(validator.iter_errors(body))
    if error is not None:
        yield f"{what} at {error.json_path}: {error.message[:400]}"


class GraphContract:
    """Checks exchanges and keeps what it found."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.exercised: dict[str, set[int]] = defaultdict(set)

    def operation_of(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """The path template and operation that a request addresses."""
        for pattern, template in _templates():
            operation = document()["paths"][template].get(method.lower())
            if operation is not None and pattern.match(path):
                return template, operation
        return None

    def check(self, exchange: Exchange) -> list[str]:
        """What is wrong with one exchange; empty when it keeps the contract."""
        found = self.operation_of(exchange.method, exchange.path)
        if found is None:
            return [f"{exchange.method} {exchange.path}: not an operation of the contract"]
        template, operation = found
        name = f"{exchange.method} {template}"
        self.exercised[name].add(exchange.status)
        problems = [*self._request(template, operation, exchange)]
        if exchange.status:
            problems += self._answer(template, operation, exchange)
        return [f"{name} ({exchange.status}): {problem}" for problem in problems]

    def _request(self, template: str, operation: Mapping[str, Any], exchange: Exchange) -> Iterable[str]:
        known = {each["name"]: each for each in operation.get("parameters", ()) if each["in"] == "query"}
        for name in exchange.query:
            if name not in known:
                yield f"unknown query option {name}"
        for name, parameter in known.items():
            yield from self._option(name, parameter, exchange.query.get(name))
        top = exchange.query.get("$top")
        if top is not None and not re.fullmatch(r"[1-9][0-9]{0,2}", top):
            yield f"$top={top!r} is no page size"
        yield from self._request_body(template, operation, exchange)

    def _option(self, name: str, parameter: Mapping[str, Any], value: str | None) -> Iterable[str]:
        rule = parameter.get("x-filter-must-match")
        if value is None:
            if parameter.get("required"):
                yield f"{name} is mandatory: {rule}"
        elif rule is not None and not all(re.search(each, value) for each in MANDATORY_FILTERS[rule]):
            yield f"{name}={value!r}: {rule}"

    def _request_body(self, template: str, operation: Mapping[str, Any], exchange: Exchange) -> Iterable[str]:
        described = operation.get("requestBody")
        body = exchange.request_body
        if described is None:
            if body not in (None, {}):
                yield f"takes no request body, got {json.dumps(body)[:200]}"
        elif body is not None:
            pointer = f"/paths/{_escape(template)}/{exchange.method.lower()}/requestBody"
            validator = _validator(f"{pointer}/content/application~1json/schema", relaxed=False)
            yield from _problem(validator, body, "request body")
        elif described.get("required"):
            yield "request body is missing"

    def _answer(self, template: str, operation: Mapping[str, Any], exchange: Exchange) -> Iterable[str]:
        headers = {name.lower(): value for name, value in exchange.response_headers.items()}
        status = str(exchange.status)
        if status not in operation["responses"]:
            yield f"status {status} is not documented"
            return
        if not headers.get("request-id"):
            yield "answer without request-id"
        if exchange.status == 429 and not headers.get("retry-after"):
            yield "429 without Retry-After"
        response = operation["responses"][status]
        pointer = f"/paths/{_escape(template)}/{exchange.method.lower()}/responses/{status}"
        if "$ref" in response:
            pointer = response["$ref"].removeprefix("#")
            response = document()["components"]["responses"][pointer.rsplit("/", 1)[1]]
        if "content" not in response:
            if exchange.response_body is not None:
                yield "answer has a body where none is documented"
            return
        if exchange.response_body is None:
            yield "answer has no JSON body"
            return
        relaxed = "$select" in exchange.query or "$select" in exchange.query.get("$expand", "")
        validator = _validator(f"{pointer}/content/application~1json/schema", relaxed=relaxed)
        yield from _problem(validator, exchange.response_body, "answer")

    def observe(self, exchange: Exchange) -> None:
        """Check an exchange and remember its problems."""
        self.problems += self.check(exchange)

    def read_recording(self, path: Path) -> int:
        """Check every exchange that a simulator process recorded. Returns how many there were."""
        lines = path.read_text().splitlines() if path.exists() else []
        for line in lines:
            self.observe(Exchange.from_line(line))
        return len(lines)

    def assert_clean(self) -> None:
        """Raises AssertionError with everything found."""
        assert not self.problems, "Graph contract broken:\n" + "\n".join(self.problems)

    def report(self) -> str:
        """The exercised operations with the statuses seen, one a line."""
        return "\n".join(
            f"{name}: {', '.join(str(status) if status else 'no answer' for status in sorted(statuses))}"
            for name, statuses in sorted(self.exercised.items())
        )
