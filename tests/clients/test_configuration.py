"""Settings of the adapters: what is missing or impossible is named before anything is called."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clients.aws.build import build_aws
from clients.aws.config import AwsConfig
from clients.entra.config import EntraConfig
from clients.errors import NotPermitted

COMPLETE = {
    "ENTRA_TENANT_ID": "tenant",
    "ENTRA_WORKER_CLIENT_ID": "worker",
    "ENTRA_WORKER_CERTIFICATE_PATH": "/run/worker.pem",
    "ENTRA_AWS_SERVICE_PRINCIPAL_ID": "principal",
}


def test_production_needs_four_variables() -> None:
    config = EntraConfig.from_environ(COMPLETE)

    assert config.graph_base_url == "https://graph.microsoft.com/v1.0"
    assert config.graph_scope == "https://graph.microsoft.com/.default"
    assert config.authority == "https://login.microsoftonline.com"
    assert config.public_cloud


@pytest.mark.parametrize("name", COMPLETE)
def test_each_missing_variable_is_named(name: str) -> None:
    with pytest.raises(NotPermitted, match=name) as caught:
        EntraConfig.from_environ({key: value for key, value in COMPLETE.items() if key != name})

    assert caught.value.code == name


def test_two_credentials_are_one_too_many() -> None:
    with pytest.raises(NotPermitted, match="exactly one"):
        EntraConfig.from_environ({**COMPLETE, "ENTRA_WORKER_CLIENT_SECRET": "s"})


@pytest.mark.parametrize("url", ["http://graph.example/v1.0", "graph.microsoft.com", "ftp://127.0.0.1/"])
def test_the_token_travels_over_https_alone(url: str) -> None:
    with pytest.raises(NotPermitted, match="GRAPH_BASE_URL"):
        EntraConfig.from_environ({**COMPLETE, "GRAPH_BASE_URL": url})


def test_only_attributes_that_there_are_link_accounts() -> None:
    assert EntraConfig.from_environ(COMPLETE).person_attributes == ("employeeId",)
    chosen = {**COMPLETE, "ENTRA_PERSON_ATTRIBUTE": "employeeId, extensionAttribute15"}
    assert EntraConfig.from_environ(chosen).person_attributes == ("employeeId", "extensionAttribute15")
    for wrong in ("extensionAttribute16", "employeeId,", "employeeId,employeeId", "mail"):
        with pytest.raises(NotPermitted, match="ENTRA_PERSON_ATTRIBUTE"):
            EntraConfig.from_environ({**COMPLETE, "ENTRA_PERSON_ATTRIBUTE": wrong})


def test_a_national_cloud_brings_its_own_scope() -> None:
    config = EntraConfig.from_environ({**COMPLETE, "GRAPH_BASE_URL": "https://graph.microsoft.us/v1.0/"})

    assert config.graph_scope == "https://graph.microsoft.us/.default"
    assert config.graph_origin == ("https", "graph.microsoft.us")


def test_a_secret_does_not_show_in_a_traceback() -> None:
    environ = {key: value for key, value in COMPLETE.items() if "CERTIFICATE" not in key}
    config = EntraConfig.from_environ({**environ, "ENTRA_WORKER_CLIENT_SECRET": "hunter2"})

    assert "hunter2" not in repr(config)


def test_aws_needs_a_region() -> None:
    assert AwsConfig.from_environ({"AWS_DEFAULT_REGION": "eu-west-1"}).region == "eu-west-1"
    assert AwsConfig.from_environ({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}).region == "a"
    with pytest.raises(NotPermitted, match="AWS_REGION is not set"):
        build_aws({})


def test_what_the_rest_of_the_product_imports_loads_no_sdk() -> None:
    code = (
        "import sys, clients.registry, clients.errors, clients.types, clients.ports, clients.observing;"
        "print([m for m in ('boto3', 'botocore', 'msgraph', 'kiota_abstractions', 'azure', 'msal')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
