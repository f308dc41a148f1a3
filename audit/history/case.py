"""One request's case, from the ask to the end: its rows as they stand and its events as they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, Q

from audit.history.presentation import Row, rows
from audit.history.told import MOST_TOLD, Told, told_about
from audit.ledger.reading import MOST_OF_A_CASE, events_of_request
from base.errors import Missing
from identity.absences.reading import was_away
from oversight.selectors import FindingRow, findings_of_grants
from requests_app.activity.models import ActivityLook
from requests_app.activity.planning import is_on
from requests_app.estimates import last_possible_use
from requests_app.lifecycle import DecisionStatus, GrantStatus
from requests_app.models import (
    AccessRequest,
    Attempt,
    Decision,
    Grant,
    GrantInterval,
    RequestItem,
    RequestScope,
)
from requests_app.presentation import Phase, Standing, phases, problem_words, standing
from requests_app.rows import ScopeSet, scope_sets
from requests_app.shown import Part, what_was_shown

# Bounds of what one page shows; beyond them it says so.
MOST_ITEMS = 50
MOST_SCOPE = 500
MOST_ATTEMPTS = 500
_READS = (Attempt.Kind.READ_ENTRA, Attempt.Kind.READ_AWS, Attempt.Kind.READ_JOB)


@dataclass(frozen=True, slots=True)
class CaseItem:
    """What was asked for one PIM group, what was decided, and the access that followed."""

    item: RequestItem
    grant: Grant | None
    decisions: Sequence[Decision]
    told: Sequence[Told]
    attempts: Sequence[Attempt]
    scope_rows: Sequence[RequestScope]
    findings: Sequence[FindingRow] = ()
    activity: ActivityLook | None = None

    @property
    def standing(self) -> Standing:
        return standing(self.item.status, self.grant)

    @property
    def problem(self) -> str:
        return problem_words(self.grant) if self.grant else ""

    @property
    def phases(self) -> Sequence[Phase]:
        checked = any(decision.status == DecisionStatus.SUBMITTED for decision in self.decisions)
        return phases(self.item, self.grant, being_checked=checked)

    @property
    def decided(self) -> list[tuple[Decision, Sequence[Part]]]:
        """Each decision with what its page had shown."""
        return [
            (decision, what_was_shown(decision.shown, self.item, decision.stage))
            for decision in self.decisions
        ]

    @property
    def scope(self) -> list[ScopeSet]:
        return scope_sets(self.scope_rows)

    @property
    def last_possible_use(self) -> datetime | None:
        """As read back once the membership was out of AWS; until then by the one formula."""
        grant = self.grant
        if grant is None or grant.status in (GrantStatus.NOT_GRANTED, GrantStatus.CANCELLED):
            return None
        return grant.last_possible_use_at or last_possible_use(
            window_ends_at=grant.ends_at, longest_session=grant.longest_session
        )


@dataclass(frozen=True, slots=True)
class Case:
    """Everything about one request. `request` None: its row is gone and only the trail tells of it."""

    request_id: UUID
    request: AccessRequest | None
    items: Sequence[CaseItem]
    rows: Sequence[Row]
    scope_cut: bool = False  # whether account assignments were left out
    attempts_cut: bool = False  # whether older calls were left out, reads before writes
    findings_cut: bool = False  # whether older findings were left out

    @property
    def title(self) -> str:
        if self.request is None:
            return f"Request {self.request_id}"
        groups = ", ".join(each.item.group.display_name for each in self.items)
        return f"{self.request.requester.display_name}: {groups}"

    @property
    def cut(self) -> bool:
        """Whether older events were left out."""
        return len(self.rows) >= MOST_OF_A_CASE

    @property
    def told_cut(self) -> bool:
        """Whether later notifications were left out."""
        return sum(len(each.told) for each in self.items) >= MOST_TOLD

    @property
    def activity_is_read(self) -> bool:
        """Whether what was done with access is read in this installation, or was for this request."""
        return is_on() or any(each.activity for each in self.items)

    @property
    def unsealed(self) -> int:
        return sum(1 for row in self.rows if row.batch is None)


def case(request_id: UUID) -> Case:
    """The case of one request. Raises Missing when neither a row nor an event knows it."""
    request = AccessRequest.objects.select_related("requester").filter(pk=request_id).first()
    items = list(
        RequestItem.objects.filter(request_id=request_id)
        .select_related("request", "requester", "group", "terms")
        .order_by("created_at", "pk")[:MOST_ITEMS]
    )
    keys = [item.pk for item in items]
    grants = {
        interval.item_id: interval.grant
        for interval in GrantInterval.objects.filter(item__in=keys).select_related("grant")
    }
    grant_ids = sorted({grant.pk for grant in grants.values()})
    told = events_of_request(request_id, grant_ids=grant_ids)
    if request is None and not told:
        raise Missing("case.missing", "There is no such request.")
    by_name = ("item", "permission_set_name", "account_name")
    scope = list(RequestScope.objects.filter(item__in=keys).order_by(*by_name)[: MOST_SCOPE + 1])
    decisions: dict[UUID, list[Decision]] = {}
    for decision in (
        Decision.objects.filter(item__in=keys)
        .select_related("approver", "absence__person")
        .annotate(while_away=was_away("approver", "submitted_at"))
        .order_by("submitted_at", "pk")
    ):
        decisions.setdefault(decision.item_id, []).append(decision)
    attempts, attempts_cut = _attempts(grant_ids)
    findings, findings_cut = findings_of_grants(grant_ids)
    told_of = told_about(keys, {grant.pk: item for item, grant in grants.items()})
    looks = {look.grant_id: look for look in ActivityLook.objects.filter(grant__in=grant_ids)}
    return Case(
        request_id,
        request,
        [
            CaseItem(
                item,
                grant := grants.get(item.pk),
                decisions.get(item.pk, []),
                told_of.get(item.pk, []),
                attempts.get(grant.pk, []) if grant else [],
                [row for row in scope[:MOST_SCOPE] if row.item_id == item.pk],
                findings.get(grant.pk, ()) if grant else (),
                looks.get(grant.pk) if grant else None,
            )
            for item in items
        ],
        rows(told),
        scope_cut=len(scope) > MOST_SCOPE,
        attempts_cut=attempts_cut,
        findings_cut=findings_cut,
    )


def _attempts(grant_ids: Sequence[UUID]) -> tuple[Mapping[UUID, Sequence[Attempt]], bool]:
    """The calls for each grant, oldest first, and whether some were left out: every write, then the newest reads."""
    read = ExpressionWrapper(Q(kind__in=_READS), output_field=BooleanField())
    rows = Attempt.objects.filter(grant__in=grant_ids).order_by(read, "-started_at", "-pk")
    kept = list(rows[: MOST_ATTEMPTS + 1])
    found: dict[UUID, list[Attempt]] = {}
    for attempt in sorted(kept[:MOST_ATTEMPTS], key=lambda each: (each.started_at, each.pk)):
        found.setdefault(attempt.grant_id, []).append(attempt)
    return found, len(kept) > MOST_ATTEMPTS
