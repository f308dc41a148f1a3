"""The removals to do as a table, for whoever administers PIM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from audit.exporting.tables import cell, csv_line
from audit.ledger.canonical import instant
from reviews.models import Campaign
from reviews.selectors import Row

COLUMNS = (
    *("person", "user_principal_name", "person_object_id", "pim_group", "pim_group_object_id"),
    *(
        "eligible",
        "eligible_until",
        "last_access_through_the_portal",
        "last_recorded_use",
        "use_read_whole",
        "decided_by",
        "decided_at",
        "reason",
        "review",
    ),
)


def lines(campaign: Campaign, rows: Iterable[Row]) -> Iterator[str]:
    """CSV as RFC 4180 has it, with no cell that a spreadsheet would run: the header, then a line for each removal."""
    yield csv_line(COLUMNS)
    for row in rows:
        entry = row.entry
        ways = ["directly"] if entry.direct else []
        ways += [f"through {entry.through}"] if entry.through else []
        values = (
            entry.person.display_name,
            entry.person.user_principal_name,
            entry.person.object_id,
            entry.group.display_name,
            entry.group.object_id,
            " and ".join(ways),
            instant(entry.ends_at) if entry.ends_at else "no end",
            instant(row.last_access_at) if row.last_access_at else "never",
            instant(row.use.at) if row.use.at else row.no_use,
            "yes" if row.use.whole else "no",
            entry.decided_by.display_name if entry.decided_by else "",
            instant(entry.decided_at) if entry.decided_at else "",
            entry.reason,
            campaign.name,
        )
        yield csv_line([cell(value) for value in values])
