from typing import ClassVar

from django.db import migrations, models

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("requests_app", "0024_several_items")]

    operations: ClassVar = [
        migrations.AddField(model_name="requestitem", name="chase_at", field=models.DateTimeField(null=True)),
        migrations.AddField(
            model_name="requestitem",
            name="reminders",
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddIndex(
            model_name="requestitem",
            index=models.Index(
                condition=models.Q(("status", "pending")), fields=["chase_at"], name="item_pending_by_chase"
            ),
        ),
        # Only a worker chases: the page that takes a request gives it its first terms, and no others later.
        GrantRights("requests_app_requestitem", worker="UPDATE (chase_at, reminders, terms_id)"),
    ]
