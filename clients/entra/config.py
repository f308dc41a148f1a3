"""What the Entra adapter must know, read once from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from clients.environment import required, setting
from clients.errors import NotPermitted

# What may say which accounts are one human's: the employee id, or one of the fifteen custom attributes of a user
# (onPremisesExtensionAttributes).
EMPLOYEE_ID = "employeeId"
PERSON_ATTRIBUTES = (EMPLOYEE_ID, *(f"extensionAttribute{number}" for number in range(1, 16)))

_WHY = "without it the worker can't sign in to Microsoft Entra"
_CREDENTIALS = (
    "ENTRA_WORKER_CERTIFICATE_PATH",
    "ENTRA_WORKER_FEDERATED_TOKEN_FILE",
    "ENTRA_WORKER_CLIENT_SECRET",
)


@dataclass(frozen=True, slots=True)
class EntraConfig:
    """The worker's app registration and where Graph is. Exactly one of the three credentials is set."""

    tenant_id: str
    client_id: str
    aws_service_principal_id: str
    certificate_path: str = ""
    federated_token_file: str = ""
    client_secret: str = field(default="", repr=False)
    authority: str = "https://login.microsoftonline.com"
    ca_bundle: str = ""
    graph_base_url: str = "https://graph.microsoft.com/v1.0"
    graph_scope: str = "https://graph.microsoft.com/.default"
    # The sign-in app registration, by which people's own tokens are used; both "" where no group is activated so.
    signin_client_id: str = ""
    # The attributes of a user that say which accounts are one human's: the first of them that has a value.
    person_attributes: tuple[str, ...] = (EMPLOYEE_ID,)
    signin_secret: str = field(default="", repr=False)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> EntraConfig:
        """Read the ENTRA_* and GRAPH_* variables.

        Raises:
            NotPermitted: when one is missing or impossible; the sentence names it.
        """
        credentials = {name: setting(environ, name) for name in _CREDENTIALS}
        given = [name for name, value in credentials.items() if value]
        if len(given) != 1:
            raise NotPermitted(
                f"Set exactly one of {', '.join(_CREDENTIALS)} (found {len(given)}): "
                "a certificate or a federated token is better than a secret.",
                code=_CREDENTIALS[0],
            )
        base_url = setting(environ, "GRAPH_BASE_URL", "https://graph.microsoft.com/v1.0").rstrip("/")
        parts = urlsplit(base_url)
        local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        if not parts.hostname or not (parts.scheme == "https" or local):
            raise NotPermitted(
                f"GRAPH_BASE_URL is {base_url!r}: it must be an https address (http only on this machine), "
                "because the token is sent there.",
                code="GRAPH_BASE_URL",
            )
        given_attributes = setting(environ, "ENTRA_PERSON_ATTRIBUTE", EMPLOYEE_ID)
        attributes = tuple(each.strip() for each in given_attributes.split(","))
        if not set(attributes) <= set(PERSON_ATTRIBUTES) or len(set(attributes)) < len(attributes):
            raise NotPermitted(
                f"ENTRA_PERSON_ATTRIBUTE is {given_attributes!r}: it is {EMPLOYEE_ID}, or extensionAttribute1 to 15; "
                "several with commas between them, each once.",
                code="ENTRA_PERSON_ATTRIBUTE",
            )
        # On loopback stands a simulated Graph, whose tokens are for the real Graph's audience.
        scope_host = "graph.microsoft.com" if local else parts.hostname
        return cls(
            tenant_id=required(environ, "ENTRA_TENANT_ID", why=_WHY),
            client_id=required(environ, "ENTRA_WORKER_CLIENT_ID", why=_WHY),
            aws_service_principal_id=required(
                environ,
                "ENTRA_AWS_SERVICE_PRINCIPAL_ID",
                why="it names the enterprise application that carries people to IAM Identity Center",
            ),
            certificate_path=credentials["ENTRA_WORKER_CERTIFICATE_PATH"],
            federated_token_file=credentials["ENTRA_WORKER_FEDERATED_TOKEN_FILE"],
            client_secret=credentials["ENTRA_WORKER_CLIENT_SECRET"],
            authority=setting(environ, "ENTRA_AUTHORITY", "https://login.microsoftonline.com").rstrip("/"),
            ca_bundle=setting(environ, "ENTRA_CA_BUNDLE"),
            graph_base_url=base_url,
            graph_scope=f"https://{scope_host}/.default",
            person_attributes=attributes,
            signin_client_id=setting(environ, "ENTRA_SIGNIN_CLIENT_ID"),
            signin_secret=setting(environ, "ENTRA_SIGNIN_WORKER_SECRET"),
        )

    @property
    def personal_scopes(self) -> tuple[str, ...]:
        """What a person's token is for."""
        host = self.graph_scope.removesuffix("/.default")
        return (f"{host}/PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",)

    @property
    def graph_origin(self) -> tuple[str, str]:
        """Scheme and host with port, the only place that may receive the token."""
        parts = urlsplit(self.graph_base_url)
        return parts.scheme, parts.netloc.lower()

    @property
    def public_cloud(self) -> bool:
        """Whether Microsoft's own instance discovery makes sense for this authority."""
        return (urlsplit(self.authority).hostname or "").endswith(
            (".microsoftonline.com", ".microsoftonline.us", ".chinacloudapi.cn", ".microsoftonline.cn")
        )
