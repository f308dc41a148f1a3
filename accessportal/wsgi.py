"""The web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "accessportal.settings")
application = get_wsgi_application()

from accessportal.checks import refuse_misconfiguration  # noqa: E402  # needs Django set up
from accessportal.recorded_settings import record_at_start  # noqa: E402

refuse_misconfiguration()
record_at_start()
