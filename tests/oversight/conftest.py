"""The people and groups of the page tests, for what watches over them."""

from tests.pages.conftest import world

__all__ = ["world"]
