"""What the ledger holds about the catalogue: changes of what may be asked for, as the clouds showed them."""

from __future__ import annotations

from audit.ledger.registry import EventType, Field, Kind, register
from audit.ledger.rows import Watched

# The same word in two places: sign-in reads one, requests the other.
MODE = Watched(
    "identity_activationmode",
    ("group_object_id", "as_person", "changed_at"),
)
GROUP_MODE = Watched("catalog_pimgroup", ("as_person",), unless="NOT {row}.as_person")

_GROUP = {"group_name": Field()}

GROUP_JOINED = EventType(
    "catalog.group_joined",
    "{group_name} was found in IAM Identity Center",
    {**_GROUP, "store_group_id": Field(Kind.ID), "matched_by": Field()},
)
GROUP_UNJOINED = EventType(
    "catalog.group_unjoined",
    "{group_name} is no longer found in IAM Identity Center: {reason}",
    {**_GROUP, "reason": Field()},
)
GROUP_VANISHED = EventType("catalog.group_vanished", "{group_name} is no longer in Entra", _GROUP)
MANAGEMENT_CHANGED = EventType(
    "catalog.management_changed",
    "The deployed allow-list changed for {group_name}: managed by the portal is now {managed}",
    {**_GROUP, "managed": Field(Kind.FLAG)},
)
SCOPE_CHANGED = EventType(
    "catalog.scope_changed",
    "{group_name} now opens {assignments} account assignments: {added_count} more, {removed_count} less",
    {
        **_GROUP,
        "assignments": Field(Kind.NUMBER),
        "added_count": Field(Kind.NUMBER),
        "removed_count": Field(Kind.NUMBER),
        # At most a hundred each: "<account id> <permission set name>".
        "added": Field(Kind.JSON),
        "removed": Field(Kind.JSON),
        "scope_hash": Field(),
    },
)
POLICY_CHANGED = EventType(
    "catalog.policy_changed",
    "The PIM policy of {group_name} changed",
    {**_GROUP, "before": Field(Kind.JSON), "after": Field(Kind.JSON)},
)
ACTIVATION_MODE_CHANGED = EventType(
    "catalog.activation_mode_changed",
    "{group_name} is now activated {mode}",
    {**_GROUP, "mode": Field(), "reason": Field()},
    tells=(MODE, GROUP_MODE),
)
PERMISSION_SET_CHANGED = EventType(
    "catalog.permission_set_changed",
    "What the permission set {name} allows changed: {changed}",
    {
        "name": Field(),
        "arn": Field(Kind.ID),
        "changed": Field(),  # which parts, in words
        "before": Field(Kind.JSON),
        "after": Field(Kind.JSON),
        "content_hash": Field(),
    },
)
PERMISSION_SET_VANISHED = EventType(
    "catalog.permission_set_vanished",
    "The permission set {name} is no longer in IAM Identity Center",
    {"name": Field(), "arn": Field(Kind.ID)},
)

MANAGED_POLICY_CHANGED = EventType(
    "catalog.managed_policy_changed",
    "AWS changed its managed policy {name} from {before} to {after}, and so what permission sets with it allow",
    {"name": Field(), "arn": Field(Kind.ID), "before": Field(), "after": Field()},
)


def register_all() -> None:
    """Declare this room's event types; called once when Django starts."""
    register(
        GROUP_JOINED,
        GROUP_UNJOINED,
        GROUP_VANISHED,
        MANAGEMENT_CHANGED,
        SCOPE_CHANGED,
        POLICY_CHANGED,
        ACTIVATION_MODE_CHANGED,
        PERMISSION_SET_CHANGED,
        PERMISSION_SET_VANISHED,
        MANAGED_POLICY_CHANGED,
    )
