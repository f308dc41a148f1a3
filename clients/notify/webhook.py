"""Notices as JSON to an address: one POST, no redirects, an answer of 2xx means taken."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import NoReturn

from base.exchange import open_without_redirects
from clients.errors import Unreachable
from clients.types import Notice

TIMEOUT_SECONDS = 10.0  # for all of one exchange


@dataclass(frozen=True, slots=True)
class WebhookNotifier:
    """`url` may be a secret by itself, so it is never logged or shown. `origin` makes links of paths."""

    url: str
    origin: str

    def send(self, notice: Notice) -> None:
        """See Notifier."""
        document = {
            "id": notice.id,
            "kind": notice.kind,
            "state": "over" if notice.over else "raised",
            "title": notice.title,
            "text": notice.sentence,
            "link": f"{self.origin}{notice.path}",
            "at": notice.at.isoformat(),
        }
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked when it was configured
            self.url,
            data=json.dumps(document).encode(),
            headers={"Content-Type": "application/json", "User-Agent": "access-portal"},
            method="POST",
        )
        try:
            with open_without_redirects(request, TIMEOUT_SECONDS) as answer:
                if answer.status >= 300:
                    _failed(str(answer.status))
        except urllib.error.HTTPError as error:
            _failed(str(error.code))
        except (OSError, http.client.HTTPException) as error:
            _failed(type(error).__name__)


def _failed(code: str) -> NoReturn:
    raise Unreachable("The webhook didn't take the notice. It is tried again.", code=code)


__all__ = ["WebhookNotifier"]
