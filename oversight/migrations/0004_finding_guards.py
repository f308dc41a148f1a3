"""A finding changes with its event, no event claims a version of one before it is so; an alert for anchors."""

from typing import ClassVar

from django.db import migrations, models

from audit.ledger.subjects import AttachSubject
from oversight.guards import FINDING_SQL, UNDO_SQL


class Migration(migrations.Migration):
    dependencies: ClassVar = [("oversight", "0003_one_outbox"), ("ledger", "0004_subjects")]
    operations: ClassVar = [
        migrations.RunSQL(FINDING_SQL, UNDO_SQL),
        AttachSubject("finding", "oversight_finding"),
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
                ],
                max_length=12,
            ),
        ),
    ]
