"""Reading an adapter's settings from environment variables, with errors that name the variable."""

from __future__ import annotations

from collections.abc import Mapping

from clients.errors import NotPermitted


def setting(environ: Mapping[str, str], name: str, default: str = "") -> str:
    """The variable's text without surrounding blanks, or the default when it is absent or empty."""
    return environ.get(name, "").strip() or default


def required(environ: Mapping[str, str], name: str, *, why: str) -> str:
    """The variable's text.

    Raises:
        NotPermitted: when it is absent; its code is the variable's name.
    """
    value = setting(environ, name)
    if not value:
        raise NotPermitted(f"{name} is not set: {why}. Set it in the worker's environment.", code=name)
    return value


__all__ = ["required", "setting"]
