"""People and groups of the tenant, through Graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clients.entra.caller import GraphCaller
from clients.entra.config import EMPLOYEE_ID
from clients.entra.parsing import is_word, quoted
from clients.errors import NotFound
from clients.types import DirectoryGroup, DirectoryUser, GroupMembers, Reading, Receipt

_PORT = "entra.directory"
_IDS_PER_FILTER = 15  # Graph's limit for `in` in a directory filter
_PAGE = 999
_USER_FIELDS = [
    "id",
    "displayName",
    "userPrincipalName",
    "givenName",
    "surname",
    "mail",
    "department",
    "jobTitle",
    "accountEnabled",
    "userType",
]
_GROUP_FIELDS = [
    "id",
    "displayName",
    "description",
    "securityEnabled",
    "isAssignableToRole",
    "onPremisesSyncEnabled",
    "groupTypes",
    "membershipRule",
]


def _selected(attributes: Sequence[str]) -> list[str]:
    fields = {each if each == EMPLOYEE_ID else "onPremisesExtensionAttributes" for each in attributes}
    return [*_USER_FIELDS, *sorted(fields)]


def _marks(model: Any, attributes: Sequence[str]) -> list[str]:
    return [value for each in attributes if (value := _value(model, each)).strip()]


def _value(model: Any, attribute: str) -> str:
    if attribute == EMPLOYEE_ID:
        return model.employee_id or ""
    number = attribute.removeprefix("extensionAttribute")
    return getattr(model.on_premises_extension_attributes, f"extension_attribute{number}", None) or ""


def user_from(model: Any, attributes: Sequence[str] = (EMPLOYEE_ID,)) -> DirectoryUser:
    """Our value of an SDK user. Somebody whose accountEnabled is unknown counts as disabled.

    The first of `attributes` (of PERSON_ATTRIBUTES) that has a value is taken for the employee id; the others link as well.
    """
    marks = _marks(model, attributes)
    return DirectoryUser(
        object_id=model.id,
        display_name=model.display_name or "",
        user_principal_name=model.user_principal_name or "",
        given_name=model.given_name or "",
        surname=model.surname or "",
        mail=model.mail or "",
        employee_id=marks[0] if marks else "",
        further_marks=tuple(marks[1:]),
        department=model.department or "",
        job_title=model.job_title or "",
        enabled=model.account_enabled is True,
        guest=is_word(model.user_type, "Guest"),
    )


def group_from(model: Any) -> DirectoryGroup:
    """Our value of an SDK group."""
    kinds = [kind.lower() for kind in model.group_types or []]
    return DirectoryGroup(
        object_id=model.id,
        display_name=model.display_name or "",
        description=model.description or "",
        security_enabled=model.security_enabled is True,
        role_assignable=model.is_assignable_to_role is True,
        synced_from_on_premises=model.on_premises_sync_enabled is True,
        dynamic="dynamicmembership" in kinds or bool(model.membership_rule),
    )


def _is_kind(model: Any, kind: str) -> bool:
    return is_word(model.odata_type, f"#microsoft.graph.{kind}")


class GraphDirectory:
    """Implements clients.ports.EntraDirectory."""

    def __init__(
        self,
        caller: GraphCaller,
        *,
        aws_service_principal_id: str,
        person_attributes: Sequence[str] = (EMPLOYEE_ID,),
    ) -> None:
        self._caller = caller
        self._attributes = person_attributes
        self._service_principal_id = aws_service_principal_id

    def read_user(self, object_id: str) -> Reading[DirectoryUser | None]:
        """See the port."""
        try:
            answer = self._caller.item(
                "read_user",
                lambda client: client.users.by_user_id(object_id),
                port=_PORT,
                select=_selected(self._attributes),
            )
        except NotFound as absent:
            return Reading(None, absent.receipt or Receipt(""))
        return Reading(user_from(answer.value, self._attributes), answer.receipt)

    def read_manager(self, object_id: str) -> Reading[str]:
        """See the port. Graph answers 404 where there is no manager; one may be an organisational contact, too."""
        try:
            answer = self._caller.item(
                "read_manager",
                lambda client: client.users.by_user_id(object_id).manager,
                port=_PORT,
                select=["id"],
            )
        except NotFound as absent:
            return Reading("", absent.receipt or Receipt(""))
        found = answer.value
        return Reading((found.id or "").lower() if _is_kind(found, "user") else "", answer.receipt)

    def read_groups(self, group_ids: Sequence[str]) -> Reading[tuple[DirectoryGroup, ...]]:
        """See the port. The receipt is the last call's."""
        wanted = list(dict.fromkeys(group_ids))
        found: list[DirectoryGroup] = []
        receipt = Receipt("")
        for start in range(0, len(wanted), _IDS_PER_FILTER):
            some = ",".join(quoted(each) for each in wanted[start : start + _IDS_PER_FILTER])
            answer = self._caller.pages(
                "read_groups",
                lambda client: client.groups,
                port=_PORT,
                filter=f"id in ({some})",
                select=_GROUP_FIELDS,
            )
            found.extend(group_from(model) for model in answer.value)
            receipt = answer.receipt
        return Reading(tuple(found), receipt)

    def read_members(self, group_id: str, *, transitive: bool = False) -> Reading[GroupMembers]:
        """See the port.

        Raises:
            NotFound: when the group does not exist.
        """

        def builder(client: Any) -> Any:
            group = client.groups.by_group_id(group_id)
            return group.transitive_members if transitive else group.members

        fields = _selected(self._attributes)
        answer = self._caller.pages("read_members", builder, port=_PORT, select=fields, top=_PAGE)
        return Reading(
            GroupMembers(
                users=tuple(
                    user_from(each, self._attributes) for each in answer.value if _is_kind(each, "user")
                ),
                group_ids=tuple(each.id for each in answer.value if _is_kind(each, "group")),
            ),
            answer.receipt,
        )

    def read_owners(self, group_id: str) -> Reading[tuple[str, ...]]:
        """See the port; https://learn.microsoft.com/en-us/graph/api/group-list-owners.

        Service principals own groups too, and aren't listed on v1.0 yet: they are told by their type. There are no owners
        of a group that comes from on-premises or from Exchange. Where people may not be read, type and id come all the same.

        Raises:
            NotFound: when the group does not exist.
        """
        answer = self._caller.pages(
            "read_owners",
            lambda client: client.groups.by_group_id(group_id).owners,
            port=_PORT,
            select=["id"],
            top=_PAGE,
        )
        people = (each.id.lower() for each in answer.value if _is_kind(each, "user") and each.id)
        return Reading(tuple(dict.fromkeys(people)), answer.receipt)

    def application_groups(self) -> Reading[frozenset[str]]:
        """See the port. Graph can't filter these rows by kind, so that happens here."""
        answer = self._caller.pages(
            "application_groups",
            lambda client: (
                client.service_principals.by_service_principal_id(
                    self._service_principal_id
                ).app_role_assigned_to
            ),
            port=_PORT,
        )
        return Reading(
            frozenset(str(row.principal_id) for row in answer.value if is_word(row.principal_type, "Group")),
            answer.receipt,
        )
