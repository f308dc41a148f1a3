"""Who is on call: read with a time limit, kept with its age, as of the moment of the ask; nobody where it isn't known."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from base.clock import replace_real_clock
from clients.on_call import from_document
from clients.registry import using
from identity.models import Person
from policy import on_call
from policy.models import OnCallShift
from policy.on_call import BELIEVED_FOR, known_on_call, on_call_at, read_on_call
from policy.scope import OnCall
from tests.requests_app import factories as make
from tests.support.fake_clouds import FakeClouds, a_user, guid

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ANSWERS: dict[str, Sequence[str] | Exception | Callable[[], Sequence[str]]] = {}
THIS = f"{__name__}.answer"


def answer(schedule: str) -> Sequence[str]:
    """The installation's own source."""
    found = ANSWERS[schedule]
    if isinstance(found, Exception):
        raise found
    return found() if callable(found) else found


@pytest.fixture
def step(settings: Settings) -> Iterator[Callable[[timedelta], datetime]]:
    """One rule names the schedule; the clock stands at noon until a test moves it on."""
    settings.ON_CALL_SOURCE, now = THIS, NOON
    ANSWERS.clear()

    def move(span: timedelta) -> datetime:
        nonlocal now
        now += span
        return now

    replace_real_clock(lambda: now)
    make.rule(stages=[{"on_call": "payments"}])
    yield move
    replace_real_clock(None)


def known(at: datetime) -> OnCall:
    return on_call_at(known_on_call(["payments"], [at]), ["payments"], at)["payments"]


def test_who_was_on_call_at_the_ask_stays_so_and_what_is_old_is_nobody(
    step: Callable[[timedelta], datetime],
) -> None:
    oli, ona = make.person("Oli Oncall"), make.person("Ona Oncall")
    assert "was not read" in known(NOON).problem
    ANSWERS["payments"] = [oli.user_principal_name.upper()]
    assert read_on_call() == 1
    step(timedelta(minutes=1))
    read_on_call()
    assert OnCallShift.objects.count() == 1, "the same people are one row"
    assert known(NOON).people == {oli.object_id}
    ANSWERS["payments"] = [ona.object_id]
    changed = step(timedelta(minutes=1))
    read_on_call()
    assert known(changed).people == {ona.object_id}
    assert known(NOON).people == {oli.object_id}, "who asked at noon asked Oli"
    late = step(BELIEVED_FOR + timedelta(minutes=1))
    assert known(late) == OnCall(problem="who is on call for payments was not read in the last 10 minutes")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([], "nobody is on call for payments"),
        (["nobody.known@example.com"], "not known to the portal"),
        (OSError("secret place"), "could not be read (OSError)"),
        ("oli", "something else than names"),
    ],
)
def test_where_nobody_is_known_it_says_why(
    step: Callable[[timedelta], datetime], said: Sequence[str] | Exception, words: str
) -> None:
    ANSWERS["payments"] = said
    read_on_call()
    found = known(NOON)
    assert not found.people
    assert words in found.problem
    assert "secret" not in found.problem


def test_a_source_that_hangs_is_left_and_not_asked_twice(
    step: Callable[[timedelta], datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    free, asked = threading.Event(), []

    def hang() -> Sequence[str]:
        asked.append(1)
        free.wait(10)
        return []

    monkeypatch.setattr(on_call, "TIME_LIMIT", timedelta(milliseconds=20))
    ANSWERS["payments"] = hang
    read_on_call()
    assert "no answer within" in known(NOON).problem
    step(timedelta(seconds=30))
    read_on_call()
    assert asked == [1]
    free.set()
    on_call._asking.pop("payments").join()


def test_without_a_source_nobody_is_on_call(
    step: Callable[[timedelta], datetime], settings: Settings
) -> None:
    settings.ON_CALL_SOURCE = ""
    read_on_call()
    assert "ON_CALL_SOURCE" in known(NOON).problem


def test_somebody_whom_the_portal_has_not_met_is_read(step: Callable[[timedelta], datetime]) -> None:
    stranger = guid(77)
    ANSWERS["payments"] = [stranger.upper()]
    with using(FakeClouds(users={stranger: a_user(77, "Sam Stranger")}).clients()):
        read_on_call()
    assert known(NOON).people == {stranger}
    assert Person.objects.get(object_id=stranger).enabled


def test_the_document_that_comes_with_the_portal(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "on-call.json"
    settings.ON_CALL_DOCUMENT = str(place)
    place.write_text(json.dumps({"payments": ["oli@example.com"], "broken": "oli"}))
    assert from_document("payments") == ["oli@example.com"]
    for schedule in ("broken", "unknown"):
        with pytest.raises(ValueError, match="no list of names"):
            from_document(schedule)
    settings.ON_CALL_DOCUMENT = "http://127.0.0.1/on-call.json"
    with pytest.raises(ValueError, match="Only an HTTPS address"):
        from_document("payments")
