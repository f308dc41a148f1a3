"""`make chaos`: the whole portal under people, kills, failing clouds and database restarts; then the history is checked.

Importing this configures Django, unless it is, as a worker process whose database is set later.
"""

import os

import django

_VALUES = {
    "DJANGO_SETTINGS_MODULE": "accessportal.settings",
    "PORTAL_PROCESS": "worker",
    "PORTAL_MODE": "test",
    "DATABASE_HOST": "127.0.0.1",
    "DATABASE_PORT": "1",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "LOG_LEVEL": "ERROR",
}
for _name, _value in _VALUES.items():
    os.environ.setdefault(_name, _value)
django.setup()
