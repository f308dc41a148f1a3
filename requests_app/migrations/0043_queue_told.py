"""Nobody goes before others in the queue for Entra without an event."""

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights
from requests_app import queue_told


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0042_proofs_compared")]
    operations: ClassVar = [
        migrations.RunSQL(queue_told.INSTALL, queue_told.REMOVE),
        GrantRights("requests_app_pathticket", sealer=f"SELECT ({queue_told.READS})"),
    ]
