"""The adapters of the two processes that take access away in AWS; replaceable in tests.

Apart from `clients.registry`, because no other process can build them: their credentials exist in the remover and in
the severer only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from clients.ports import MembershipRemoval, SessionDenials

_removal: MembershipRemoval | None = None
_denials: SessionDenials | None = None


def removal() -> MembershipRemoval:
    """The remover's port, built from the environment on first use. Raises NotPermitted without its variables."""
    global _removal
    found = _removal
    if found is None:
        found = _removal = import_module("clients.aws.cutting").build_removal()
    return found


def denials() -> SessionDenials:
    """The severer's port, built from the environment on first use. Raises NotPermitted without its variables."""
    global _denials
    found = _denials
    if found is None:
        found = _denials = import_module("clients.aws.cutting").build_denials()
    return found


@contextmanager
def using(
    *, removal: MembershipRemoval | None = None, denials: SessionDenials | None = None
) -> Iterator[None]:
    """Run a block with other adapters; for tests."""
    global _removal, _denials
    before = _removal, _denials
    _removal, _denials = removal, denials
    try:
        yield
    finally:
        _removal, _denials = before


__all__ = ["denials", "removal", "using"]
