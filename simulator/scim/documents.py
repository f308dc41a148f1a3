"""What the endpoint says about itself: configuration, resource types and schemas."""

from typing import Any

from simulator.scim.service import ENTERPRISE, GROUP, LIST, USER

SERVICE_PROVIDER_CONFIG: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
    "documentationUri": "https://docs.aws.amazon.com/singlesignon/latest/developerguide/what-is-scim.html",
    "patch": {"supported": True},
    "bulk": {"supported": False, "maxOperations": 1, "maxPayloadSize": 1_048_576},
    "filter": {"supported": True, "maxResults": 100},
    "changePassword": {"supported": False},
    "sort": {"supported": False},
    "etag": {"supported": False},
    "authenticationSchemes": [
        {
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "A token made in the settings of IAM Identity Center.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": True,
        }
    ],
}


def _resource_type(name: str, schema: str, extensions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": name,
        "name": name,
        "endpoint": f"/{name}s",
        "schema": schema,
        "schemaExtensions": extensions,
    }


RESOURCE_TYPES = [
    _resource_type("User", USER, [{"schema": ENTERPRISE, "required": False}]),
    _resource_type("Group", GROUP, []),
]


def _attribute(
    name: str, kind: str = "string", *, required: bool = False, unique: str = "none", **more: Any
) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "multiValued": False,
        "required": required,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": unique,
        **more,
    }


def _schema(schema_id: str, name: str, attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": schema_id,
        "name": name,
        "attributes": attributes,
    }


_NAME = [_attribute("givenName", required=True), _attribute("familyName", required=True)]
_EMAIL = [_attribute("value"), _attribute("type"), _attribute("primary", "boolean")]
_MEMBER = [
    _attribute("value", mutability="immutable"),
    _attribute("$ref", "reference", mutability="immutable", referenceTypes=["User"]),
]
SCHEMAS = [
    _schema(
        USER,
        "User",
        [
            _attribute("userName", required=True, unique="server"),
            _attribute("name", "complex", required=True, subAttributes=_NAME),
            _attribute("displayName", required=True),
            _attribute("title"),
            _attribute("active", "boolean"),
            _attribute("emails", "complex", multiValued=True, subAttributes=_EMAIL),
        ],
    ),
    _schema(
        GROUP,
        "Group",
        [
            _attribute("displayName", required=True, unique="server"),
            _attribute("members", "complex", multiValued=True, subAttributes=_MEMBER),
        ],
    ),
    _schema(ENTERPRISE, "EnterpriseUser", [_attribute("employeeNumber"), _attribute("department")]),
]


def listed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A list response with everything in it."""
    return {
        "schemas": [LIST],
        "totalResults": len(rows),
        "itemsPerPage": len(rows),
        "startIndex": 1,
        "Resources": rows,
    }
