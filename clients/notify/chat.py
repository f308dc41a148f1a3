"""Notices to a chat, through Apprise: one address says which service and where."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from clients.errors import Unreachable
from clients.types import Notice


@dataclass(frozen=True, slots=True)
class ChatNotifier:
    """`url` is an address of Apprise's and a secret by itself, so it is never logged or shown."""

    url: str
    origin: str

    def send(self, notice: Notice) -> None:
        """See Notifier."""
        apprise = import_module("apprise")  # half a second, for whoever has a chat only
        chat = apprise.Apprise(asset=apprise.AppriseAsset(secure_logging=True, service_timeout=10.0))
        body = f"{notice.sentence}\n{self.origin}{notice.path}"
        known = chat.add(self.url)
        if not known or not chat.notify(title=notice.title, body=body, body_format=apprise.NotifyFormat.TEXT):
            raise Unreachable(
                "The chat didn't take the notice. It is tried again.", code="" if known else "address"
            )


__all__ = ["ChatNotifier"]
