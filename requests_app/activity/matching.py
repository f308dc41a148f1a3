"""Which events of CloudTrail are a person's, with a grant's permission sets. Everything is compared exactly.

A prefix or a substring would take `bobby` for `bob` and `ReadOnlyAdmin` for `Admin`. What an event says is from the
CloudTrail user guide ("userIdentity element") and IAM Identity Center's ("Referencing permission sets", for the name
of a role; "CloudTrail use cases", for its own events).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from clients.types import TrailEvent

# A permission set's role in an account: its name, and sixteen hexadecimal digits that differ from account to account.
# The path has no Region where the instance is in us-east-1.
_ROLE = re.compile(
    r"arn:[\w-]+:iam::(?P<account>\d{12}):role/aws-reserved/sso\.amazonaws\.com/(?:[a-z0-9-]+/)?"
    r"AWSReservedSSO_(?P<name>[\w+=,.@-]{1,32})_[0-9a-f]{16}"
)
SIGN_IN_SOURCE = "sso.amazonaws.com"
# What IAM Identity Center calls the opening of a session: in the console, and for the command line.
SIGN_IN_EVENTS = ("Federate", "GetRoleCredentials")
_SIGN_IN_TYPES = frozenset({"IdentityCenterUser", "Unknown"})
DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Client.UnauthorizedOperation"}
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose events are looked for: the ids and names in the identity store, earlier ones too; what was granted; and when."""

    store_user_ids: Collection[str]
    user_names: Collection[str]  # sessions are named after the one they began with
    granted: Mapping[str, frozenset[str]]  # account id -> names of permission sets
    since: datetime  # sessions that began earlier belong to earlier access
    until: datetime  # later sessions belong to later access, if there is any


@dataclass(frozen=True, slots=True)
class Used:
    """That an event is the holder's."""

    account_id: str
    permission_set_name: str


def session_use(event: TrailEvent, holder: Holder) -> Used | None:
    """What was used, when the event is something that a session of the holder's did; else None.

    The user's id decides where the event has one. Without it, the session's name does, which is the user name.
    """
    if event.identity_type != "AssumedRole":
        return None
    role = _ROLE.fullmatch(event.role_arn)
    if role is None or role["account"] != event.account_id:
        return None
    if role["name"] not in holder.granted.get(event.account_id, frozenset()):
        return None
    if event.store_user_id:
        theirs = event.store_user_id in holder.store_user_ids
    else:
        theirs = event.principal_id.rpartition(":")[2] in holder.user_names
    began = event.session_started_at or event.at
    if not theirs or not holder.since <= began < holder.until:
        return None
    return Used(event.account_id, role["name"])


def sign_in_use(event: TrailEvent, holder: Holder) -> Used | None:
    """What was opened, when the event says that the holder opened a session of what was granted; else None."""
    if event.source != SIGN_IN_SOURCE or event.name not in SIGN_IN_EVENTS:
        return None
    if event.identity_type not in _SIGN_IN_TYPES or event.store_user_id not in holder.store_user_ids:
        return None
    if event.error_code or not holder.since <= event.at < holder.until:
        return None
    if event.opened_permission_set not in holder.granted.get(event.opened_account_id, frozenset()):
        return None
    return Used(event.opened_account_id, event.opened_permission_set)
