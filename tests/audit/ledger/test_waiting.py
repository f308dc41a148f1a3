"""What waits for its seal: counted from the oldest, so that a sealer that is gone for long looks it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest

from audit.ledger import waiting
from audit.ledger.keys import make_key
from audit.ledger.models import Event, Leaf
from audit.ledger.sealing import seal_everything
from audit.ledger.waiting import Waiting, waiting_for_seal
from base.clock import real_now
from tests.audit.ledger.factories import note

pytestmark = pytest.mark.django_db
type AsRole = Callable[[str], AbstractContextManager[None]]


def test_all_that_waits_is_counted_and_the_oldest_is_what_lags(
    tmp_path: Path, as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert waiting_for_seal(real_now()) == Waiting(0, timedelta(0), None)
    events = [note(str(number)) for number in range(3)]
    with as_role("portal_sealer"):
        seal_everything(make_key(tmp_path / "key"))
    assert waiting_for_seal(real_now()).number == 0

    events = [note(str(number)) for number in range(5)]
    oldest = Event.objects.get(id=events[0])
    later = oldest.at + timedelta(days=3)
    with as_role("portal_web"):
        assert waiting_for_seal(later) == Waiting(5, timedelta(days=3), oldest.business_at)
        monkeypatch.setattr(waiting, "MOST_WAITING", 2)
        assert waiting_for_seal(later) == Waiting(3, timedelta(days=3), oldest.business_at)


def test_what_was_committed_late_waits_among_what_is_sealed(as_role: AsRole) -> None:
    late, sealed = (Event.objects.get(id=note(text)) for text in ("late", "sealed"))
    with as_role("portal_sealer"):
        Leaf.objects.create(event_id=sealed.id, at=sealed.at, batch=1, idx=0, leaf=bytes(32))
    assert waiting_for_seal(sealed.at) == Waiting(1, sealed.at - late.at, late.business_at)


def test_a_sealed_event_of_a_time_that_isnt_yet_hides_nothing_that_waits(as_role: AsRole) -> None:
    ahead, waits = (Event.objects.get(id=note(text)) for text in ("ahead", "waits"))
    with as_role("portal_sealer"):
        Leaf.objects.create(
            event_id=ahead.id, at=ahead.at + timedelta(days=3), batch=1, idx=0, leaf=bytes(32)
        )
    assert waiting_for_seal(waits.at + timedelta(hours=1)) == Waiting(
        1, timedelta(hours=1), waits.business_at
    )


def test_what_is_sealed_never_waits_however_late_the_newest_seals_are(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, sealed = (Event.objects.get(id=note(text)) for text in ("late", "sealed"))
    with as_role("portal_sealer"):
        for batch, event in enumerate((sealed, late), start=1):
            Leaf.objects.create(event_id=event.id, at=event.at, batch=batch, idx=0, leaf=bytes(32))
    monkeypatch.setattr(waiting, "_MOST_LATE", 1)
    assert waiting_for_seal(sealed.at).number == 0
