"""System checks."""


def register_all() -> None:
    """Register."""
