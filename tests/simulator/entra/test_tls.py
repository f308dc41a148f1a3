"""The certificate authority in the state folder: who may read it, what it signs, and that it stays."""

import datetime as dt
import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from simulator.entra import tls
from simulator.entra.registrations import load_registrations
from simulator.entra.tokens import SigningKeys


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_private_files_are_the_owners_alone(tmp_path: Path) -> None:
    tls.ensure_server_tls(tmp_path)
    load_registrations(tmp_path, redirect_uris=(), post_logout_redirect_uris=())
    SigningKeys(tmp_path / "signing-keys.json")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_server_certificate_is_signed_for_loopback(tmp_path: Path) -> None:
    files = tls.ensure_server_tls(tmp_path)
    ca, server = certificate(files.ca_bundle), certificate(files.server_certificate)
    server.verify_directly_issued_by(ca)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_everything_stays_over_a_restart(tmp_path: Path) -> None:
    def look() -> dict[str, bytes]:
        tls.ensure_server_tls(tmp_path)
        load_registrations(tmp_path, redirect_uris=(), post_logout_redirect_uris=())
        SigningKeys(tmp_path / "signing-keys.json")
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert look() == look()


def test_certificate_near_its_end_is_renewed_under_the_same_ca(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tls.ensure_server_tls(tmp_path)
    ca, server = certificate(files.ca_bundle), certificate(files.server_certificate)
    monkeypatch.setattr(tls, "RENEW_BEFORE", dt.timedelta(days=tls.LEAF_DAYS))
    tls.ensure_server_tls(tmp_path)
    assert certificate(files.ca_bundle) == ca
    assert certificate(files.server_certificate) != server


def test_server_certificate_of_another_ca_is_replaced(tmp_path: Path) -> None:
    files = tls.ensure_server_tls(tmp_path)
    files.ca_bundle.unlink()
    tls.ensure_server_tls(tmp_path)
    certificate(files.server_certificate).verify_directly_issued_by(certificate(files.ca_bundle))


def test_client_certificate_file_holds_its_key(tmp_path: Path) -> None:
    path = tmp_path / "worker.pem"
    made = tls.ensure_client_certificate(path, "worker")
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert key.public_key() == made.public_key()
