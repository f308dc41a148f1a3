from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("forwarding", "0001_streams")]

    operations = [
        migrations.AddField("stream", "missing", models.BigIntegerField(db_default=0)),
    ]
