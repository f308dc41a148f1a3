from datetime import timedelta
from typing import ClassVar

import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

from base.migration_operations import GrantRights

_SYNC = "SELECT, INSERT, UPDATE, DELETE"


class Migration(migrations.Migration):
    initial = True

    dependencies: ClassVar = [
        ("identity", "0001_initial"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="ProvisioningState",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("job_id", models.CharField(max_length=128, unique=True)),
                ("code", models.CharField(max_length=16)),
                ("interval", models.DurationField(null=True)),
                ("last_cycle_id", models.CharField(blank=True, max_length=64)),
                ("last_cycle_began_at", models.DateTimeField(null=True)),
                ("last_cycle_ended_at", models.DateTimeField(null=True)),
                ("last_cycle_completed", models.BooleanField(default=False)),
                ("quarantine_reason", models.CharField(blank=True, max_length=64)),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("observed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="OrganizationalUnit",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("unit_id", models.CharField(max_length=68, unique=True)),
                ("name", models.CharField(max_length=128)),
                ("path", models.CharField(blank=True, max_length=1024)),
                ("present", models.BooleanField(default=True)),
                (
                    "parent",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="children",
                        to="catalog.organizationalunit",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AwsAccount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("account_id", models.CharField(max_length=12, unique=True)),
                ("name", models.CharField(max_length=128)),
                ("email", models.CharField(blank=True, max_length=320)),
                ("state", models.CharField(max_length=24)),
                ("tags", models.JSONField(default=dict)),
                ("tags_read_at", models.DateTimeField(null=True)),
                ("present", models.BooleanField(default=True)),
                (
                    "unit",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="accounts",
                        to="catalog.organizationalunit",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PermissionSet",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("arn", models.CharField(max_length=128, unique=True)),
                ("name", models.CharField(max_length=32)),
                ("description", models.CharField(blank=True, max_length=700)),
                ("session_duration", models.DurationField(default=timedelta(seconds=3600))),
                ("relay_state", models.CharField(blank=True, max_length=240)),
                ("managed_policies", models.JSONField(default=list)),
                ("customer_managed_policies", models.JSONField(default=list)),
                ("inline_policy", models.TextField(blank=True)),
                ("permissions_boundary", models.CharField(blank=True, max_length=512)),
                ("tags", models.JSONField(default=dict)),
                ("summary", models.TextField(blank=True)),
                ("content_hash", models.CharField(blank=True, max_length=64)),
                ("present", models.BooleanField(default=True)),
            ],
            options={
                "indexes": [models.Index(fields=["name"], name="permission_set_by_name")],
            },
        ),
        migrations.CreateModel(
            name="PersonRefresh",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("read_at", models.DateTimeField(null=True)),
                ("wanted_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("error", models.TextField(blank=True)),
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="refresh",
                        to="identity.person",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PimGroup",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("object_id", models.CharField(max_length=36, unique=True)),
                ("display_name", models.CharField(max_length=256)),
                ("description", models.TextField(blank=True)),
                ("store_group_id", models.CharField(blank=True, max_length=47)),
                ("join_problem", models.TextField(blank=True)),
                ("managed", models.BooleanField(default=False)),
                ("security_enabled", models.BooleanField(default=True)),
                ("role_assignable", models.BooleanField(default=False)),
                ("synced_from_on_premises", models.BooleanField(default=False)),
                ("dynamic", models.BooleanField(default=False)),
                ("assigned_to_application", models.BooleanField(default=False)),
                ("present", models.BooleanField(default=True)),
                ("policy_read_at", models.DateTimeField(null=True)),
                ("policy_problem", models.TextField(blank=True)),
                ("activation_maximum", models.DurationField(null=True)),
                ("requires_justification", models.BooleanField(default=True)),
                ("requires_mfa", models.BooleanField(default=False)),
                ("requires_ticket", models.BooleanField(default=False)),
                ("requires_approval", models.BooleanField(default=False)),
                ("authentication_context", models.CharField(blank=True, max_length=8)),
                ("assignment_maximum", models.DurationField(null=True)),
                ("account_count", models.IntegerField(default=0)),
                ("permission_set_count", models.IntegerField(default=0)),
                ("longest_session", models.DurationField(null=True)),
                ("preview", models.JSONField(default=dict)),
                ("scope_hash", models.CharField(blank=True, max_length=64)),
                ("search", django.contrib.postgres.search.SearchVectorField(null=True)),
                ("synced_at", models.DateTimeField(null=True)),
                ("eligibilities_read_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["display_name", "id"], name="pim_group_by_name"),
                    django.contrib.postgres.indexes.GinIndex(fields=["search"], name="pim_group_search"),
                ],
            },
        ),
        migrations.CreateModel(
            name="GroupEligibility",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("instance_id", models.CharField(max_length=128)),
                ("starts_at", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField(null=True)),
                (
                    "directory_group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="identity.directorygroup",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="group_eligibilities",
                        to="catalog.pimgroup",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Eligibility",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("instance_id", models.CharField(max_length=128)),
                ("starts_at", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField(null=True)),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="eligibilities",
                        to="identity.person",
                    ),
                ),
                (
                    "through",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="identity.directorygroup",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="eligibilities",
                        to="catalog.pimgroup",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AccountAssignment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="account_assignments",
                        to="catalog.awsaccount",
                    ),
                ),
                (
                    "permission_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="account_assignments",
                        to="catalog.permissionset",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="account_assignments",
                        to="catalog.pimgroup",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SyncRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "part",
                    models.CharField(
                        choices=[
                            ("organization", "AWS accounts and organisational units"),
                            ("permission_sets", "Permission sets"),
                            ("groups", "PIM groups, policies and what they open"),
                            ("eligibilities", "Eligibilities"),
                            ("directory", "People and approver groups"),
                            ("provisioning", "Provisioning job"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("running", "Running"), ("succeeded", "Succeeded"), ("failed", "Failed")],
                        default="running",
                        max_length=10,
                    ),
                ),
                ("cursor", models.JSONField(default=dict)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("calls", models.IntegerField(default=0)),
                ("changes", models.JSONField(default=dict)),
                ("error", models.TextField(blank=True)),
            ],
            options={
                "indexes": [models.Index(fields=["part", "-started_at"], name="sync_run_latest")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "running")),
                        fields=("part",),
                        name="sync_run_one_at_a_time",
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="awsaccount",
            index=models.Index(fields=["name"], name="account_by_name"),
        ),
        migrations.AddConstraint(
            model_name="groupeligibility",
            constraint=models.UniqueConstraint(
                fields=("group", "instance_id"), name="group_eligibility_once_per_instance"
            ),
        ),
        migrations.AddIndex(
            model_name="eligibility",
            index=models.Index(fields=["person", "group"], name="eligibility_by_person"),
        ),
        migrations.AddConstraint(
            model_name="eligibility",
            constraint=models.UniqueConstraint(
                fields=("person", "group", "instance_id"), name="eligibility_once_per_instance"
            ),
        ),
        migrations.AddConstraint(
            model_name="accountassignment",
            constraint=models.UniqueConstraint(
                fields=("group", "account", "permission_set"), name="account_assignment_once"
            ),
        ),
        GrantRights("catalog_organizationalunit", web="SELECT", worker=_SYNC),
        GrantRights("catalog_awsaccount", web="SELECT", worker=_SYNC),
        GrantRights("catalog_permissionset", web="SELECT", worker=_SYNC),
        GrantRights("catalog_pimgroup", web="SELECT", worker=_SYNC),
        GrantRights("catalog_accountassignment", web="SELECT", worker=_SYNC),
        GrantRights("catalog_eligibility", web="SELECT", worker=_SYNC),
        GrantRights("catalog_groupeligibility", web="SELECT", worker=_SYNC),
        GrantRights("catalog_provisioningstate", web="SELECT", worker=_SYNC),
        GrantRights("catalog_syncrun", web="SELECT", worker=_SYNC),
        # A page that is opened asks for a fresh look at one person; nothing else is written by the web.
        GrantRights("catalog_personrefresh", web="SELECT, INSERT, UPDATE", worker=_SYNC),
    ]
