"""Every permission set judged anew when what it was judged by has changed; most runs find nothing to do."""

from __future__ import annotations

from catalog.judging.storing import judge_sets
from catalog.models import PermissionSet
from catalog.sync.work import Work

PER_STEP = 20


def judge_changed(work: Work) -> bool:
    """Judge the next few permission sets whose content, policies or table changed; True when all were looked at."""
    after: int = work.cursor.get("judged", 0)
    rows = list(PermissionSet.objects.filter(present=True, pk__gt=after).order_by("pk")[:PER_STEP])
    work.changes["judged"] += judge_sets(rows)
    work.cursor["judged"] = rows[-1].pk if rows else after
    return len(rows) < PER_STEP
