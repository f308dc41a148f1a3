"""Celery, the doorbell: how it is told what to do and how often. The row in Postgres is the job (docs/adr/)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kombu import Queue

from accessportal.environment import env
from accessportal.product_settings import ACTIVITY_CHECK_EVERY, FORWARD_EVERY, SWEEP_EVERY

REDIS_URL = env.str("REDIS_URL", "redis://127.0.0.1:6379/0")

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A task that a killed worker held comes back within about two minutes; no task may live that long that is acknowledged
# only after its work.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 120,
    # Queues are asked in the order in which they stand in CELERY_TASK_QUEUES.
    "queue_order_strategy": "priority",
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
    "socket_connect_timeout": 1,
    "socket_timeout": 10,
}
CELERY_TASK_TIME_LIMIT = 60
CELERY_TASK_SOFT_TIME_LIMIT = 50
# Acknowledged after the work, and requeued when a pool child is killed; actions are idempotent.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
# A lost ring costs one sweep; a page must not wait for a broker that is down.
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
# Reading the catalogue may take minutes; somebody's approval must not wait behind it.
CELERY_TASK_DEFAULT_QUEUE = "access"
CELERY_TASK_QUEUES = [Queue("access"), Queue("catalogue")]
CELERY_TASK_ROUTES = {
    task: {"queue": "catalogue"}
    for task in (
        "audit.exporting.tasks.*",
        "audit.forwarding.tasks.*",
        "audit.ledger.tasks.*",
        "catalog.tasks.*",
        "notifications.tasks.*",
        "oversight.tasks.*",
        "requests_app.tasks.read_activity",
    )
}


def _every(task: str, period: timedelta) -> dict[str, Any]:
    # What waited longer than two periods is dropped unrun: the next one does the same (docs/adr/0032).
    return {"task": task, "schedule": period, "options": {"expires": 2 * period.total_seconds()}}


CELERY_BEAT_SCHEDULE = {
    "sweep": _every("requests_app.tasks.sweep", SWEEP_EVERY),
    "queue": _every("requests_app.tasks.call_up", timedelta(seconds=1)),
    "sync": _every("catalog.tasks.sync_due", timedelta(seconds=15)),
    "on_call": _every("policy.tasks.read_on_call", timedelta(seconds=60)),
    "watch": _every("oversight.tasks.watch", timedelta(seconds=15)),
    "activity": _every("requests_app.tasks.read_activity", ACTIVITY_CHECK_EVERY),
    "rules": _every("oversight.tasks.rules", timedelta(seconds=5)),
    "tell": _every("notifications.tasks.tell", timedelta(seconds=5)),
    "forward": _every("audit.forwarding.tasks.forward", FORWARD_EVERY),
    "sessions": _every("identity.tasks.clear_expired_sessions", timedelta(hours=1)),
    "exports": _every("audit.exporting.tasks.forget_exports", timedelta(hours=1)),
    "erasure": _every("audit.ledger.tasks.erase_words", timedelta(hours=1)),
    "verification": _every("audit.ledger.tasks.verify", timedelta(minutes=1)),
}
