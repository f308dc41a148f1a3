"""Signing in and out over the wire: gunicorn, PostgreSQL as the web role, and the simulated Entra behind TLS."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import requests

from stack.running import Stack

# What leads to a cloud, or into the ledger's seals, and never into the web process.
FORBIDDEN = re.compile(r"(AWS_(?!ACCESS_PORTAL_URL|REGION|DEFAULT_REGION)|ENTRA_WORKER_|AZURE_|SEALING_)\w*")


class Person:
    """A browser without JavaScript; cookies of both sides are kept."""

    def __init__(self, stack: Stack) -> None:
        self.origin = stack.origin
        self.session = requests.Session()
        self.session.trust_env = False

    def press(self, path: str, page: requests.Response | None = None) -> requests.Response:
        """Post a form with nothing to fill in, of `page` or of the sign-in page."""
        page = page or self.session.get(f"{self.origin}/signin/", timeout=60)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        form = {"csrfmiddlewaretoken": token.group(1) if token else ""}
        headers = {"Referer": page.url, "Origin": self.origin}
        return self.session.post(f"{self.origin}{path}", form, headers=headers, timeout=60)

    def sign_in(self, object_id: str) -> requests.Response:
        picker = self.press("/signin/start/")
        assert picker.status_code == 200, picker.text
        return self.session.post(picker.url, {"account": object_id}, timeout=60)


def people(stack: Stack) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{stack.clouds['control_url']}/people", timeout=60) as answer:  # noqa: S310
        found: list[dict[str, Any]] = json.load(answer)
    return found


def somebody(stack: Stack, **facts: Any) -> str:
    """The object id of somebody of our tenant with these facts."""
    wanted = {"tenant_id": stack.clouds["tenant_id"], "enabled": True, **facts}
    return str(next(each["oid"] for each in people(stack) if wanted.items() <= each.items()))


def web_processes(stack: Stack) -> list[list[bytes]]:
    """The environment of each of gunicorn's processes of this stack, found by the variable that names its origin."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = environ.read_bytes().split(b"\0")
        except OSError:
            continue  # somebody else's, or gone
        if {b"PORTAL_PROCESS=web", f"PORTAL_ORIGIN={stack.origin}".encode()} <= set(variables):
            found.append(variables)
    return found


def test_in_and_out(running_stack: Stack) -> None:
    person = Person(running_stack)
    home = person.sign_in(somebody(running_stack, app_roles=["Auditor"]))
    assert (home.status_code, home.url) == (200, f"{running_stack.origin}/")
    assert person.session.get(f"{running_stack.origin}/audit/", timeout=60).status_code == 200
    signed_out = person.press("/signout/", home)
    assert signed_out.url.startswith(f"{running_stack.origin}/signed-out/")
    again = person.session.get(f"{running_stack.origin}/", timeout=60)
    assert again.url.startswith(f"{running_stack.origin}/signin/")


def test_another_tenant(running_stack: Stack) -> None:
    tenant_id = running_stack.clouds["tenant_id"]
    stranger = next(each["oid"] for each in people(running_stack) if each["tenant_id"] != tenant_id)
    person = Person(running_stack)
    picker = person.press("/signin/start/")
    refused = person.session.post(picker.url, {"account": stranger, "tokens": "own-tenant"}, timeout=60)
    assert refused.status_code == 403
    assert "another organisation" in refused.text


def test_no_cloud_credential_is_in_the_web_process(running_stack: Stack) -> None:
    processes = web_processes(running_stack)
    assert len(processes) >= 2  # gunicorn's own and at least one that serves
    for variables in processes:
        names = [entry.partition(b"=")[0].decode() for entry in variables]
        assert [name for name in names if FORBIDDEN.fullmatch(name)] == []
