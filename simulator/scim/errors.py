"""SCIM errors in IAM Identity Center's form."""

from dataclasses import dataclass
from typing import Any

ERROR_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:Error"


@dataclass(eq=False)
class ScimError(Exception):
    """A refusal: `kind` is AWS's exception name, `detail` its sentence."""

    status: int
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.status} {self.kind}: {self.detail}"

    def body(self) -> dict[str, Any]:
        """The error resource; the member is called `schema`, as in the one example that AWS published."""
        return {
            "schema": [ERROR_SCHEMA],
            "detail": self.detail,
            "status": str(self.status),
            "exceptionType": self.kind,
        }


def invalid(detail: str) -> ScimError:
    """400."""
    return ScimError(400, "ValidationException", detail)


def missing(what: str) -> ScimError:
    """404."""
    return ScimError(404, "ResourceNotFoundException", f"{what} not found")


def conflict(detail: str) -> ScimError:
    """409."""
    return ScimError(409, "ConflictException", detail)
