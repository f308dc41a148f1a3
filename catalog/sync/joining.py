"""Which group of IAM Identity Center is which PIM group: by external id, then by exact name, never by guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from clients.types import StoreGroup


@dataclass(frozen=True, slots=True)
class Join:
    """The answer for one PIM group; with a problem, the earlier id is kept so that read-backs go on."""

    store_group_id: str
    matched_by: str = ""
    problem: str = ""


class StoreGroups:
    """The groups of the identity store, as SCIM named them (aws-identity-center contract, section 2)."""

    def __init__(self, groups: Iterable[StoreGroup]) -> None:
        self._by_external_id: dict[str, StoreGroup] = {}
        self._by_name: dict[str, list[StoreGroup]] = defaultdict(list)
        for group in groups:
            self._by_name[group.display_name].append(group)
            for external_id in group.external_ids:
                self._by_external_id[external_id.lower()] = group

    def join(self, object_id: str, display_name: str, *, before: str) -> Join:
        """The twin of the Entra group with this object id and name; `before` is the id joined last time."""
        by_id = self._by_external_id.get(object_id.lower())
        named = self._by_name.get(display_name, [])
        if by_id is not None:
            if named and by_id not in named:
                return Join(before, problem=_disagree(display_name))
            return Join(by_id.group_id, matched_by="external id")
        if not named:
            # Missing from one listing is no reason to stop reading back what was found there before.
            return Join(before, problem=_missing(display_name) if before else "")
        if len(named) > 1:
            return Join(
                before,
                problem=f"IAM Identity Center has {len(named)} groups named “{display_name}”, and none carries this "
                "group's id. An operator must remove the one that SCIM did not make.",
            )
        if named[0].external_ids:
            # A group that was deleted and made anew in Entra keeps its name, not its id.
            return Join(before, problem=_disagree(display_name))
        return Join(named[0].group_id, matched_by="name")


def _missing(display_name: str) -> str:
    return (
        f"IAM Identity Center no longer lists the group “{display_name}”. An operator must provision it again; until "
        "then nobody can ask for it."
    )


def _disagree(display_name: str) -> str:
    return (
        f"The group named “{display_name}” in IAM Identity Center belongs to another Entra group by its id, so the "
        "portal can't tell what this one opens. An operator must provision the group anew."
    )
