"""What beat rings for is there to be rung for."""

from __future__ import annotations

from django.conf import settings

from accessportal.celery import app


def test_every_scheduled_task_exists() -> None:
    app.loader.import_default_modules()
    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert "identity.tasks.clear_expired_sessions" in scheduled
    assert scheduled <= set(app.tasks)


def test_what_beat_rings_for_goes_stale_after_two_periods() -> None:
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["options"] == {"expires": 2 * entry["schedule"].total_seconds()}
