"""Who is on call, from one JSON document: {"schedule": ["object id or sign-in name", ...]}. A source for ON_CALL_SOURCE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import requests
from django.conf import settings

TIMEOUT_SECONDS = 5
LARGEST = 1_000_000  # bytes


def from_document(schedule: str) -> Sequence[str]:
    """Those whom the document of ON_CALL_DOCUMENT (a file's path, or an HTTPS address) names for this schedule.

    Raises:
        ValueError: it isn't such a document, is too large, or has no such schedule; or the address is no HTTPS.
        OSError: it can't be read (requests' errors are among these); urllib3's own errors where an answer breaks off.
    """
    found = json.loads(_text(settings.ON_CALL_DOCUMENT))
    named = found.get(schedule) if isinstance(found, dict) else None
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        raise ValueError(f"The document has no list of names for {schedule}.")
    return named


def _text(place: str) -> bytes:
    parts = urlsplit(place)
    if not parts.scheme:
        with Path(place).open("rb") as file:
            return _small(file.read(LARGEST + 1))
    if parts.scheme != "https":
        raise ValueError("Only an HTTPS address or a path is read.")
    with requests.get(place, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True) as answer:
        answer.raise_for_status()
        if answer.status_code != requests.codes.ok:
            raise ValueError("The address answered with something else than the document.")
        return _small(answer.raw.read(LARGEST + 1, decode_content=True))


def _small(text: bytes) -> bytes:
    if len(text) > LARGEST:
        raise ValueError("The document is too large.")
    return text
