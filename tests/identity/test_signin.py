"""Signing in: the whole way over HTTP to an issuer, and every way in which it must not work."""

from __future__ import annotations

import pytest

from tests.identity.conftest import Visitor


def test_a_person_signs_in(visitor: Visitor) -> None:
    response = visitor.sign_in()
    assert (response.status_code, response["Location"]) == (302, "/")
