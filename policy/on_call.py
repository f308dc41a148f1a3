"""Who is on call: read by workers from wherever the organisation keeps it, kept with its age, and resolved from there.

The source is a Python callable of the installation: given the name of a schedule it gives object ids or sign-in names, or
raises. Where it can't be reached nobody is on call, and the sentence says so: nothing is opened by a guess.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Q
from django.utils.module_loading import import_string

from base.clock import business_clock, business_now, real_now
from catalog.sync import directory
from catalog.sync.principals import read_people
from catalog.sync.work import Work
from clients.errors import ClientError
from identity.models import Person
from policy.models import OnCallShift, RuleVersion
from policy.scope import OnCall

log = structlog.get_logger(__name__)

# All real time: how long the source may take, and how old an answer may be that a request stands on.
TIME_LIMIT = timedelta(seconds=10)
BELIEVED_FOR = timedelta(minutes=10)
# A schedule that names more people than this is no schedule.
MOST_PEOPLE = 50
LONGEST_PROBLEM = 200

_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

type Source = Callable[[str], Sequence[str]]
_asking: dict[str, threading.Thread] = {}  # calls that haven't come back


def schedules_named(versions: Iterable[RuleVersion]) -> frozenset[str]:
    """The schedules that these rules name."""
    return frozenset(
        stage.approvers.on_call
        for version in versions
        for stage in version.parsed.demands.stages
        if stage.approvers.on_call
    )


def known_on_call(schedules: Collection[str], moments: Collection[datetime]) -> Sequence[OnCallShift]:
    """What was read of these schedules that any of these instants (business time) may stand on. One query."""
    if not schedules or not moments:
        return ()
    begun = Q(schedule__in=schedules, begun_at__lte=max(moments))
    return list(
        OnCallShift.objects.filter(begun, seen_at__gte=_oldest(min(moments))).order_by("begun_at", "pk")
    )


def on_call_at(
    shifts: Sequence[OnCallShift], schedules: Collection[str], at: datetime
) -> Mapping[str, OnCall]:
    """Who was on call for each schedule at an instant (business time), or why nobody is known."""
    found: dict[str, OnCall] = {}
    for schedule in schedules:
        last = [each for each in shifts if each.schedule == schedule and each.begun_at <= at][-1:]
        if not last or last[0].seen_at < _oldest(at):
            minutes = int(BELIEVED_FOR.total_seconds()) // 60
            found[schedule] = OnCall(
                problem=f"who is on call for {schedule} was not read in the last {minutes} minutes"
            )
        else:
            found[schedule] = OnCall(frozenset(last[0].people), last[0].problem, last[0].seen_at)
    return found


def on_call_lately(versions: Iterable[RuleVersion]) -> frozenset[str]:
    """Object ids of those who are on call now for what these rules name. One query, none without such a rule."""
    schedules, now = schedules_named(versions), business_now()
    held = on_call_at(known_on_call(schedules, [now]), schedules, now)
    return frozenset().union(*(each.people for each in held.values()))


def _oldest(at: datetime) -> datetime:
    return at - BELIEVED_FOR * business_clock().factor


def read_on_call() -> int:
    """Ask the source about every schedule that a rule names, in force or proposed; gives how many. For a worker."""
    schedules = sorted(directory.schedules_named())
    for schedule in schedules:
        people, problem = _read(schedule)
        now = business_now()
        newest = OnCallShift.objects.filter(schedule=schedule).order_by("-begun_at", "-pk").first()
        if newest is not None and (newest.people, newest.problem) == (people, problem):
            OnCallShift.objects.filter(pk=newest.pk).update(seen_at=now)
        else:
            OnCallShift.objects.create(
                schedule=schedule, people=people, problem=problem, begun_at=now, seen_at=now
            )
    return len(schedules)


def _read(schedule: str) -> tuple[list[str], str]:
    """Object ids of those on call, sorted; or none and why, as part of a sentence."""
    if not settings.ON_CALL_SOURCE:
        return [], "who is on call is not known here: no source is set (ON_CALL_SOURCE)"
    try:
        named = _within_time(import_string(settings.ON_CALL_SOURCE), schedule)
    except Exception as error:  # noqa: BLE001 - the installation's own code may raise anything: nobody is on call then
        log.warning("on_call_unread", schedule=schedule, error=type(error).__name__)
        why = str(error) if isinstance(error, TimeoutError) else type(error).__name__
        return [], f"who is on call for {schedule} could not be read ({why[:LONGEST_PROBLEM]})"
    if isinstance(named, str) or not all(isinstance(each, str) for each in named):
        return [], f"the source answered for {schedule} with something else than names"
    if not named:
        return [], f"nobody is on call for {schedule}"
    wanted = {each.strip().casefold() for each in list(named)[:MOST_PEOPLE]}
    try:
        _meet(wanted)
    except ClientError as error:
        return [], f"whoever is on call for {schedule} could not be read from Entra ({error.code})"
    people = _known(wanted)
    if not people:
        return [], f"whoever is on call for {schedule} is not known to the portal"
    return people, ""


def _meet(wanted: Collection[str]) -> None:
    """Read those whose object id the portal hasn't met, so that they can decide. Raises ClientError."""
    met = set(Person.objects.filter(object_id__in=wanted).values_list("object_id", flat=True))
    unmet = [each for each in sorted(wanted) if _OBJECT_ID.fullmatch(each) and each not in met]
    if unmet:
        read_people(Work(part="on_call", cursor={}, deadline=real_now() + TIME_LIMIT), unmet)


def _known(wanted: Collection[str]) -> list[str]:
    """Object ids of these people, who are given by object id or sign-in name. One query."""
    named = Q()
    for each in wanted:
        named |= Q(object_id=each) | Q(user_principal_name__iexact=each)
    return sorted(Person.objects.filter(named).values_list("object_id", flat=True)) if wanted else []


def _within_time(source: Source, schedule: str) -> Sequence[str]:
    """What the source says, or TimeoutError. A call that hangs is left behind, and not made again while it does."""
    if schedule in _asking and _asking[schedule].is_alive():
        raise TimeoutError("the call before still hangs")
    answer: list[Sequence[str]] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            answer.append(source(schedule))
        except Exception as error:  # noqa: BLE001 - raised again where somebody can say so
            failed.append(error)

    thread = threading.Thread(target=ask, name=f"on call {schedule}", daemon=True)
    _asking[schedule] = thread
    thread.start()
    thread.join(TIME_LIMIT.total_seconds())
    if failed:
        raise failed[0]
    if not answer:
        raise TimeoutError(f"no answer within {TIME_LIMIT.total_seconds():.0f} s")
    return answer[0]
