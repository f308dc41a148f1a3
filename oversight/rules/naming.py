"""Names for the ids that rules hold, looked up at once for a page or a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from catalog.models import AwsAccount, OrganizationalUnit, PimGroup
from identity.models import DirectoryGroup, Person

_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_ACCOUNT = re.compile(r"\b[0-9]{12}\b")
_UNIT = re.compile(r"\b(?:ou|r)-[0-9a-z-]{4,66}\b")


def names_of(documents: Any) -> Mapping[str, str]:
    """Display names of all people, groups, accounts and units in these documents (any JSON). Five queries at most."""
    text = json.dumps(documents)
    ids, names = set(_ID.findall(text)), dict[str, str]()
    if ids:
        named = Person.objects.filter(object_id__in=ids).exclude(display_name="")
        names |= dict(named.values_list("object_id", "display_name"))
        groups = DirectoryGroup.objects.filter(object_id__in=ids).exclude(display_name="")
        names |= dict(groups.values_list("object_id", "display_name"))
        names |= dict(PimGroup.objects.filter(object_id__in=ids).values_list("object_id", "display_name"))
    if accounts := set(_ACCOUNT.findall(text)):
        names |= dict(AwsAccount.objects.filter(account_id__in=accounts).values_list("account_id", "name"))
    if units := set(_UNIT.findall(text)):
        found = OrganizationalUnit.objects.filter(unit_id__in=units)
        names |= {
            unit_id: path or name for unit_id, path, name in found.values_list("unit_id", "path", "name")
        }
    return names
