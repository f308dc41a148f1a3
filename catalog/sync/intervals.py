"""How often each part is read, and how long an answer counts. All in real time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from catalog.models import SyncRun

# In the order in which a part's rows are needed by the next.
INTERVALS: Mapping[SyncRun.Part, timedelta] = {
    SyncRun.Part.PROVISIONING: timedelta(seconds=60),
    SyncRun.Part.ORGANIZATION: timedelta(minutes=60),
    SyncRun.Part.PERMISSION_SETS: timedelta(minutes=30),
    SyncRun.Part.GROUPS: timedelta(minutes=10),
    SyncRun.Part.ELIGIBILITIES: timedelta(minutes=5),
    SyncRun.Part.DIRECTORY: timedelta(minutes=10),
}

# After a failure: sooner than planned, but not at once; doubled with each failure in a row.
FIRST_RETRY = timedelta(seconds=30)
# When rules name somebody who was never looked for.
UNREAD_RETRY = timedelta(seconds=60)
# The provisioning job must have been seen within this time for requests to be taken.
OVERDUE_AFTER = timedelta(minutes=15)
# A person's own eligibilities are read again when a page is opened and they are older than this.
PERSON_FRESH_FOR = timedelta(seconds=60)
# AWS managed policies: AWS changes one now and then, and says so nowhere.
MANAGED_POLICIES_FRESH_FOR = timedelta(hours=24)
# Whoever decides is read again when a page asks and they are older than this; and no page asks more often.
DECIDER_FRESH_FOR = timedelta(seconds=60)
# Owners of groups change seldom. What was read longer ago than the second says nothing about now.
OWNERS_FRESH_FOR = timedelta(hours=6)
OWNERS_BELIEVED_FOR = timedelta(hours=24)
# Account tags: one slow call each.
TAGS_FRESH_FOR = timedelta(days=7)
