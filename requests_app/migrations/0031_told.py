"""An event that tells of a step is the step's own: an approval isn't recorded as anything else."""

from typing import ClassVar

from django.db import migrations

from requests_app.guards import InstallGuards


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0030_proofs"), ("ledger", "0004_subjects")]
    operations: ClassVar = [InstallGuards("3c0fcf660114")]
