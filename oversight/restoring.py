"""After a restore: what PIM's marks tell of grants that this database has forgotten, and nothing is granted twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.models import PimGroup
from clients.errors import ClientError
from clients.registry import clients
from clients.types import PimRequest
from oversight.drift.judging import GroupFacts, judge, unknown_tag
from oversight.drift.looking import NotLooked, StoreUsers, look, read
from oversight.drift.writing import not_looked, write
from oversight.models import DriftRun
from requests_app.actions.rebuilding import mark_of, rebuild, was_assigned
from requests_app.lifecycle import ItemStatus, WaiverStatus
from requests_app.models import Decision, Grant, Verdict
from requests_app.waivers.models import Waiver


@dataclass(slots=True)
class Reconciled:
    """What a reconciliation did."""

    rebuilt: int = 0
    found: int = 0  # new findings: what nothing here explains
    not_looked: int = 0


def reconcile() -> Reconciled:
    """Go through every managed group once, to the end, and believe this database afterwards. Run before the workers.

    Forgotten grants are rebuilt where a stored approval explains them, running or over; the rest become findings.
    """
    done, users = Reconciled(), StoreUsers()
    for group in PimGroup.objects.filter(managed=True, present=True).order_by("pk"):
        try:
            done.rebuilt += rebuild_decided(group)
            facts = look(group, users, orphans_are_judged=True)
            if made := rebuild_held(group, facts):
                done.rebuilt += made
                facts = look(group, users, orphans_are_judged=True)
        except (ClientError, NotLooked) as error:
            done.not_looked += 1
            not_looked(group, str(error))
            continue
        done.found += write(group, judge(facts), now=facts.now)
    if not done.not_looked:
        # The table is as whole as it can be made: later looks are measured against it.
        DriftRun.objects.update(grants_known=Grant.objects.count())
    return done


def rebuild_held(group: PimGroup, facts: GroupFacts) -> int:
    """Rebuild the forgotten grants among the assignments that PIM holds; gives how many."""
    made = 0
    for assignment in facts.assignments:
        principal = assignment.principal_id.lower()
        history = facts.histories.get(principal, ())
        tag = unknown_tag(assignment, facts.grants, history)
        for request in history:
            if tag and request.tag == tag and was_assigned(request):
                made += (
                    rebuild(request, person_oid=principal, group_oid=group.object_id, held=True) is not None
                )
                break
    return made


def rebuild_decided(group: PimGroup) -> int:
    """Rebuild what followed approvals, or asks to go without, that this database believes unsettled, when it is over."""
    pending = {"item__group": group, "item__status": ItemStatus.PENDING}
    words = Decision.objects.filter(**pending, verdict=Verdict.APPROVE)
    waivers = Waiver.objects.filter(**pending, status=WaiverStatus.SUBMITTED)
    waiting = {
        person
        for rows in (words, waivers)
        for person in rows.values_list("item__requester__object_id", flat=True)
    }
    made = 0
    for person_oid in sorted(waiting):
        held, history = _both(group, person_oid)
        for request in history:
            mark = mark_of(request.tag)
            if mark is None or not was_assigned(request) or request.schedule_id in held:
                continue
            made += rebuild(request, person_oid=person_oid, group_oid=group.object_id, held=False) is not None
    return made


def _both(group: PimGroup, person_oid: str) -> tuple[frozenset[str], Sequence[PimRequest]]:
    """The schedules that PIM holds for this person now, and its own history of asks."""
    pim = clients().pim
    held = read(lambda: pim.assignments(group.object_id, principal_id=person_oid)).value
    history = read(lambda: pim.requests(group.object_id, person_oid)).value
    return frozenset(each.schedule_id for each in held), history
