"""The ledger's tables, guards and rights. What the tables look like stands in `audit.ledger.sql`."""

from typing import ClassVar

from django.db import migrations, models

from audit.ledger import sql
from base.migration_operations import GrantRights

# Web and worker may add an event's text and nothing else: id, time and every derived column are Postgres's.
_WRITE_EVENT = "SELECT, INSERT (canon)"
_WRITE_WORDS = "SELECT, INSERT"
_SEAL = "SELECT, INSERT"


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.RunSQL(sql.CREATE, sql.DROP),
        GrantRights("audit_event", web=_WRITE_EVENT, worker=_WRITE_EVENT, sealer="SELECT"),
        GrantRights("audit_version", web="SELECT", worker="SELECT", sealer="SELECT"),
        GrantRights("audit_pii", web=_WRITE_WORDS, worker=_WRITE_WORDS),
        GrantRights("audit_leaf", web="SELECT", worker="SELECT", sealer=_SEAL),
        GrantRights("audit_seal", web="SELECT", worker="SELECT", sealer=_SEAL),
        migrations.CreateModel(
            name="Event",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("business_at", models.DateTimeField()),
                ("type", models.TextField()),
                (
                    "outcome",
                    models.TextField(
                        choices=[("done", "Done"), ("refused", "Refused"), ("failed", "Failed")]
                    ),
                ),
                (
                    "actor_kind",
                    models.TextField(
                        choices=[
                            ("person", "Person"),
                            ("worker", "Worker"),
                            ("system", "System"),
                            ("anonymous", "Nobody signed in"),
                        ]
                    ),
                ),
                ("actor_oid", models.TextField()),
                ("about_oid", models.TextField()),
                ("group_oid", models.TextField()),
                ("request_id", models.UUIDField(null=True)),
                ("grant_id", models.UUIDField(null=True)),
                ("ip", models.TextField()),
                ("session", models.TextField()),
                ("canon", models.TextField()),
                ("data", models.JSONField()),
            ],
            options={"db_table": "audit_event", "managed": False},
        ),
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("event_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("batch", models.BigIntegerField()),
                ("idx", models.IntegerField()),
                ("leaf", models.BinaryField()),
            ],
            options={"db_table": "audit_leaf", "managed": False},
        ),
        migrations.CreateModel(
            name="PersonalWords",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "event_id", "field", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("event_id", models.BigIntegerField()),
                ("field", models.TextField()),
                ("salt", models.BinaryField()),
                ("words", models.TextField()),
            ],
            options={"db_table": "audit_pii", "managed": False},
        ),
        migrations.CreateModel(
            name="Seal",
            fields=[
                ("batch", models.BigIntegerField(primary_key=True, serialize=False)),
                ("n", models.IntegerField()),
                ("root", models.BinaryField()),
                ("prev_seal", models.BinaryField()),
                ("seal", models.BinaryField()),
                ("key_id", models.TextField()),
                ("signature", models.BinaryField()),
                ("at", models.DateTimeField()),
            ],
            options={"db_table": "audit_seal", "ordering": ["batch"], "managed": False},
        ),
        migrations.CreateModel(
            name="Version",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "subject_kind",
                        "subject_id",
                        "version",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("subject_kind", models.TextField()),
                ("subject_id", models.UUIDField()),
                ("version", models.IntegerField()),
                ("event_id", models.BigIntegerField(unique=True)),
            ],
            options={"db_table": "audit_version", "managed": False},
        ),
    ]
