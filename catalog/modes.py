"""How a PIM group is activated: by the portal for itself, or by the portal in the requester's own name."""

from __future__ import annotations

from django_subatomic.db import transaction

from audit.ledger.recorder import Actor, record
from base.clock import real_now
from base.errors import Invalid, Missing
from catalog.events import GROUP_MODE, MODE
from catalog.models import PimGroup
from identity.models import ActivationMode

WORDS = {False: "in application mode", True: "as the person"}


def set_mode(group_object_id: str, *, as_person: bool, reason: str) -> bool:
    """Set how requests for a group that are approved from now on are activated; whether that is a change.

    Grants that exist keep the way that was set at their approval.

    Raises:
        Missing: the portal knows no such group.
        Invalid: without a reason.
    """
    if not reason.strip():
        raise Invalid("mode.reason", "Say why: it stays in the history.")
    with transaction():
        group = PimGroup.objects.select_for_update().filter(object_id=group_object_id.lower()).first()
        if group is None:
            raise Missing("group.missing", "The portal knows no PIM group with this object id.")
        if group.as_person == as_person:
            return False
        group.as_person = as_person
        group.save(update_fields=["as_person"])
        mode, _ = ActivationMode.objects.update_or_create(
            group_object_id=group.object_id, defaults={"as_person": as_person, "changed_at": real_now()}
        )
        record(
            "catalog.activation_mode_changed",
            actor=Actor.system(),
            fields={
                "group_name": group.display_name,
                "mode": WORDS[as_person],
                "reason": reason.strip()[:500],
            },
            group_oid=group.object_id,
            rows=(GROUP_MODE.stands(group), MODE.stands(mode)),
        )
    return True
