"""Celery, the doorbell: it makes work happen soon. That it happens at all is Postgres's doing.

Settings follow measurements of what a killed worker, a killed pool child and a flushed Redis
lose: late acknowledgement, requeue of a lost child's task, short visibility timeout, no ETA,
no result backend.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessportal.settings")

app = Celery("accessportal")


def _configure() -> None:
    from django.conf import settings

    app.conf.update(
        broker_url=settings.REDIS_URL,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 120,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 1,
            "socket_timeout": 10,
        },
        task_publish_retry=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_store_eager_result=False,
        task_time_limit=60,
        task_soft_time_limit=50,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        task_serializer="json",
        accept_content=["json"],
        timezone="UTC",
        beat_schedule_filename=os.environ.get("CELERY_BEAT_SCHEDULE", "/tmp/access-portal-beat"),
        beat_schedule={
            "sweep": {"task": "requests_app.tasks.sweep", "schedule": settings.SWEEP_EVERY},
            "sync": {"task": "catalog.tasks.sync_due", "schedule": settings.SWEEP_EVERY * 3},
        },
    )


_configure()
app.autodiscover_tasks(["requests_app", "catalog"])
