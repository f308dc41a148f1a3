"""Where IAM Identity Center's SCIM differs from RFC 7643 and 7644: what a conformance test finds, and why it is so.

The table is complete for scim2-tester: a difference that isn't in it fails tests/simulator/scim/test_conformance.py.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Deviation:
    """One check of scim2-tester that fails. `attribute` is empty for checks of whole resources.

    `always` False: the check fails for some of the random values that the tester sends.
    """

    check: str
    resource: str
    attribute: str
    because: str
    always: bool = True


_QUERY = "The documented query parameters are filter, count and cursor; attributes and excludedAttributes do nothing."
_SEARCH = "/.search is not supported (limitations page)."
_EMPTY = "GetGroup and ListGroups always answer with an empty member list (ListGroups page)."
_ALL = "PatchGroup can neither replace nor remove all members in one request (limitations page)."
_PRIMARY = "An e-mail address has to be primary (CreateUser page), and the tester sends one that isn't."

DEVIATIONS = (
    Deviation("object_query_with_attributes", "User", "", _QUERY),
    Deviation("object_list_with_attributes", "User", "", _QUERY),
    Deviation("search_with_attributes", "User", "", _SEARCH),
    Deviation("search_with_attributes", "Group", "", _SEARCH),
    Deviation("check_add_attribute", "User", "emails", _PRIMARY, always=False),
    Deviation("check_replace_attribute", "User", "emails", _PRIMARY, always=False),
    Deviation(
        "check_remove_attribute",
        "User",
        "active",
        "A user is enabled or disabled; without the attribute it is enabled.",
    ),
    Deviation("object_replacement", "Group", "", "There is no PutGroup (list of supported operations)."),
    Deviation("check_add_attribute", "Group", "members", _EMPTY),
    Deviation("check_remove_attribute", "Group", "members", _ALL),
    Deviation("check_replace_attribute", "Group", "members", _ALL),
)

# What the tester has to be helped over, because everything else would fail with it.
FORMS = {
    "error": "The one error body that AWS shows says `schema` where the RFC says `schemas` (a switch).",
    "location": "`meta` has resourceType, created and lastModified in AWS's examples, and no location.",
}
