"""OpenID Connect clients that we did not write go through the whole code flow."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msal  # type: ignore[import-untyped]  # no types published
import pytest

from tests.simulator.entra.running import ADA, CALLBACK, TENANT, RunningEntra


def test_msal_signs_a_person_in(entra: RunningEntra, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests prefers these to a session's own
        monkeypatch.delenv(name, raising=False)
    signin = entra.provider.registrations.signin
    client = msal.ConfidentialClientApplication(
        signin.client_id,
        client_credential=signin.secret,
        authority=f"{entra.provider.authority}/{TENANT}",
        instance_discovery=False,
        verify=entra.ca_bundle,
    )
    flow = client.initiate_auth_code_flow(["User.Read"], redirect_uri=CALLBACK, response_mode="form_post")
    with entra.browser() as browser:
        assert browser.get(flow["auth_uri"]).status_code == 200
        back = browser.post(flow["auth_uri"], data={"account": ADA.object_id})
    assert f'action="{CALLBACK}"' in back.text
    posted = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)">', back.text))
    result = client.acquire_token_by_auth_code_flow(flow, posted)
    assert "error" not in result, result
    assert result["id_token_claims"]["oid"] == ADA.object_id
    assert client.acquire_token_silent(["User.Read"], account=client.get_accounts()[0])


def test_allauth_signs_a_person_in(entra: RunningEntra) -> None:
    signin = entra.provider.registrations.signin
    environment = {
        **os.environ,
        "REQUESTS_CA_BUNDLE": entra.ca_bundle,
        "SITE_SERVER_URL": f"{entra.provider.authority}/{TENANT}/v2.0",
        "SITE_CLIENT_ID": signin.client_id,
        "SITE_CLIENT_SECRET": signin.secret,
        "SITE_PERSON": ADA.object_id,
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    finished = subprocess.run(
        [sys.executable, "-m", "tests.simulator.entra.allauth_site"],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout.splitlines()[-1]) == {
        "challenge": "S256",
        "signed_in": True,
        "uid": ADA.object_id,
        "tid": TENANT,
    }
