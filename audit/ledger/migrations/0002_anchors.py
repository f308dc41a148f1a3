"""Receipts of anchors: what each place outside the database was given, and what it answered."""

from typing import ClassVar

from django.db import migrations, models

from audit.ledger import sql
from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0001_ledger")]
    operations: ClassVar = [
        migrations.RunSQL(sql.ANCHORS, sql.DROP_ANCHORS),
        GrantRights(
            "audit_anchor",
            web="SELECT",
            worker="SELECT",
            sealer="SELECT, INSERT (place, batch, seal, receipt)",
        ),
        migrations.CreateModel(
            name="AnchorReceipt",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "place", "batch", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("place", models.TextField()),
                ("batch", models.BigIntegerField()),
                ("seal", models.BinaryField()),
                ("receipt", models.TextField()),
                ("at", models.DateTimeField()),
            ],
            options={"db_table": "audit_anchor", "managed": False},
        ),
    ]
