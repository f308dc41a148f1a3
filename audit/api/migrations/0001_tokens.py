import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    initial = True

    dependencies = [("identity", "0003_personal")]

    operations = [
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("scopes", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(null=True)),
                ("last_used_on", models.DateField(null=True)),
                ("minute", models.DateTimeField(null=True)),
                ("uses", models.IntegerField(default=0)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="api_tokens",
                        to="identity.person",
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["-created_at", "-id"], name="api_token_by_age")]},
        ),
        GrantRights(
            "audit_api_apitoken",
            web="SELECT, INSERT, UPDATE (revoked_at, last_used_on, minute, uses)",
        ),
    ]
