"""Whoever verifies the trail as the sealer reads the rules, to hold them to their events."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from base.migration_operations import GrantRights


class Migration(migrations.Migration):
    dependencies: ClassVar = [("policy", "0003_on_call")]

    operations: ClassVar = [
        GrantRights("policy_rule", sealer="SELECT"),
        GrantRights("policy_ruleversion", sealer="SELECT"),
    ]
