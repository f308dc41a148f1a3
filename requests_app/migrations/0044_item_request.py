"""Which requests open an account is found without the rows of their items, which lie all over the table."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0043_queue_told")]
    operations: ClassVar = [
        migrations.AddIndex(
            "requestitem", models.Index(fields=["id"], include=["request"], name="item_request")
        ),
    ]
