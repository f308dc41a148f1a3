"""scim2-tester, a conformance suite that we didn't write, against the SCIM endpoint of the simulated Identity Center."""

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import CheckResult, Status, check_server

from simulator.aws.throttles import NEVER
from simulator.scim.app import scim_blueprint
from simulator.scim.deviations import DEVIATIONS
from tests.docs.test_documents import table_after
from tests.simulator.world.factory import Small, small_world


class WithLocations:
    """The endpoint with `meta.location` put in, by which the tester refers to what it made."""

    def __init__(self, app: Flask, base: str) -> None:
        self._app = app
        self._base = base

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = self._app.test_client().open(environ)
        body, headers = response.get_data(), dict(response.headers)
        content = json.loads(body) if body else None
        for resource in [content, *content.get("Resources", [])] if isinstance(content, dict) else []:
            meta = resource.get("meta")
            if isinstance(meta, dict) and "location" not in meta:
                meta["location"] = f"{self._base}/{meta['resourceType']}s/{resource['id']}"
        sent = json.dumps(content).encode() if body else b""
        start_response(response.status, list((headers | {"Content-Length": str(len(sent))}).items()))
        return [sent]


def check(small: Small, **only: Any) -> list[CheckResult]:
    center = small.world.state.identity_center
    app = Flask("conformance")
    app.register_blueprint(scim_blueprint(small.world, threading.RLock(), throttles=NEVER))
    base = f"http://localhost/scim/{center.scim_tenant_id}/scim/v2"
    headers = {"Authorization": f"Bearer {center.scim_token}"}
    results: list[CheckResult] = check_server(
        WSGISCIMClient(WithLocations(app, base), base_url=base, headers=headers), **only
    )
    return results


def failed(results: list[CheckResult]) -> list[CheckResult]:
    return [each for each in results if each.status not in (Status.SUCCESS, Status.SKIPPED)]


def key_of(result: CheckResult) -> tuple[str, str, str]:
    attribute = result.data.get("urn", "") if isinstance(result.data, dict) else ""
    return str(result.title), result.resource_type or "", attribute


def test_nothing_deviates_but_what_aws_documents() -> None:
    small = small_world()
    small.world.switches.scim_error_schemas = True
    results = check(small)
    assert len(results) > 60, "the whole suite ran"
    assert [each.title for each in results if each.status is Status.SKIPPED] == []
    known = {(each.check, each.resource, each.attribute): each.always for each in DEVIATIONS}
    new = [f"{key_of(each)}: {each.reason}" for each in failed(results) if key_of(each) not in known]
    assert new == []
    found = {key_of(each) for each in failed(results)}
    stale = {key for key, always in known.items() if always and key not in found}
    assert stale == set(), "no longer a deviation: take it out of the table"


def test_with_awss_own_error_form_only_errors_fail_besides() -> None:
    small = small_world()
    assert not small.world.switches.scim_error_schemas
    known = {(each.check, each.resource, each.attribute) for each in DEVIATIONS}
    found = failed(check(small, include_tags={"discovery", "misc"}))
    more = [each for each in found if key_of(each) not in known]
    assert {each.title for each in more} >= {"random_url", "access_invalid_schema"}
    assert [each for each in more if "without a SCIM error" not in str(each.reason)] == []


@pytest.mark.proof
def test_the_suite_notices_a_new_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    small = small_world()
    small.world.switches.scim_error_schemas = True
    whole = small.world.scim.group_resource

    def broken(group: Any) -> dict[str, Any]:
        return {name: value for name, value in whole(group).items() if name != "displayName"}

    monkeypatch.setattr(small.world.scim, "group_resource", broken)
    known = {(each.check, each.resource, each.attribute) for each in DEVIATIONS}
    only_groups = check(small, resource_types=["Group"])
    assert [each for each in failed(only_groups) if key_of(each) not in known]


def test_the_document_lists_the_deviations() -> None:
    rows = table_after(Path(__file__).parents[3] / "docs" / "simulator.md", "Where SCIM deviates")
    assert [tuple(cell.strip("`") for cell in row) for row in rows] == [
        (each.check, each.resource, each.attribute, each.because) for each in DEVIATIONS
    ]
