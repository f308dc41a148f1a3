"""Reading what was done with one grant: one question after the other, a page at a time, in slices of thirty seconds.

First IAM Identity Center's own events say which sessions the person opened; then the events of the sessions are read,
in the accounts that were opened first. Where a worker dies, the next one goes on from the row's cursor; a page is
counted in the same transaction that moves the cursor, so that none counts twice. An account or Region that can't be
read is a gap with its reason, and keeps nothing else from being read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django_subatomic.db import durable

from base.clock import business_now, real_now
from clients.errors import (
    ClientError,
    NotPermitted,
    QueryFailed,
    Refused,
    StillRunning,
    Throttled,
    Unreachable,
)
from clients.registry import clients
from clients.types import StoreUser, TrailPage, TrailQuestion
from identity.models import Person
from requests_app.activity import tallying
from requests_app.activity.matching import SIGN_IN_EVENTS, Holder, session_use, sign_in_use
from requests_app.activity.models import ActivityLook, ActivityPlace, ActivityUse
from requests_app.activity.planning import (
    EVERY,
    KEPT_BY_AWS,
    MOST_ACCOUNTS,
    is_on,
    last_use_of,
    next_reading,
)
from requests_app.cutting import leasing
from requests_app.cutting.leasing import Claim, Lost
from requests_app.cutting.scopes import scopes_of
from requests_app.models import Grant

log = structlog.get_logger(__name__)

SLICE = timedelta(seconds=30)  # real time
# A place that doesn't answer, or asks to wait, is waited for so often within a reading; then it is a gap.
PATIENCE = 5
BY_NAME, EVERYTHING = "session_name", "everything"
BY_USER_NAME = "Username"
_UNKNOWN = "isn't known in IAM Identity Center, so nothing can be looked up."
WAITED = "CloudTrail didn't answer in time, several times in a row. It is read again."


def owed(*, most: int = 20) -> list[UUID]:
    """Looks that are due and free, the longest due first; none while activity is off."""
    return leasing.owed(ActivityLook, most=most) if is_on() else []


@durable
def read_activity(*, look_id: UUID, seconds: float | None = None) -> bool:
    """Work on one look for a slice (30 s unless told); True when more is owed at once. Harmless when repeated.

    Raises:
        Exception: a mistake of ours; the look rests and is tried again.
    """
    claim = leasing.claim(ActivityLook, look_id)
    if claim is None:
        return False
    deadline = real_now() + (timedelta(seconds=seconds) if seconds is not None else SLICE)
    try:
        return _Reading(claim).work(deadline)
    except Lost:
        log.warning("activity_lease_lost", look=str(look_id))
        return False
    except Exception:
        with leasing.settle(claim) as row:
            wait = leasing.back_off(row.failures)
            leasing.rest(row, until=row.next_action_at, retry_in=wait, failed=True)
        raise


class _Reading:
    """One slice of one look, under its lease."""

    def __init__(self, claim: Claim[ActivityLook]) -> None:
        self._claim = claim
        self._look = claim.row
        self._grant = Grant.objects.select_related("person", "group").get(pk=claim.row.grant_id)
        self._granted = _granted(self._grant)

    def work(self, deadline: datetime) -> bool:
        """Ask until nothing is left, the slice is over, or CloudTrail wants to be waited for."""
        cursor = self._look.cursor
        try:
            if "known_as" not in cursor:  # nothing is under way, or what an earlier release began
                cursor = self._begin()
            while cursor["todo"]:
                cursor = self._one(cursor)
                if real_now() >= deadline and cursor["todo"]:
                    self._queue()
                    return True
        except Unreachable as error:
            self._wait(cursor, error)
            return False
        except ClientError as error:
            self._give_up(error.sentence)
            return False
        self._finish(cursor)
        return False

    # --- the steps

    def _begin(self) -> dict[str, Any]:
        """Whom to look for, until when, and the first questions."""
        instance = clients().identity_center.instance().value
        if not instance.owner_account_id:
            raise Refused(f"The owner of the instance {_UNKNOWN}")
        known_as = self._known_as()
        until = min(business_now(), last_use_of(self._grant))
        delivered = min(business_now() - settings.ACTIVITY_DELIVERY_LAG, last_use_of(self._grant))
        cursor = {
            "until": until.isoformat(),
            "delivered": delivered.isoformat(),
            "known_as": known_as,
            "todo": [[instance.owner_account_id, instance.region, name] for name in SIGN_IN_EVENTS],
            "sessions": False,
            **_fresh(),
        }
        with leasing.settle(self._claim) as row:
            leasing.note(row, known_as=known_as)
            return self._settle(row, cursor)

    def _known_as(self) -> list[list[str]]:
        """Each id and name of the person in IAM Identity Center, now and at earlier readings, the newest first.

        The id of the last sync decides whose name it is: a name is given away again, and a renaming takes its time.
        """
        person, known = self._grant.person, self._look.known_as
        found = clients().identity_center.find_user(person.user_principal_name).value
        if found is None and person.store_user_id:
            now = [[person.store_user_id, person.user_principal_name]]
        else:
            now = [[found.user_id, found.user_name]] if found and _is(found, person) else []
        if not now and not known:
            who = "The person's name is somebody else's or" if found else "The person"
            raise Refused(f"{who} {_UNKNOWN}")
        return [*now, *(each for each in known if each not in now)]

    def _one(self, cursor: dict[str, Any]) -> dict[str, Any]:
        """One page of the first question, and the cursor after it."""
        question, holder = self._question(cursor), self._holder(cursor)
        try:
            page = clients().trail.look_up(question, page=cursor["page"]).value
        except Unreachable:
            raise
        except (NotPermitted, QueryFailed) as error:
            return self._gap(cursor, error.sentence, error.code)
        except Refused as error:
            if not cursor["page"]:
                return self._gap(cursor, error.sentence, error.code)
            # The page isn't known any more: this question begins anew, and is a gap when that goes on. Its first page
            # is answered each time, so what is counted here outlasts answers.
            restarts = cursor["restarts"]
            if restarts >= PATIENCE:
                return self._gap(cursor, error.sentence, error.code)
            return self._save({**cursor, **_fresh(), "restarts": restarts + 1})
        return self._count(cursor, question, holder, page)

    def _count(
        self, cursor: dict[str, Any], question: TrailQuestion, holder: Holder, page: TrailPage
    ) -> dict[str, Any]:
        tally = cursor["tally"]
        for event in page.events:
            used = sign_in_use(event, holder) if cursor["todo"][0][2] else session_use(event, holder)
            if used is not None:
                tallying.add(tally, event, used)
        tally["unreadable"] += page.unreadable
        if page.events:
            tally["oldest"] = page.events[-1].at.isoformat()
        cursor = {**cursor, "tally": tally, "pages": cursor["pages"] + 1, "page": page.next_page, "tries": 0}
        if page.next_page and cursor["pages"] < settings.ACTIVITY_MOST_PAGES:
            return self._save(cursor)
        cut_off = cursor["cut_off"]
        if page.next_page:  # of several names the newest: what is older isn't whole
            cut_off = max(filter(None, [cut_off, tally["oldest"] or question.ends_at.isoformat()]))
        if question.attribute == BY_USER_NAME and cursor["asked"] + 1 < len(_names(cursor)):
            another = {**_fresh(), "tally": {**tally, "oldest": None}, "restarts": cursor["restarts"]}
            return self._save({**cursor, **another, "asked": cursor["asked"] + 1, "cut_off": cut_off})
        with leasing.settle(self._claim) as row:
            place = self._place(cursor)
            place.read_until = datetime.fromisoformat(cursor["delivered"])
            place.problem = place.code = ""
            place.cut_off_at = datetime.fromisoformat(cut_off) if cut_off else None
            tallying.keep(place, tally)
            return self._settle(row, self._after(cursor))

    def _gap(self, cursor: dict[str, Any], sentence: str, code: str) -> dict[str, Any]:
        """The place couldn't be read; what was read of it before stays."""
        log.warning("activity_gap", look=str(self._look.pk), place=cursor["todo"][0], reason=sentence)
        with leasing.settle(self._claim) as row:
            place = self._place(cursor)
            place.problem, place.code = sentence, code[:64]
            place.save()
            return self._settle(row, self._after(cursor))

    def _after(self, cursor: dict[str, Any]) -> dict[str, Any]:
        """The next question: after the sign-ins those about sessions, the accounts that were opened first."""
        cursor = {**cursor, "todo": cursor["todo"][1:], **_fresh()}
        if cursor["todo"] or cursor["sessions"]:
            return cursor
        opened = set(
            ActivityUse.objects.filter(place__look=self._look)
            .exclude(place__event_name="")
            .values_list("account_id", flat=True)
        )
        accounts = sorted(self._granted, key=lambda account: (account not in opened, account))
        todo = [
            [account, region, ""]
            for account in accounts[:MOST_ACCOUNTS]
            for region in settings.ACTIVITY_REGIONS
        ]
        return {**cursor, "todo": todo, "sessions": True}

    def _finish(self, cursor: dict[str, Any]) -> None:
        delivered = datetime.fromisoformat(cursor["delivered"])
        grant = Grant.objects.get(pk=self._grant.pk)  # as it is by now
        with leasing.settle(self._claim) as row:
            gaps = row.places.exclude(problem="").exists()
            following = next_reading(row, grant, read_until=delivered, gaps=gaps)
            over = delivered >= last_use_of(grant)
            leasing.rest(
                row,
                until=following,
                cursor={},
                read_until=delivered,
                read_at=business_now(),
                source=settings.ACTIVITY_SOURCE,
                complete=following is None,
                repeats=row.repeats + 1 if gaps and over else 0,
                problem="",
            )
        log.info("activity_read", grant=str(grant.pk), complete=following is None, gaps=gaps)

    # --- waiting and giving up

    def _wait(self, cursor: dict[str, Any], error: Unreachable) -> None:
        """Wait for CloudTrail; a place that was waited for long enough is a gap."""
        wait = leasing.back_off(cursor.get("tries", 0))
        if isinstance(error, Throttled):
            wait = max(wait, error.retry_after)
        if isinstance(error, StillRunning):  # an answer that takes its time, which the adapter bounds
            wait, cursor = error.retry_after, {**cursor, "page": error.page}
        elif cursor and error.code != "LocalRateLimit":
            cursor = {**cursor, "tries": cursor["tries"] + 1}
            if cursor["tries"] > PATIENCE:
                cursor = self._gap(cursor, WAITED, error.code)
        self._rest(retry_in=wait, cursor=cursor)

    def _give_up(self, sentence: str) -> None:
        """Nothing can be asked at all; tried again while there is anything to find."""
        again = business_now() + EVERY
        until = again if again < last_use_of(self._grant) + KEPT_BY_AWS else None
        with leasing.settle(self._claim) as row:
            leasing.rest(row, until=until, cursor={}, problem=sentence)

    # --- the row

    def _save(self, cursor: dict[str, Any]) -> dict[str, Any]:
        with leasing.settle(self._claim) as row:
            return self._settle(row, cursor)

    def _settle(self, row: ActivityLook, cursor: dict[str, Any]) -> dict[str, Any]:
        """Move the locked row's cursor, and hold on to it."""
        leasing.note(row, cursor=cursor, lease_until=real_now() + settings.LEASE)
        return cursor

    def _rest(self, *, retry_in: timedelta, cursor: Mapping[str, Any]) -> None:
        with leasing.settle(self._claim) as row:
            leasing.rest(row, until=row.next_action_at, retry_in=retry_in, cursor=cursor)

    def _queue(self) -> None:
        """The slice is over: those that are due by now go first, so that a long reading keeps nobody's from beginning."""
        with leasing.settle(self._claim) as row:
            leasing.rest(row, until=business_now())

    def _place(self, cursor: Mapping[str, Any]) -> ActivityPlace:
        account, region, name = cursor["todo"][0]
        found, _ = ActivityPlace.objects.get_or_create(
            look=self._look, account_id=account, region=region, event_name=name
        )
        return found

    def _question(self, cursor: Mapping[str, Any]) -> TrailQuestion:
        account, region, name = cursor["todo"][0]
        attribute, value = ("EventName", name) if name else (BY_USER_NAME, _names(cursor)[cursor["asked"]])
        if not name and settings.ACTIVITY_LOOKUP == EVERYTHING:
            attribute = value = ""
        until = datetime.fromisoformat(cursor["until"])
        return TrailQuestion(account, region, min(self._since, until), until, attribute, value)

    @property
    def _since(self) -> datetime:
        """Events name whole seconds."""
        return (self._grant.assigned_at or self._grant.starts_at).replace(microsecond=0)

    def _holder(self, cursor: Mapping[str, Any]) -> Holder:
        return Holder(
            store_user_ids={user_id for user_id, _ in cursor["known_as"]},
            user_names=_names(cursor),
            granted=self._granted,
            since=self._since,
            until=_sessions_until(self._grant),
        )


