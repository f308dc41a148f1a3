"""What each process may do to each table, and the life cycle's triggers.

Column rights carry promises: no role may move a grant's window, change who asked for what, or
rewrite a decision.
"""

from django.db import migrations

from base.migration_operations import GrantRights
from requests_app.guards import InstallGuards

WORK = (
    "status, version, revision, assigned_at, arrived_at, removal_started_at, out_of_entra_at, out_of_aws_at, "
    "last_possible_use_at, ended_at, end_reason, pim_request_id, pim_schedule_id, problem_code, problem, "
    "next_action_at, retry_at, lease_until, lease_token, failures, unknown_writes, last_write_at"
)


class Migration(migrations.Migration):
    dependencies = [
        ("requests_app", "0001_initial"),
        ("ledger", "0001_ledger"),
    ]

    operations = [
        GrantRights("requests_app_accessrequest", web="SELECT, INSERT", worker="SELECT"),
        GrantRights(
            "requests_app_requestitem",
            web="SELECT, INSERT, UPDATE (status, version, decided_at)",
            worker="SELECT, UPDATE (status, version, decided_at, stage)",
        ),
        GrantRights("requests_app_requestscope", web="SELECT, INSERT", worker="SELECT"),
        GrantRights(
            "requests_app_decision",
            web="SELECT, INSERT",
            worker="SELECT, UPDATE (status, version, reason, settled_at, retry_at, lease_until, failures)",
        ),
        GrantRights(
            "requests_app_grant",
            web="SELECT, UPDATE (status, version, end_reason, removal_started_at, ended_at, next_action_at, retry_at)",
            worker=f"SELECT, INSERT, UPDATE ({WORK})",
        ),
        GrantRights("requests_app_grantinterval", web="SELECT", worker="SELECT, INSERT"),
        GrantRights("requests_app_attempt", web="SELECT", worker="SELECT, INSERT, UPDATE, DELETE"),
        InstallGuards("58e76ed0fb1f"),
    ]
