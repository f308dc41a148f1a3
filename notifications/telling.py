"""One pass of telling people: plan what has happened, send what is owed, forget what is old."""

from __future__ import annotations

from notifications.planning import plan
from notifications.sending import forget_old, send_owed


def tell() -> tuple[int, int]:
    """Everything that is owed to people now; gives how many messages were planned and sent."""
    planned = plan()
    sent = send_owed()
    forget_old()
    return planned, sent
