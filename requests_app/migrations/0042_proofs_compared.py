"""How long a grant's sessions last grows with it only; the sealer reads that, and what sign-ins proved."""

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights
from requests_app.told import NO_SESSIONS, SESSIONS
from requests_app.unexplained import READS_OF_PROOFS


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0041_waivers_told")]
    operations: ClassVar = [
        migrations.RunSQL(SESSIONS, NO_SESSIONS),
        *(GrantRights(table, sealer=f"SELECT ({columns})") for table, columns in READS_OF_PROOFS.items()),
    ]
