"""An export and whoever watches it are in different processes: each sees the other's word while the export runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.exporting import running, streaming
from audit.exporting.models import Export
from audit.exporting.running import Cancelled, cancel
from audit.exporting.streaming import stream
from audit.ledger.models import Event
from audit.ledger.reading import EventFilter
from audit.ledger.recorder import Actor
from tests.audit.ledger.factories import ADA, note
from tests.races.scene import acting_as, at_once
from tests.requests_app import factories as make
from tests.requests_app.conftest import AsRole

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_running_export_is_watched_and_cancelled_from_another_connection(
    as_role: AsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PAGE", 3)
    monkeypatch.setattr(running, "LOOK_EVERY", 0.0)
    oid = make.oid()
    for number in range(7):
        note(f"number {number}", actor=Actor.person(oid, "Ada"))

    def elsewhere(act: Callable[[], object]) -> object:
        (found,) = at_once(acting_as(as_role, "portal_web", act))
        return found

    with as_role("portal_web"):
        chunks = stream("jsonl", EventFilter(people=(oid,)), query="", actor=ADA)
        sent = [next(chunks), next(chunks)]
        export = Export.objects.get()
        assert elsewhere(lambda: Export.objects.values_list("rows", "ended_at").get()) == (3, None)
        assert elsewhere(lambda: cancel(export_id=export.pk, owner_oid=ADA.object_id)) is None
        with pytest.raises(Cancelled):
            next(chunks)
        assert elsewhere(lambda: Export.objects.values_list("rows", "how").get()) == (6, "cancelled")
    assert len(b"".join(sent).splitlines()) == 6
    assert elsewhere(lambda: Event.objects.filter(type="export.cancelled").count()) == 1
