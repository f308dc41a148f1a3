"""azure-identity, unchanged, gets application tokens from the simulated Entra over TLS."""

from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential, ClientSecretCredential, WorkloadIdentityCredential

from simulator.entra.workload import Workload
from tests.simulator.entra.running import TENANT, RunningEntra

GRAPH = "https://graph.microsoft.com/.default"


def claims(token: str) -> dict[str, Any]:
    content: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return content


def test_certificate_credential(entra: RunningEntra) -> None:
    registrations = entra.provider.registrations
    credential = CertificateCredential(
        TENANT,
        registrations.worker.client_id,
        certificate_path=str(registrations.worker_certificate_path),
        authority=entra.provider.authority,
        disable_instance_discovery=True,
        connection_verify=entra.ca_bundle,
    )
    token = credential.get_token(GRAPH)
    content = claims(token.token)
    assert content["aud"] == "https://graph.microsoft.com"
    assert content["tid"] == TENANT
    assert content["idtyp"] == "app"
    assert content["appidacr"] == "2"
    assert set(content["roles"]) == set(registrations.worker.permissions)
    assert "scp" not in content


def test_certificate_credential_declares_its_capability(entra: RunningEntra) -> None:
    registrations = entra.provider.registrations
    credential = CertificateCredential(
        TENANT,
        registrations.worker.client_id,
        certificate_path=str(registrations.worker_certificate_path),
        authority=entra.provider.authority,
        disable_instance_discovery=True,
        connection_verify=entra.ca_bundle,
    )
    token = credential.get_token(GRAPH, enable_cae=True)
    assert [value.lower() for value in claims(token.token)["xms_cc"]] == ["cp1"]


def test_secret_credential(entra: RunningEntra) -> None:
    worker = entra.provider.registrations.worker
    credential = ClientSecretCredential(
        TENANT,
        worker.client_id,
        worker.secret,
        authority=entra.provider.authority,
        disable_instance_discovery=True,
        connection_verify=entra.ca_bundle,
    )
    assert claims(credential.get_token(GRAPH).token)["appidacr"] == "1"


def test_wrong_secret_is_refused_in_entras_words(entra: RunningEntra) -> None:
    credential = ClientSecretCredential(
        TENANT,
        entra.provider.registrations.worker.client_id,
        "wrong",
        authority=entra.provider.authority,
        disable_instance_discovery=True,
        connection_verify=entra.ca_bundle,
    )
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential.get_token(GRAPH)


def test_certificate_of_another_application_is_refused(entra: RunningEntra) -> None:
    registrations = entra.provider.registrations
    credential = CertificateCredential(
        TENANT,
        registrations.signin.client_id,
        certificate_path=str(registrations.worker_certificate_path),
        authority=entra.provider.authority,
        disable_instance_discovery=True,
        connection_verify=entra.ca_bundle,
    )
    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        credential.get_token(GRAPH)


def test_federated_credential(entra: RunningEntra) -> None:
    workload = entra.provider.workload
    assert workload is not None
    workload.refresh()
    credential = WorkloadIdentityCredential(
        tenant_id=TENANT,
        client_id=entra.provider.registrations.worker.client_id,
        token_file_path=str(workload.token_path),
        authority=entra.provider.authority,
        disable_instance_discovery=True,
        connection_verify=entra.ca_bundle,
    )
    assert claims(credential.get_token(GRAPH).token)["idtyp"] == "app"


def test_federated_token_of_somebody_else_is_refused(entra: RunningEntra, tmp_path: Path) -> None:
    workload = entra.provider.workload
    assert workload is not None
    for name, token in (
        ("other", workload.token(subject="system:serviceaccount:other:other")),
        ("old", workload.token(lifetime_seconds=-5)),
        ("forged", Workload(tmp_path).token()),
    ):
        path = tmp_path / name
        path.write_text(token)
        credential = WorkloadIdentityCredential(
            tenant_id=TENANT,
            client_id=entra.provider.registrations.worker.client_id,
            token_file_path=str(path),
            authority=entra.provider.authority,
            disable_instance_discovery=True,
            connection_verify=entra.ca_bundle,
        )
        with pytest.raises(ClientAuthenticationError, match="AADSTS70021"):
            credential.get_token(GRAPH)
