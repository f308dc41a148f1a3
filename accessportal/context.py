"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def portal(request: HttpRequest) -> dict[str, Any]:
    """Facts about this installation."""
    return {"portal_mode": settings.PORTAL_MODE}
