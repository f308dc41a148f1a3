"""What is known about what was done, for pages: from rows alone, with what is not in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Max, Sum
from django.utils.functional import cached_property

from requests_app.activity.matching import SIGN_IN_EVENTS
from requests_app.activity.models import ActivityLook, ActivityPlace, ActivityUse
from requests_app.activity.planning import MOST_ACCOUNTS
from requests_app.cutting.scopes import scopes_of
from requests_app.models import Grant

# Bounds of one page; beyond them it says so.
MOST_USES = 1000
MOST_NEWEST = 100
# What was asked, by ActivityLook.source, and what that has.
SOURCE_WORDS = {
    "event_history": "Read from the event history that CloudTrail keeps of each account for ninety days.",
    "lake": (
        "Read from an event data store of CloudTrail Lake, which has the accounts, Regions and days that it was set up "
        "to record, and no others: what was done elsewhere isn't here."
    ),
    "athena": (
        "Read by Athena from the files of a CloudTrail trail, which has the accounts and Regions that it was set up to "
        "record, and no others, for as long as its files are kept: what was done elsewhere isn't here."
    ),
}
# What no reading of CloudTrail's management events can show.
COVERAGE = (
    "Management events only: no data events, such as reading objects of S3 or invoking functions of Lambda.",
    "Only sessions of the permission sets that this access opened: no access outside IAM Identity Center.",
    "Only PIM groups that the portal manages.",
    "What a session's role did in its turn, by assuming another role, is that role's.",
    "Use of the same permission set on the same account by other access of the person at that time is counted as well.",
)


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action of a service, over all accounts and Regions that were read."""

    service: str
    action: str
    permission_sets: Sequence[str]
    accounts: Sequence[str]
    count: int
    errors: int
    denied: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class GrantedRow:
    """A permission set on an account that the access opened, and what is known of its use."""

    account_id: str
    permission_set: str
    opened: int  # sessions that IAM Identity Center says were opened
    events: int
    last_at: datetime | None
    unknown: str  # why no use is no proof of none; "" where the account was read

    @property
    def used(self) -> bool:
        return bool(self.opened or self.events)


# Account id, permission set, and whether it is the opening of sessions that is counted.
type _Total = tuple[str, str, bool]


@dataclass(frozen=True)
class Activity:
    """What was done with one grant."""

    grant: Grant
    look: ActivityLook | None
    places: Sequence[ActivityPlace] = ()
    uses: Sequence[ActivityUse] = ()
    granted: Sequence[tuple[str, str]] = ()  # account id, permission set
    totals: Mapping[_Total, tuple[int, datetime]] = field(
        default_factory=dict
    )  # of all uses: how often, and last
    uses_cut: bool = False

    @property
    def read(self) -> bool:
        """Whether a reading has ended."""
        return self.look is not None and self.look.read_at is not None

    @cached_property
    def actions(self) -> list[ActionRow]:
        """What sessions did, the most frequent first; actions beyond the bound of a reading last."""
        found: dict[tuple[str, str], list[ActivityUse]] = {}
        for use in self.uses:
            if not use.place.event_name:
                found.setdefault((use.service, use.action), []).append(use)
        rows = [
            ActionRow(
                service=service,
                action=action,
                permission_sets=sorted({use.permission_set_name for use in uses}),
                accounts=sorted({use.account_id for use in uses}),
                count=sum(use.count for use in uses),
                errors=sum(use.errors for use in uses),
                denied=sum(use.denied for use in uses),
                first_at=min(use.first_at for use in uses),
                last_at=max(use.last_at for use in uses),
            )
            for (service, action), uses in found.items()
        ]
        return sorted(rows, key=lambda row: (not row.service, -row.count, row.service, row.action))

    @cached_property
    def scope(self) -> list[GrantedRow]:
        """Everything that was granted, what was used first."""
        rows = [self._granted(account, name) for account, name in self.granted]
        return sorted(rows, key=lambda row: (not row.used, row.permission_set, row.account_id))

    def _granted(self, account: str, name: str) -> GrantedRow:
        both = [self.totals.get((account, name, opening)) for opening in (True, False)]
        opened, events = (found[0] if found else 0 for found in both)
        return GrantedRow(
            account_id=account,
            permission_set=name,
            opened=opened,
            events=events,
            last_at=max((found[1] for found in both if found), default=None),
            unknown=self._unread(account),
        )

    def _unread(self, account: str) -> str:
        if not self.read:
            return "being read"
        places = [each for each in self.places if each.account_id == account and not each.event_name]
        if not places:
            return "not read"
        if any(each.problem or each.cut_off_at or each.unreadable for each in places):
            return "not read whole"
        if {each.region for each in places} < set(self.regions):
            return "not read whole"
        until = min(
            (each.read_until for each in places if each in self.early and each.read_until), default=None
        )
        return f"read only until {until:%Y-%m-%d %H:%M} UTC" if until else ""

    @property
    def regions(self) -> Sequence[str]:
        """Where sessions were looked for: as it was when it was read, whatever the setting says by now."""
        return (
            sorted({each.region for each in self.places if not each.event_name}) or settings.ACTIVITY_REGIONS
        )

    @property
    def used(self) -> int:
        """How many of what was granted were used."""
        return sum(row.used for row in self.scope)

    @property
    def gaps(self) -> list[ActivityPlace]:
        """What couldn't be read."""
        return [each for each in self.places if each.problem]

    @property
    def cut_off(self) -> list[ActivityPlace]:
        """Where there was too much to read it all."""
        return [each for each in self.places if each.cut_off_at]

    @cached_property
    def early(self) -> Sequence[ActivityPlace]:
        """Where an earlier reading asked, and the last one didn't: it asked others."""
        last = self.look.read_until if self.look is not None and self.read else None
        if last is None:
            return ()
        return [
            each
            for each in self.places
            if not each.event_name and not each.problem and each.read_until and each.read_until < last
        ]

    @property
    def unasked(self) -> Sequence[str]:
        """Accounts that were granted, or came to the PIM group since, and of which nothing was asked."""
        asked = {each.account_id for each in self.places if not each.event_name}
        return sorted({account for account, _ in self.granted} - asked) if self.read else ()

    @property
    def unasked_words(self) -> str:
        """The same as a sentence; "" where every account was asked."""
        count = len(self.unasked)
        if not count:
            return ""
        what = "1 AWS account was" if count == 1 else f"{count} AWS accounts were"
        return (
            f"{what} not asked: a reading asks {MOST_ACCOUNTS} at most, those first in which a session was opened, "
            "and none that came to the PIM group after it."
        )

    @property
    def missing(self) -> Sequence[str]:
        """What of all that was granted couldn't be read whole, in sentences; none where everything was."""
        gaps, cut = len(self.gaps), len(self.cut_off)
        counted = (
            (gaps, "place of CloudTrail could not be read.", "places of CloudTrail could not be read."),
            (
                cut,
                "place had too many events to read them all.",
                "places had too many events to read them all.",
            ),
            (
                len(self.early),
                "place was read only until an earlier time, as the last reading asked others.",
                "places were read only until an earlier time, as the last reading asked others.",
            ),
            (
                self.unreadable,
                "event had no record that can be read.",
                "events had no record that can be read.",
            ),
        )
        said = [f"{number} {one if number == 1 else many}" for number, one, many in counted if number]
        return [*said, *([self.unasked_words] if self.unasked else [])]

    @property
    def unreadable(self) -> int:
        return sum(each.unreadable for each in self.places)

    @property
    def sign_ins_known(self) -> bool:
        """Whether every question about sign-ins was answered whole."""
        whole = {
            each.event_name
            for each in self.places
            if each.event_name and not each.problem and not each.cut_off_at
        }
        return whole >= set(SIGN_IN_EVENTS)

    @property
    def newest(self) -> Sequence[Mapping[str, object]]:
        """The newest events themselves, as they are called in CloudTrail."""
        rows = [
            {
                **row,
                "at": datetime.fromisoformat(row["at"]),
                "account_id": each.account_id,
                "region": each.region,
            }
            for each in self.places
            if not each.event_name
            for row in each.newest
        ]
        return sorted(rows, key=lambda row: row["at"], reverse=True)[:MOST_NEWEST]

    @property
    def events(self) -> int:
        """Events of sessions, in all."""
        return sum(each.events for each in self.places if not each.event_name)

    @property
    def coverage(self) -> Sequence[str]:
        """What this can't show, in sentences."""
        regions = ", ".join(self.regions) or "none"
        return (
            *([SOURCE_WORDS[self.look.source]] if self.look is not None and self.read else []),
            *COVERAGE,
            f"These Regions were asked: {regions}. What was done in others isn't here.",
        )

    @property
    def delivery_lag(self) -> timedelta:
        lag: timedelta = settings.ACTIVITY_DELIVERY_LAG
        return lag


