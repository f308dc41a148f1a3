from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A migration of its own: PostgreSQL alters no table that has just been written in the same transaction."""

    dependencies: ClassVar = [("requests_app", "0021_terms")]

    operations: ClassVar = [
        migrations.AlterField(
            model_name="requestitem",
            name="terms",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="request_items",
                to="policy.terms",
            ),
        ),
        migrations.RemoveField(model_name="requestitem", name="rule_version"),
    ]
