"""The page of one request, put together from rows. No page reads a cloud; every read here is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from base.clock import business_now
from identity.absences.models import Absence
from requests_app import selectors
from requests_app.activity.planning import is_on
from requests_app.deliberation.models import Attention, Remark
from requests_app.deliberation.reading import state_after
from requests_app.estimates import last_possible_use
from requests_app.lifecycle import ENDABLE, TERMINAL, DecisionStatus, EndReason, GrantStatus, ItemStatus
from requests_app.models import Decision, Grant, RequestItem, Revocation, Verdict
from requests_app.presentation import WAITS, Phase, Standing, phases, standing
from requests_app.rows import (
    Row,
    ScopeSet,
    fingerprint,
    fingerprint_of,
    part_of_request,
    scope_sets,
    scope_words_of,
)
from requests_app.shortening import time_given
from requests_app.waivers.models import Waiver
from requests_app.waivers.rows import WithoutApproval
from requests_app.ways_in import WayIn, aws_config, ways_in

ON_ITS_WAY = frozenset({GrantStatus.SCHEDULED, GrantStatus.ACTIVATING, GrantStatus.PROVISIONING})
# Ways in that a page lists; the AWS access portal has them all.
MOST_WAYS = 25

STANDING_SHAPES = {
    "live": "check-circle",
    "moving": "arrow-path",
    "waiting": "clock",
    "ending": "arrow-right-start-on-rectangle",
    "ended": "minus-circle",
    "problem": "exclamation-triangle",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One request: as its requester and overseers see it, or as somebody sees it who decides on it."""

    read: selectors.RequestPage
    deciding: bool = False
    viewer_id: int = 0
    rule_words: Sequence[str] = field(default=())
    waits_for: str = ""  # who decides at the stage that is next

    @property
    def item(self) -> RequestItem:
        return self.read.item

    @property
    def grant(self) -> Grant | None:
        return self.read.grant

    @property
    def decisions(self) -> Sequence[Decision]:
        return self.read.decisions

    @property
    def mine(self) -> bool:
        return self.read.is_requester

    @property
    def title(self) -> str:
        return self.item.group.display_name

    @property
    def lede(self) -> str:
        return scope_words_of(self.scope, self.read.scope_count)

    @property
    def asked_lede(self) -> str:
        """For whoever decides: who asks comes first."""
        return f"{self.item.requester.display_name} asks for {self.lede}"

    @property
    def standing(self) -> Standing:
        if self.item.status == ItemStatus.PENDING and self.being_checked:
            what = (
                "A decision"
                if not (self.waiver and self.waiver.being_checked)
                else "Whether it needs a decision"
            )
            return Standing("moving", "Being checked", f"{what} is being checked.")
        if self.item.status == ItemStatus.PENDING and self.thread == "open":
            whom = "you" if self.mine else self.item.requester.display_name
            return Standing("waiting", "Question open", f"A question waits for an answer from {whom}.")
        if self.item.status == ItemStatus.PENDING and self.waits_for:
            words = f"Waiting for {self.waits_for} to decide.{self._approved_already}"
            return Standing("waiting", "Waiting for a decision", words)
        if self.sign_in_wanted:
            return Standing("waiting", WAITS, "Approved. Waiting for you to sign in again.")
        if self.read.turn is not None and self.read.turn.ticket.rank:
            turn = self.read.turn
            words = f"Approved. Waiting for its turn, number {turn.place} of {turn.of}: expected at"
            return Standing("waiting", "Waiting for its turn", words, turn.expected_at)
        return standing(self.item.status, self.grant)

    @property
    def standing_shape(self) -> str:
        return STANDING_SHAPES[self.standing.tone]

    @property
    def being_checked(self) -> bool:
        if self.waiver is not None and self.waiver.being_checked:
            return True
        return any(decision.status == DecisionStatus.SUBMITTED for decision in self.decisions)

    @property
    def phases(self) -> Sequence[Phase]:
        return phases(
            self.item,
            self.grant,
            being_checked=self.being_checked,
            turn=self.read.turn,
            hop=self.read.hop,
            waived=self.waived,
        )

    @property
    def given(self) -> timedelta:
        """For how long it is, by what approvers have said so far."""
        return time_given(self.item, self.decisions)

    @property
    def shortened(self) -> bool:
        """Whether an approver gave less time than was asked for."""
        return self.given < self.item.duration

    @property
    def scope(self) -> list[ScopeSet]:
        return scope_sets(self.read.scope)

    @property
    def more_scope(self) -> int:
        return self.read.scope_count - len(self.read.scope)

    @property
    def moving(self) -> bool:
        """Whether anything can still happen here by itself."""
        if self.item.status == ItemStatus.PENDING:
            return True
        if self.item.status != ItemStatus.APPROVED:
            return False
        return self.grant is None or self.grant.status not in TERMINAL

    @property
    def seen(self) -> str:
        grant = self.grant and fingerprint_of(self.grant)
        decisions = [(decision.pk, decision.status, decision.reason) for decision in self.decisions]
        turn = (self.read.turn.place, self.read.turn.of) if self.read.turn else None
        said = (len(self.remarks), self.attention and self.attention.until)
        waiver = self.waiver and (
            self.waiver.version,
            self.waiver.reason,
            [r.version for r in self.read.reviews],
        )
        return fingerprint(self.item.version, grant, turn, said, decisions, waiver)

    @property
    def live_address(self) -> str:
        if self.deciding:
            return f"{reverse('decision_live', args=[self.item.pk])}?seen={self.seen}"
        address = part_of_request("request_live", self.item)
        return f"{address}{'&' if '?' in address else '?'}seen={self.seen}"

    @property
    def leaving(self) -> bool:
        """Whether it is on its way out, or has gone that way: its ends are worth showing apart."""
        return self.last_possible_use is not None and bool(self.grant and self.grant.removal_started_at)

    @property
    def activity_address(self) -> str:
        """Where its requester sees what they did with it, where that is read; else ""."""
        return (
            reverse("own_activity", args=[self.item.request_id])
            if self.mine and self.grant and is_on()
            else ""
        )

    @property
    def extension_owed(self) -> bool:
        """Whether it was extended, and PIM doesn't hold the new end yet."""
        return self.grant is not None and self.grant.status in ENDABLE and self.grant.extension_owed

    @property
    def extension_refused(self) -> bool:
        """Whether PIM refused to move the end, so that the rest will be assigned anew."""
        return self.grant is not None and self.grant.extension_refused == self.grant.revision

    @property
    def last_possible_use(self) -> datetime | None:
        """As fixed once the removal was read back; until then by the one formula, as if approved now."""
        grant = self.grant
        if grant is None and self.item.status == ItemStatus.PENDING:
            now = business_now()
            starts_at = max(now, self.item.wanted_start) if self.item.wanted_start else now
            return last_possible_use(
                window_ends_at=starts_at + self.given, longest_session=self.item.longest_session
            )
        if grant is None or grant.status in (GrantStatus.NOT_GRANTED, GrantStatus.CANCELLED):
            return None
        return grant.last_possible_use_at or last_possible_use(
            window_ends_at=grant.ends_at, longest_session=grant.longest_session
        )

    @property
    def start_is_over(self) -> bool:
        """Whether the wanted start has passed, so that an approval would begin the window."""
        return self.item.wanted_start is not None and self.item.wanted_start <= business_now()

    # --- Without an approval

    @property
    def waiver(self) -> Waiver | None:
        """The ask to go without an approval, where there was one."""
        found: Waiver | None = getattr(self.item, "waiver", None)
        return found

    @property
    def waived(self) -> str:
        """Why nobody had to decide; "" where somebody has to, or did."""
        return self.waiver.what.capitalize() if self.waiver and self.waiver.granted else ""

    @property
    def without(self) -> WithoutApproval:
        """What to say about going without an approval."""
        arriving = self.moving and (self.grant is None or self.grant.status in ON_ITS_WAY)
        return WithoutApproval(self.waiver, self.read.reviews, waits=self.mine and arriving)

    # --- What is said about it while it waits

    @property
    def remarks(self) -> Sequence[Remark]:
        return self.read.remarks

    @property
    def thread(self) -> str:
        """ "open" where a question waits for its answer, "answered" where none does, "" where nobody asked."""
        return state_after(self.remarks[-1].kind) if self.remarks else ""

    @property
    def askable(self) -> bool:
        """Whether the viewer may ask its requester something now."""
        return self.read.may_remark and not self.mine

    @property
    def answerable(self) -> bool:
        """Whether the viewer may answer what was asked."""
        return self.read.may_remark and self.mine and bool(self.remarks)

    @property
    def attention(self) -> Attention | None:
        """Who is looking at it now, while it is pending."""
        return self.read.attention if self.item.status == ItemStatus.PENDING else None

    @property
    def attending(self) -> bool:
        """Whether that is the viewer."""
        return self.attention is not None and self.attention.person_id == self.viewer_id

    # --- What can be done

    @property
    def withdrawable(self) -> bool:
        return self.mine and self.item.status == ItemStatus.PENDING

    @property
    def endable(self) -> bool:
        return self.mine and self.grant is not None and self.grant.status in ENDABLE

    @property
    def sign_in_wanted(self) -> bool:
        """Whether it goes on only once the viewer has signed in once more."""
        if self.grant is None:
            return False
        if self.grant.waits_for_approver:
            return self.approved_by_viewer
        return self.mine and self.grant.waits_for_person

    @property
    def _approved_already(self) -> str:
        """How many of those whom the stage takes have approved."""
        here = [
            word
            for word in self.decisions
            if (word.stage, word.verdict, word.status)
            == (self.item.stage, Verdict.APPROVE, DecisionStatus.COUNTED)
        ]
        if not here:
            return ""
        return " One of them has approved." if len(here) == 1 else f" {len(here)} of them have approved."

    @property
    def sign_in_awaited(self) -> bool:
        """Whether it goes on only once somebody has signed in once more."""
        return self.grant is not None and (self.grant.waits_for_person or self.grant.waits_for_approver)

    @property
    def approved_by_viewer(self) -> bool:
        """Whether the viewer's approval was counted."""
        own = self.own_decision
        return own is not None and (own.verdict, own.status) == (Verdict.APPROVE, DecisionStatus.COUNTED)

    @property
    def revocable(self) -> bool:
        """Whether the viewer may end somebody else's access now."""
        return self.read.may_revoke and self.grant is not None and self.grant.status in ENDABLE

    @property
    def revocable_from(self) -> datetime | None:
        """When PIM will let the membership go, if that is still to come; None when it would at once."""
        if self.grant is None or self.grant.assigned_at is None:
            return None
        earliest: datetime = self.grant.assigned_at + settings.PIM_MINIMUM
        return earliest if earliest > business_now() else None

    @property
    def revocation(self) -> Revocation | None:
        """Who ended it and why, when it was somebody else than its holder or the clock."""
        return self.read.revocation

    @property
    def revocation_title(self) -> str:
        """Who ended it, in a few words."""
        told = self.revocation
        if told is None:
            return ""
        who = told.by.display_name if told.by else "the portal"
        return f"Ended in an incident by {who}" if told.kind == EndReason.INCIDENT else f"Revoked by {who}"

    @property
    def never_arrived(self) -> bool:
        return self.grant is not None and self.grant.status == GrantStatus.NEVER_ARRIVED

    @property
    def again_words(self) -> str:
        """What asking again from here means: more of what one has, or the same once more."""
        return "Extend" if self.grant is not None and self.grant.status in ENDABLE else "Request again"

    @property
    def counting(self) -> bool:
        return self.grant is not None and self.grant.status == GrantStatus.ACTIVE

    @property
    def ready(self) -> bool:
        return self.mine and self.counting

    @property
    def repeatable(self) -> bool:
        return self.mine and not self.moving

    @property
    def own_decision(self) -> Decision | None:
        """The viewer's newest decision on this item."""
        own = [decision for decision in self.decisions if decision.approver_id == self.viewer_id]
        return own[-1] if own else None

    @property
    def refused(self) -> Decision | None:
        """The viewer's newest decision, if it was not counted."""
        own = self.own_decision
        return own if own is not None and own.status == DecisionStatus.REFUSED else None

    @property
    def decidable(self) -> bool:
        """Whether the viewer may still decide."""
        if self.item.status != ItemStatus.PENDING or self.mine or not self.read.may_decide:
            return False
        return self.own_decision is None or self.own_decision.status == DecisionStatus.REFUSED

    @property
    def deciding_for(self) -> Absence | None:
        """The absence in whose person's right the viewer would decide; None: in their own."""
        return self.read.offered[0] if self.read.offered else None

    @property
    def frozen(self) -> str:
        """Why an incident lets nobody approve it, "" when none does."""
        return self.read.freeze.sentence if self.read.freeze else ""

    # --- Ways in

    @property
    def ways(self) -> list[WayIn]:
        return ways_in(self.read.scope[:MOST_WAYS], portal_url=settings.AWS_ACCESS_PORTAL_URL)

    @property
    def more_ways(self) -> int:
        return self.read.scope_count - len(self.ways)

    @property
    def config(self) -> str:
        return aws_config(
            self.ways, portal_url=settings.AWS_ACCESS_PORTAL_URL, region=settings.AWS_SSO_REGION
        )

    # --- Addresses

    @property
    def address(self) -> str:
        return part_of_request("request", self.item)

    @property
    def decide_address(self) -> str:
        return reverse("decision", args=[self.item.pk])

    @property
    def others(self) -> Sequence[Row]:
        """What else was asked for in the same request, as far as the viewer may see it."""
        return [Row(item) for item in self.read.others]

    @property
    def overview_address(self) -> str:
        return reverse("request", args=[self.item.request_id])

    @property
    def thread_address(self) -> str:
        return part_of_request("thread", self.item)

    @property
    def attend_address(self) -> str:
        return reverse("attend", args=[self.item.pk])

    @property
    def withdraw_address(self) -> str:
        return part_of_request("withdraw", self.item)

    @property
    def done_address(self) -> str:
        return part_of_request("end_early", self.item)

    @property
    def sign_in_address(self) -> str:
        return part_of_request("request_sign_in", self.item)

    @property
    def revoke_address(self) -> str:
        return part_of_request("revoke", self.item)

    @property
    def repeat_address(self) -> str:
        return part_of_request("repeat", self.item)

    @property
    def again_address(self) -> str:
        return Row(self.item).again_address
