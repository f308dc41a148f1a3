"""How the world says no."""

from dataclasses import dataclass, field


@dataclass(eq=False)
class WorldError(Exception):
    """A refusal by a simulated cloud. `status` is HTTP's, `code` and `message` are the vendor's.

    `retry_after` (real seconds) is set on throttling only; `changed` says that the effect took place all the same.
    """

    status: int
    code: str
    message: str
    retry_after: int | None = None
    changed: bool = False
    details: dict[str, str] = field(default_factory=dict)  # further members of AWS's error shapes

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"


def bad_request(code: str, message: str) -> WorldError:
    """400."""
    return WorldError(400, code, message)


def forbidden(message: str, code: str = "Authorization_RequestDenied") -> WorldError:
    """403."""
    return WorldError(403, code, message)


def not_found(what: str, code: str = "Request_ResourceNotFound") -> WorldError:
    """404 in the directory's words."""
    return WorldError(
        404,
        code,
        f"Resource '{what}' does not exist or one of its queried reference-property objects are not present.",
    )