def _fresh() -> dict[str, Any]:
    """The part of a cursor that a question begins with."""
    return {
        "page": "",
        "pages": 0,
        "tries": 0,
        "restarts": 0,
        "asked": 0,  # which of the names
        "cut_off": None,  # where one that was asked before was cut off
        "tally": tallying.empty(),
    }


def _names(cursor: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for _, name in cursor["known_as"]))


def _is(user: StoreUser, person: Person) -> bool:
    """Whether who has this person's name in IAM Identity Center is this person."""
    ids = {each.lower() for each in user.external_ids}
    return person.store_user_id in ("", user.user_id) or person.object_id.lower() in ids


def _granted(grant: Grant) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for scope, what in scopes_of([grant]).get(grant.pk, {}).items():
        found.setdefault(scope.account_id, set()).add(what.name)
    return {account: frozenset(names) for account, names in found.items()}


def _sessions_until(grant: Grant) -> datetime:
    """Sessions that began from then on belong to later access to the same, or can't be of this one."""
    later = (
        Grant.objects.filter(person=grant.person_id, group=grant.group_id, starts_at__gt=grant.starts_at)
        .exclude(pk=grant.pk)
        .filter(seen_in_entra_at__isnull=False)
        .order_by("starts_at")[:1]
    )
    ends = [each.assigned_at or each.starts_at for each in later]
    if grant.out_of_aws_at is not None:
        ends.append(grant.out_of_aws_at + settings.AWS_SESSION_CACHE)
    return min(ends, default=last_use_of(grant) + timedelta(days=1))


def read_owed(*, seconds: float | None = None) -> bool:
    """Work on what is owed for one slice in all; True when something is left. For tasks."""
    until = real_now() + (timedelta(seconds=seconds) if seconds is not None else SLICE)
    for look_id in owed():
        left = (until - real_now()).total_seconds()
        if left <= 0:
            return True
        if read_activity(look_id=look_id, seconds=left):
            return True
    return False


__all__ = ["owed", "read_activity", "read_owed"]
