"""The alerts of the daily verification."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("oversight", "0012_nothing_came_of_it")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("overdue", "Access past its end"),
                    ("stuck", "Owed work that nobody does"),
                    ("quarantine", "Nothing is carried to AWS"),
                    ("drift", "Dangerous drift"),
                    ("ends_soon", "A credential ends soon"),
                    ("seal_lag", "The audit trail is not sealed"),
                    ("anchor_lag", "Seals are not anchored"),
                    ("breaker", "A cloud does not answer"),
                    ("out_of_reach", "A rule that lacks people"),
                    ("differs", "The audit trail isn't as it was sealed"),
                    ("unverified", "The audit trail is not verified"),
                ],
                max_length=12,
            ),
        ),
    ]
