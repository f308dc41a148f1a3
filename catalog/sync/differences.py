"""Writing only what differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models

BATCH = 500


@dataclass(slots=True)
class Differences[M: models.Model]:
    """Rows that were created, changed, or are no longer wanted (not yet dealt with)."""

    created: list[M] = field(default_factory=list)
    changed: list[M] = field(default_factory=list)
    unwanted: list[M] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.created) + len(self.changed) + len(self.unwanted)


def write_differences[M: models.Model, K](
    model: type[M],
    *,
    existing: Mapping[K, M],
    wanted: Mapping[K, Mapping[str, Any]],
    contended: bool = False,
) -> Differences[M]:
    """Create rows for new keys and update rows whose values differ, in bulk. Text is cut to its column.

    The wanted values include the columns of the key. What is unwanted is left to the caller. Where two
    writers may create the same row (`contended`), the first wins and created rows come back without keys.
    """
    found: Differences[M] = Differences()
    columns: set[str] = set()
    for key, values in wanted.items():
        values = {name: _fit(model, name, value) for name, value in values.items()}
        row = existing.get(key)
        if row is None:
            found.created.append(model(**values))
            continue
        differing = {name for name, value in values.items() if getattr(row, name) != value}
        if differing:
            columns |= differing
            for name in differing:
                setattr(row, name, values[name])
            found.changed.append(row)
    found.unwanted = [row for key, row in existing.items() if key not in wanted]
    manager = model._default_manager
    manager.bulk_create(found.created, batch_size=BATCH, ignore_conflicts=contended)
    if found.changed:
        manager.bulk_update(found.changed, sorted(columns), batch_size=BATCH)
    return found


def mark_absent[M: models.Model](rows: Collection[M]) -> int:
    """Mark rows that the cloud no longer has; they stay for those who point at them. Gives how many changed."""
    if not rows:
        return 0
    model = type(next(iter(rows)))
    present = model._default_manager.filter(pk__in=[row.pk for row in rows], present=True)
    return present.update(present=False)


def _fit(model: type[models.Model], name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    limit = getattr(model._meta.get_field(name), "max_length", None)
    return value[:limit] if limit else value
