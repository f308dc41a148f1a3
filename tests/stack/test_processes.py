"""What each process is told, and what is kept from it."""

from __future__ import annotations

import pytest

from accessportal import checks
from stack.processes import LONG_RUNNING, MIGRATION, SECRETS, environment_for

KINDS = [process.kind for process in (*LONG_RUNNING, MIGRATION)]
EVERYTHING = dict.fromkeys(SECRETS, "told") | {"PORTAL_ORIGIN": "told"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_is_given_its_secrets_and_no_others(kind: str) -> None:
    given = environment_for(kind, EVERYTHING)
    assert given["PORTAL_PROCESS"] == kind
    assert given["PORTAL_ORIGIN"] == "told"
    assert {name for name in given if name in SECRETS} == {
        name for name, holders in SECRETS.items() if kind in holders
    }


def test_no_cloud_credential_reaches_the_web_process() -> None:
    given = environment_for("web", EVERYTHING)
    secret = ("AWS_", "ENTRA_WORKER_", "REMOVER_", "SEVERER_")
    assert not [name for name in given if name.startswith(secret)]


def test_the_products_own_checks_agree_on_who_holds_which_secret() -> None:
    assert {name: checks.SECRETS[name] for name in SECRETS} == dict(SECRETS)


def test_every_process_stands_in_the_table_once() -> None:
    assert sorted(KINDS) == sorted({"web", "worker", "beat", "sealer", "remover", "severer", "migrate"})
