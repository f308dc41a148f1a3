"""Celery, the doorbell: it makes work happen soon. That it happens at all is Postgres's doing.

Its settings are in `accessportal.celery_settings`.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, task_postrun, worker_init, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessportal.settings")

app = Celery("accessportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def _configured(**_: Any) -> None:
    """A process with a wrong configuration doesn't start."""
    import django

    django.setup()
    from accessportal.checks import refuse_misconfiguration

    refuse_misconfiguration()
    from accessportal.recorded_settings import record_at_start

    record_at_start()


@worker_init.connect
def _load_sdks(**_: Any) -> None:
    """Import the SDKs before the pool forks: children share the memory, and the first call doesn't wait for it."""
    from importlib import import_module

    for adapter in ("clients.entra.build", "clients.aws.build"):
        import_module(adapter)


@worker_process_init.connect
def _fresh_clients(**_: Any) -> None:
    """A pool child builds its own adapters: event loops and connections don't survive a fork."""
    from clients.registry import forget

    forget()


@task_postrun.connect
def _alive(sender: Any = None, **_: Any) -> None:
    """After each task the worker says that it, and the task, ran."""
    from oversight.heartbeats import ran

    ran(sender.name, str(sender.request.hostname or "unnamed"))
    from accessportal.recorded_settings import record_if_owed, tell_for_sealer

    record_if_owed()  # where the database was away when the worker started
    tell_for_sealer()
