"""SCIM errors in IAM Identity Center's form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass(eq=False)
class ScimError(Exception):
    """A refusal: `kind` is AWS's exception name, `detail` its sentence, `headers` what goes along."""

    status: int
    kind: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.kind}: {self.detail}"

    def body(self, *, as_in_rfc: bool = False) -> dict[str, Any]:
        """The error resource in the form of the one example that AWS published, or as RFC 7644 has it."""
        content = {"detail": self.detail, "status": str(self.status)}
        if as_in_rfc:
            return {"schemas": [ERROR_SCHEMA], **content}
        return {"schema": [ERROR_SCHEMA], **content, "exceptionType": self.kind}


def invalid(detail: str) -> ScimError:
    """400."""
    return ScimError(400, "ValidationException", detail)


def missing(what: str) -> ScimError:
    """404."""
    return ScimError(404, "ResourceNotFoundException", f"{what} not found")


def not_allowed(method: str, what: str) -> ScimError:
    """405."""
    return ScimError(405, "ValidationException", f"{method} is not supported for {what}.")


def conflict(detail: str) -> ScimError:
    """409."""
    return ScimError(409, "ConflictException", detail)
