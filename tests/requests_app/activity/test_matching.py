"""An event is somebody's, with what was granted, exactly or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clients.types import TrailEvent
from requests_app.activity.matching import Holder, Used, session_use, sign_in_use

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNT, OTHER = "222233334444", "333344445555"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef"
HOLDER = Holder({"user-1"}, ["bob"], {ACCOUNT: frozenset({"Admin"})}, NOON, NOON + timedelta(hours=3))
ACTED = TrailEvent(
    event_id="1",
    at=NOON + timedelta(hours=1),
    source="ec2.amazonaws.com",
    name="StopInstances",
    account_id=ACCOUNT,
    identity_type="AssumedRole",
    principal_id="AROAEXAMPLE:bob",
    role_arn=ROLE,
    session_started_at=NOON + timedelta(minutes=30),
)
OPENED = TrailEvent(
    event_id="2",
    at=NOON + timedelta(minutes=30),
    source="sso.amazonaws.com",
    name="Federate",
    account_id="111122223333",
    identity_type="IdentityCenterUser",
    store_user_id="user-1",
    opened_account_id=ACCOUNT,
    opened_permission_set="Admin",
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"store_user_id": "user-1", "principal_id": "AROAEXAMPLE:renamed"},
        {"role_arn": ROLE.replace("/eu-west-1/", "/")},
        {"role_arn": ROLE.replace("arn:aws:", "arn:aws-us-gov:")},
        {"session_started_at": NOON},
        {"session_started_at": None},
        {"at": NOON + timedelta(hours=20)},  # a session outlives the access
    ],
)
def test_an_event_of_the_holders_session(changes: dict[str, Any]) -> None:
    assert session_use(replace(ACTED, **changes), HOLDER) == Used(ACCOUNT, "Admin")


@pytest.mark.parametrize(
    "changes",
    [
        {"principal_id": "AROAEXAMPLE:bobby"},
        {"principal_id": "AROAEXAMPLE:jim-bob"},
        {"principal_id": "AROAEXAMPLE:Bob"},
        {"principal_id": "bob"} | {"store_user_id": "user-2"},
        {"store_user_id": "user-2"},  # a name that somebody else has by now
        {"role_arn": ROLE.replace("_Admin_", "_ReadOnlyAdmin_")},
        {"role_arn": ROLE.replace("_Admin_", "_Admin_Reports_")},
        {"role_arn": ROLE.replace("_Admin_", "_admin_")},
        {"role_arn": ROLE + "0"},
        {"role_arn": f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_Admin_0123456789abcdef"},  # anybody's own
        {"role_arn": ROLE.replace(ACCOUNT, OTHER)},
        {"role_arn": ROLE.replace(ACCOUNT, OTHER), "account_id": OTHER},
        {"identity_type": "IAMUser"},
        {"session_started_at": NOON - timedelta(seconds=1)},
        {"session_started_at": NOON + timedelta(hours=3)},
    ],
)
def test_an_event_of_somebody_or_something_else(changes: dict[str, Any]) -> None:
    assert session_use(replace(ACTED, **changes), HOLDER) is None


@pytest.mark.parametrize("changes", [{}, {"identity_type": "Unknown"}, {"name": "GetRoleCredentials"}])
def test_a_session_that_the_holder_opened(changes: dict[str, Any]) -> None:
    assert sign_in_use(replace(OPENED, **changes), HOLDER) == Used(ACCOUNT, "Admin")


@pytest.mark.parametrize(
    "changes",
    [
        {"store_user_id": "user-12"},
        {"store_user_id": ""},
        {"identity_type": "IAMUser"},
        {"source": "signin.amazonaws.com"},
        {"name": "ListAccounts"},
        {"opened_permission_set": "Admin_Reports"},
        {"opened_account_id": OTHER},
        {"error_code": "AccessDenied"},
        {"at": NOON - timedelta(seconds=1)},
    ],
)
def test_a_session_that_is_none_of_the_holders(changes: dict[str, Any]) -> None:
    assert sign_in_use(replace(OPENED, **changes), HOLDER) is None
