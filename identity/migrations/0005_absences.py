"""Who is away, and who decides meanwhile; accounts of one human are compared without regard to spelling."""

from __future__ import annotations

import uuid
from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Lower, Trim

from base.migration_operations import GrantRights
from identity.absences.guards import ABSENCE_SQL, UNDO_SQL


class Migration(migrations.Migration):
    dependencies: ClassVar = [("identity", "0004_shortcuts"), ("ledger", "0001_ledger")]

    operations: ClassVar = [
        migrations.CreateModel(
            name="Absence",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("version", models.IntegerField(default=1)),
                ("begins_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("declared_at", models.DateTimeField()),
                ("withdrawn_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddIndex(
            model_name="person",
            index=models.Index(
                Lower(Trim("employee_id")),
                name="person_by_mark",
            ),
        ),
        migrations.AddField(
            model_name="absence",
            name="declared_by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="identity.person"
            ),
        ),
        migrations.AddField(
            model_name="absence",
            name="delegate",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="delegations",
                to="identity.person",
            ),
        ),
        migrations.AddField(
            model_name="absence",
            name="person",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="absences", to="identity.person"
            ),
        ),
        migrations.AddField(
            model_name="absence",
            name="withdrawn_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="identity.person"
            ),
        ),
        migrations.AddIndex(
            model_name="absence",
            index=models.Index(fields=["person", "-ends_at"], name="absence_by_person"),
        ),
        migrations.AddIndex(
            model_name="absence",
            index=models.Index(fields=["delegate", "-ends_at"], name="absence_by_delegate"),
        ),
        migrations.AddIndex(
            model_name="absence",
            index=models.Index(
                condition=models.Q(("withdrawn_at", None)), fields=["ends_at"], name="absence_standing"
            ),
        ),
        migrations.AddConstraint(
            model_name="absence",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("begins_at__gte", models.F("declared_at")), ("ends_at__gt", models.F("begins_at"))
                ),
                name="absence_in_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="absence",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("delegate", None),
                    models.Q(("delegate", models.F("person")), _negated=True),
                    _connector="OR",
                ),
                name="absence_delegate_is_another",
            ),
        ),
        migrations.AddConstraint(
            model_name="absence",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("version", 1), ("withdrawn_at__isnull", True), ("withdrawn_by__isnull", True)),
                    models.Q(
                        ("version", 2), ("withdrawn_at__isnull", False), ("withdrawn_by__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="absence_withdrawn_as_a_whole",
            ),
        ),
        GrantRights(
            "identity_absence",
            web="SELECT, INSERT, UPDATE (version, withdrawn_at, withdrawn_by_id)",
            worker="SELECT",
        ),
        migrations.RunSQL(ABSENCE_SQL, UNDO_SQL),
    ]
