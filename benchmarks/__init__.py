"""Measurements of what grows: `python -m benchmarks [name ...]`. README.md says how to read them.

Importing this configures Django, unless it is, so that every module here may import models.
"""

import os

import django

# Nothing listens at these addresses: each measurement points Django at a database of its own.
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
