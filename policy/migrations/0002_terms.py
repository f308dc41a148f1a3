from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights
from policy import guards


class Migration(migrations.Migration):
    dependencies: ClassVar = [("policy", "0001_initial")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Terms",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("demands", models.JSONField()),
                ("judged_by", models.JSONField()),
                ("document_hash", models.CharField(max_length=64, unique=True)),
            ],
        ),
        # The page that takes a request writes its terms; the worker holds them against the rules.
        GrantRights("policy_terms", web="SELECT, INSERT", worker="SELECT, INSERT"),
        migrations.RunSQL(guards.INSTALL_TERMS, guards.REMOVE_TERMS),
    ]
