"""The deployed allow-list: which PIM groups this installation may touch at all.

The Graph permission that workers hold is tenant-wide, so the product limits itself, to the groups
of one file that only a deployment can change. It fails closed: no file, an unreadable file or one bad
line, and no group is managed.
"""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import UUID

from django.conf import settings

logger = logging.getLogger(__name__)

_NOTHING: frozenset[str] = frozenset()
# The file's contents as of one (path, modification time, size); the file is read again when they differ.
_cached: tuple[tuple[str, int, int], frozenset[str]] | None = None


class AllowListError(Exception):
    """The allow-list can't be used; the message is a sentence for an operator."""


def managed_groups() -> frozenset[str]:
    """The object ids in the deployed file, in lower case.

    Raises:
        AllowListError: the file can't be read, or a line is no object id.
    """
    global _cached
    if not settings.PORTAL_MANAGED_GROUPS_FILE:
        return _NOTHING
    path = Path(settings.PORTAL_MANAGED_GROUPS_FILE)
    try:
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        if _cached is None or _cached[0] != key:
            _cached = (key, parse(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise AllowListError(
            f"The list of managed groups {path} can't be read ({type(error).__name__}), so none is managed. "
            "Check PORTAL_MANAGED_GROUPS_FILE and the file's permissions."
        ) from error
    return _cached[1]


def is_managed(group_id: str) -> bool:
    """Whether this installation may touch the group. False whenever that can't be established."""
    try:
        return group_id.lower() in managed_groups()
    except AllowListError as error:
        logger.error("%s", error)
        return False


def problem() -> str:
    """Why no group is managed, as a sentence for an operator; "" when the file is in order."""
    if not settings.PORTAL_MANAGED_GROUPS_FILE:
        return (
            "No list of managed groups is deployed, so no group is managed. Set PORTAL_MANAGED_GROUPS_FILE."
        )
    try:
        groups = managed_groups()
    except AllowListError as error:
        return str(error)
    return "" if groups else "The list of managed groups is empty, so nothing can be requested."


def parse(text: str) -> frozenset[str]:
    """The object ids of an allow-list: one a line, `#` begins a comment.

    Raises:
        AllowListError: a line holds anything else; it names the line.
    """
    groups = set()
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            plain = str(UUID(entry))
        except ValueError:
            plain = ""
        # UUID() also reads braces, prefixes and missing hyphens; a list that decides rights takes one form.
        if plain != entry.lower():
            raise AllowListError(
                f"Line {number} of the list of managed groups is no Entra object id: {entry[:60]!r}. "
                "No group is managed until it is corrected."
            )
        groups.add(plain)
    return frozenset(groups)
