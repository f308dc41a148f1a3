"""The two app registrations of the portal, kept in the state folder so that ids and secrets persist."""

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from simulator.entra.files import write_private
from simulator.entra.tls import ensure_client_certificate

# What the worker asks for, and nothing more. Application.ReadWrite.OwnedBy reaches the enterprise
# application of IAM Identity Center alone, because the worker's service principal owns it.
WORKER_PERMISSIONS = (
    "Application.ReadWrite.OwnedBy",
    "GroupMember.Read.All",
    "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    "ProvisioningLog.Read.All",
    "RoleManagementPolicy.Read.AzureADGroup",
    "User.Read.All",
)
# What an administrator has consented to for people who sign in. The portal's sign-in asks for the first four; the
# last two are for activating as the person.
SIGNIN_SCOPES = (
    "email",
    "offline_access",
    "openid",
    "profile",
    "User.Read",
    "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
)


@dataclass(frozen=True)
class Registration:
    """One app registration with its service principal in the tenant."""

    client_id: str
    service_principal_id: str
    display_name: str
    secret: str
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    pkce_required: bool = True
    enabled: bool = True
    credentials_expired: bool = False
    """Certificates and the secret are refused as over; a federated token goes on."""
    certificates: tuple[x509.Certificate, ...] = field(default=(), compare=False)

    def has_secret(self, given: str) -> bool:
        """Whether `given` is the client secret, compared in constant time."""
        return hmac.compare_digest(self.secret.encode(), given.encode())

    def certificate_for(self, header: dict[str, object]) -> x509.Certificate | None:
        """The registered certificate that a client assertion's header names by thumbprint."""
        for certificate in self.certificates:
            sha1 = certificate.fingerprint(hashes.SHA1())  # noqa: S303  (x5t is defined as SHA-1)
            sha256 = certificate.fingerprint(hashes.SHA256())
            for name, digest in (("x5t#S256", sha256), ("x5t", sha1)):
                value = header.get(name)
                if isinstance(value, str) and _same_thumbprint(value, digest):
                    return certificate
        return None


def _same_thumbprint(encoded: str, digest: bytes) -> bool:
    try:
        return hmac.compare_digest(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), digest)
    except ValueError:
        return False


@dataclass
class Registrations:
    """Both registrations; `permissions` of the worker can be changed while the simulator runs."""

    signin: Registration
    worker: Registration
    worker_certificate_path: Path

    def by_client_id(self, client_id: str) -> Registration | None:
        """The registration with this application (client) id."""
        return next((each for each in (self.signin, self.worker) if each.client_id == client_id), None)

    def set_worker_permissions(self, permissions: tuple[str, ...]) -> None:
        """Grant the worker exactly these application permissions; tokens already issued keep theirs."""
        self.worker = replace(self.worker, permissions=permissions)

    def set_worker_enabled(self, *, enabled: bool) -> None:
        """Let the worker's service principal sign in, or not."""
        self.worker = replace(self.worker, enabled=enabled)

    def set_signin_scopes(self, scopes: tuple[str, ...]) -> None:
        """Consent to exactly these scopes for the sign-in app; consent to any other is withdrawn."""
        self.signin = replace(self.signin, scopes=scopes)

    def expire_worker_credentials(self, *, expired: bool) -> None:
        """Let the worker's certificate and secret be over, or good again; tokens already issued stay good."""
        self.worker = replace(self.worker, credentials_expired=expired)

    def set_redirects(self, *, redirect_uris: tuple[str, ...], post_logout: tuple[str, ...]) -> None:
        """Register exactly these redirect URIs for the sign-in app."""
        self.signin = replace(self.signin, redirect_uris=redirect_uris, post_logout_redirect_uris=post_logout)


def load_registrations(
    folder: Path, *, redirect_uris: tuple[str, ...], post_logout_redirect_uris: tuple[str, ...]
) -> Registrations:
    """The registrations stored in `folder`, made at the first start. Redirect URIs come from the caller."""
    path = folder / "registrations.json"
    if path.exists():
        stored = json.loads(path.read_text())
    else:
        stored = {
            name: {
                "client_id": str(uuid.uuid4()),
                "service_principal_id": str(uuid.uuid4()),
                "secret": secrets.token_urlsafe(30),
            }
            for name in ("signin", "worker")
        }
        write_private(path, json.dumps(stored, indent=1).encode())
    certificate_path = folder / "worker.pem"
    certificate = ensure_client_certificate(certificate_path, "access-portal-worker")
    return Registrations(
        signin=Registration(
            display_name="Access Portal sign-in",
            redirect_uris=redirect_uris,
            post_logout_redirect_uris=post_logout_redirect_uris,
            scopes=SIGNIN_SCOPES,
            **stored["signin"],
        ),
        worker=Registration(
            display_name="Access Portal worker",
            permissions=WORKER_PERMISSIONS,
            certificates=(certificate,),
            **stored["worker"],
        ),
        worker_certificate_path=certificate_path,
    )


def code_challenge(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
