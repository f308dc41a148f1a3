"""Calls as a person where PIM wants an approval of its own: an approver's word passed on, an activation withdrawn."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

KINDS = [
    ("read_entra", "Read PIM"),
    ("assign", "Assign in PIM"),
    ("extend", "Move the end in PIM"),
    ("remove", "Remove in PIM"),
    ("on_demand", "Provision on demand"),
    ("read_aws", "Read IAM Identity Center"),
    ("read_job", "Read the provisioning job"),
    ("take_out", "Remove in IAM Identity Center"),
    ("pass_on", "Pass an approval on to PIM"),
    ("withdraw", "Withdraw from PIM"),
]


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0012_wanted_sign_in")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="attempt", name="kind", field=models.CharField(choices=KINDS, max_length=12)
        ),
    ]
