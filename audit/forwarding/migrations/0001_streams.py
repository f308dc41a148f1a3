from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    initial = True

    dependencies = [("ledger", "0003_words")]

    operations = [
        migrations.CreateModel(
            name="Stream",
            fields=[
                ("name", models.CharField(max_length=16, primary_key=True, serialize=False)),
                ("batch", models.BigIntegerField(default=0)),
                ("idx", models.IntegerField(default=-1)),
                ("sent", models.BigIntegerField(default=0)),
                ("acknowledged_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField()),
                ("failures", models.IntegerField(default=0)),
                ("retry_at", models.DateTimeField()),
                ("problem", models.TextField(blank=True)),
            ],
        ),
        GrantRights("forwarding_stream", web="SELECT", worker="SELECT, INSERT, UPDATE"),
    ]
