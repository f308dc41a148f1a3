"""A review is by the owners of the PIM groups in Entra, or by whoever decides on requests for them."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights
from reviews.guards import CHOICE_SQL, NO_CHOICE_SQL
from reviews.unexplained import READS_CHOICE


class Migration(migrations.Migration):
    dependencies: ClassVar = [("reviews", "0005_began_with"), ("catalog", "0007_owners")]
    operations: ClassVar = [
        migrations.AddField(
            "campaign",
            "reviewed_by",
            models.CharField(
                choices=[
                    (
                        "owners",
                        "Owners in Entra, or else whoever decides on requests",
                    ),
                    ("deciders", "Whoever decides on requests"),
                ],
                db_default="deciders",
                default="deciders",
                max_length=8,
            ),
        ),
        migrations.AddField("reviewer", "as_owner", models.BooleanField(db_default=False, default=False)),
        migrations.CreateModel(
            name="Unowned",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "why",
                    models.CharField(
                        choices=[
                            ("unread", "who owns it was not read from Entra in the last 24 hours"),
                            ("nobody", "Entra names no owner"),
                            ("unable", "its owners in Entra are disabled or guests"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="unowned",
                        to="reviews.campaign",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="catalog.pimgroup"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("campaign", "group"), name="unowned_once"),
                ],
            },
        ),
        migrations.RunSQL(CHOICE_SQL, NO_CHOICE_SQL),
        GrantRights(
            "reviews_unowned", web="SELECT, INSERT", sealer=f"SELECT ({READS_CHOICE['reviews_unowned']})"
        ),
        GrantRights("reviews_campaign", sealer=f"SELECT ({READS_CHOICE['reviews_campaign']})"),
    ]