def activity_of(grants: Iterable[Grant]) -> Mapping[UUID, Activity]:
    """By grant. Six queries, however many grants and events."""
    listed = list(grants)
    looks = {look.grant_id: look for look in ActivityLook.objects.filter(grant__in=listed)}
    places: dict[UUID, list[ActivityPlace]] = {}
    by_place = ActivityPlace.objects.filter(look__in=looks.values())
    for place in by_place.order_by("account_id", "region", "event_name"):
        places.setdefault(place.look_id, []).append(place)
    found = list(
        ActivityUse.objects.filter(place__look__in=looks.values())
        .select_related("place")
        .order_by("-count", "pk")[: MOST_USES + 1]
    )
    uses: dict[UUID, list[ActivityUse]] = {}
    for use in found[:MOST_USES]:
        uses.setdefault(use.place.look_id, []).append(use)
    totals = _totals(looks.values())
    scopes = scopes_of(listed)
    activities = {}
    for grant in listed:
        look = looks.get(grant.pk)
        activities[grant.pk] = Activity(
            grant=grant,
            look=look,
            places=places.get(look.pk, []) if look else (),
            uses=uses.get(look.pk, []) if look else (),
            granted=[(scope.account_id, what.name) for scope, what in scopes.get(grant.pk, {}).items()],
            totals=totals.get(look.pk, {}) if look else {},
            uses_cut=len(found) > MOST_USES,
        )
    return activities


def _totals(looks: Iterable[ActivityLook]) -> Mapping[UUID, Mapping[_Total, tuple[int, datetime]]]:
    """Of each look all uses together, also of actions beyond the bound of a page. One query."""
    rows = ActivityUse.objects.filter(place__look__in=looks).order_by()
    of = ("place__look", "account_id", "permission_set_name", "place__event_name")
    found: dict[UUID, dict[_Total, tuple[int, datetime]]] = {}
    for look, account, name, event, number, last in rows.values_list(*of).annotate(
        number=Sum("count"), last=Max("last_at")
    ):
        mine, key = found.setdefault(look, {}), (account, name, bool(event))
        before = mine.get(key, (0, last))
        mine[key] = (before[0] + number, max(before[1], last))
    return found


def last_uses(person_id: int, permission_sets: Iterable[str]) -> Mapping[str, datetime]:
    """When this person last used each of these permission sets, by name, as far as it was read. One query."""
    rows = (
        ActivityUse.objects.filter(
            place__look__grant__person=person_id, permission_set_name__in=set(permission_sets)
        )
        .values("permission_set_name")
        .annotate(last=Max("last_at"))
    )
    return {row["permission_set_name"]: row["last"] for row in rows}
