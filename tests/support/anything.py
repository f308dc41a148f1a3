"""A machine that does anything that people, clouds, time and dying workers can do, in any order (Hypothesis).

Three people, two approvers, and a PIM group of each kind: activated by the portal for itself, as the person, and as the
person with an approval of PIM's own. People's tokens get lost and come back. After each step the invariants hold, and
the trail replayed gives the rows; at the end the clouds are mended, time goes on, and everything comes to its end. A new
action of people is one more rule; a new thing that others do is one more name in `OTHERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from uuid import UUID

import hypothesis.strategies as st
from django.conf import settings
from django.db.models import Q
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from base import crash
from base.errors import DomainError
from identity.models import Person
from requests_app.actions import freezing
from requests_app.actions.deciders import ASKED_JUST_NOW
from requests_app.actions.deciding import submit_decision
from requests_app.actions.ending import end_early, revoke
from requests_app.actions.submitting import submit_request
from requests_app.actions.withdrawing import withdraw_item
from requests_app.freezes.models import Freeze
from requests_app.lifecycle import TERMINAL, DecisionStatus, GrantStatus, ItemStatus, WaiverStatus
from requests_app.models import Attempt, Decision, Grant, RequestItem, Verdict
from requests_app.waivers import reviewing
from requests_app.waivers.models import OwedReview, Waiver
from simulator.world.errors import WorldError
from tests.requests_app import factories as make
from tests.support import invariants
from tests.support.chance import seeded
from tests.support.fleet import Fleet, fleet
from tests.support.stage import AsRole, Died

PEOPLE, GROUPS, APPROVERS = 3, 3, 2
AS_PERSON = (1, 2)  # the numbers of the groups that are activated as the person
APPROVED_IN_PIM = 2
people, groups, approvers = (st.integers(0, n - 1) for n in (PEOPLE, GROUPS, APPROVERS))
# The newest rows are the interesting ones: 0 is the newest.
recent = st.integers(0, 3)
# What others do to a person's membership; a tuple for what belongs to Entra, or to AWS.
OTHERS = ("foreign_member", "member_removed", "foreign_store_member", "store_member_removed")
FAULTS = ("lose_request", "lose_answer", "throttle", "error", "error_after")
OPERATIONS = ("graph.POST *", "graph.GET *", "aws.*", "entra.POST token", "graph.PATCH *")
NOT_YET_READY = (GrantStatus.SCHEDULED, GrantStatus.ACTIVATING, GrantStatus.PROVISIONING)
GIVING = (Attempt.Kind.ASSIGN, Attempt.Kind.EXTEND, Attempt.Kind.PASS_ON)
# People sign in anew before their tokens are too old.
SIGN_IN_EVERY = timedelta(hours=12)
SHORTEST = int(settings.SHORTEST_ACCESS / timedelta(minutes=1))
# More time than this at once, in which nobody works, and a window may be over before a worker came to it.
SHORT = timedelta(minutes=10)


class Anything(RuleBasedStateMachine):
    """Needs `open_database` and `as_role`, which a test puts on a class of its own."""

    open_database: Callable[[ExitStack], None]
    as_role: AsRole

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()

    @initialize(chance=st.integers(0, 2**16))
    def begin(self, chance: int) -> None:
        """A world in which everything that isn't a step, also how long things take, follows from this number."""
        self.stack.enter_context(seeded(str(chance)))
        type(self).open_database(self.stack)
        self.play: Fleet = self.stack.enter_context(
            fleet(
                self.as_role,
                people=PEOPLE,
                groups=GROUPS,
                approvers=APPROVERS,
                looks=timedelta(minutes=30),
                as_person=AS_PERSON,
                seed=f"anything {chance}",
            )
        )
        self.play.world.policies.change(
            self.play.groups[APPROVED_IN_PIM][1].id,
            approval_required=True,
            approver_users=[user.id for _, user in self.play.approvers],
        )
        self.signed_out: set[int] = set()  # numbers of people, and behind them of approvers
        self._everybody_signs_in()
        self.play.died = lambda _kind, _row: crash.install(None)
        self.operators = [self._operator("Olga Operator", "E9001"), self._operator("Otto Operator", "E9002")]
        self.may_decide = set(range(APPROVERS))
        self.lost_at: dict[int, datetime] = {}  # since when each of the others may not
        self.may_respond = set(range(PEOPLE))
        self.judged: set[UUID] = set()
        self.settled = False

    def teardown(self) -> None:
        try:
            if hasattr(self, "play"):
                self._mend()
                self._to_the_end()
        finally:
            self.stack.close()

    def _operator(self, name: str, employee_id: str) -> Person:
        person = make.person(name, employee_id=employee_id)
        with self.play.as_role("portal_web"):
            make.login(person, "Operator")
        return person

    # ------------------------------------------------------------ people

    def _person(self, action: Callable[[], object]) -> None:
        """In the browser: what isn't possible is refused with a sentence, and changes nothing."""
        with self.play.as_role("portal_web"):
            try:
                action()
            except DomainError as refusal:
                if not refusal.sentence:
                    raise

    @rule(
        person=people,
        group=groups,
        minutes=st.sampled_from([SHORTEST, 30, 90, 240]),
        starts_in=st.sampled_from([None, None, 30, 300]),
    )
    def submit(self, person: int, group: int, minutes: int, starts_in: int | None) -> None:
        asker = self.play.people[person][0]
        start = None if starts_in is None else self.play.time.now + timedelta(minutes=starts_in)
        self._person(
            lambda: submit_request(
                requester_id=asker.pk,
                group_object_id=self.play.groups[group][0].object_id,
                duration=timedelta(minutes=minutes),
                justification="Something is stuck there",
                reference="",
                wanted_start=start,
                actor=make.actor(asker),
            )
        )

    @rule(person=people, group=groups, minutes=st.sampled_from([SHORTEST, 60]))
    def submit_in_emergency(self, person: int, group: int, minutes: int) -> None:
        self._person(lambda: self.play.ask_in_emergency(person, group, timedelta(minutes=minutes)))

    @rule(who=approvers, in_order=st.booleans())
    def review(self, who: int, in_order: bool) -> None:
        owed, reviewer = OwedReview.objects.filter(verdict="").first(), self.play.approvers[who][0]
        if owed is not None:
            verdict = OwedReview.Verdict.IN_ORDER if in_order else OwedReview.Verdict.NOT_IN_ORDER
            self._person(
                lambda: reviewing.review(
                    review_id=owed.pk,
                    person_id=reviewer.pk,
                    verdict=verdict,
                    comment="Seen",
                    actor=make.actor(reviewer),
                )
            )

    def _decide(self, which: int, who: int, verdict: str, minutes: int | None = None) -> None:
        item = _nth_item(which, status=ItemStatus.PENDING)
        if item is not None:
            approver = self.play.approvers[who][0]
            self._person(
                lambda: submit_decision(
                    item_id=item.pk,
                    approver_id=approver.pk,
                    verdict=verdict,
                    comment="Because",
                    shown=make.shown(item),
                    duration=None if minutes is None else timedelta(minutes=minutes),
                    actor=make.actor(approver),
                )
            )

    @rule(which=recent, who=approvers, minutes=st.sampled_from([None, None, SHORTEST, 60]))
    def approve(self, which: int, who: int, minutes: int | None) -> None:
        self._decide(which, who, Verdict.APPROVE, minutes)

    @rule(who=approvers)
    def approve_the_newest(self, who: int) -> None:
        self._decide(0, who, Verdict.APPROVE)

    @rule(which=recent, who=approvers)
    def deny(self, which: int, who: int) -> None:
        self._decide(which, who, Verdict.DENY)

    @rule(which=recent)
    def withdraw(self, which: int) -> None:
        item = _nth_item(which)
        if item is not None:
            self._person(
                lambda: withdraw_item(
                    item_id=item.pk, person_id=item.requester_id, actor=make.actor(item.requester)
                )
            )

    @rule(which=recent)
    def end(self, which: int) -> None:
        grant = _nth_grant(which)
        if grant is not None:
            self._person(
                lambda: end_early(
                    grant_id=grant.pk, person_id=grant.person_id, actor=make.actor(grant.person)
                )
            )

    @rule(which=recent, who=approvers)
    def revoke(self, which: int, who: int) -> None:
        grant, boss = _nth_grant(which), self.play.approvers[who][0]
        if grant is not None:
            self._person(
                lambda: revoke(
                    grant_id=grant.pk, person_id=boss.pk, reason="Not any more", actor=make.actor(boss)
                )
            )

    @rule(person=people)
    def freeze(self, person: int) -> None:
        frozen, operator = self.play.people[person][0], self.operators[0]
        for group in range(GROUPS):
            self.play.excused.add(self.play.pair(person, group))
        self._person(
            lambda: freezing.freeze(
                kind=Freeze.Kind.PERSON,
                subject=frozen.object_id,
                person_id=operator.pk,
                reason="The laptop was stolen",
                actor=make.actor(operator),
            )
        )

    @rule(who=st.integers(0, 1))
    def lift(self, who: int) -> None:
        operator, standing = self.operators[who], Freeze.objects.filter(lifted_at=None).first()
        if standing is not None:
            self._person(
                lambda: freezing.lift(
                    freeze_id=standing.pk,
                    person_id=operator.pk,
                    reason="The keys were changed",
                    actor=make.actor(operator),
                )
            )

    def _everybody_signs_in(self) -> None:
        """But who has signed out."""
        self.signed_in_at = self.play.time.now
        for number, (person, _) in enumerate([*self.play.people, *self.play.approvers]):
            if number not in self.signed_out:
                self.play.sign_in(person)

    @rule(who=st.integers(0, PEOPLE + APPROVERS - 1), withdrawn=st.booleans())
    def lose_token(self, who: int, withdrawn: bool) -> None:
        """They sign out, or Entra takes their sign-in no more: what is activated as the person waits for them."""
        person, _ = [*self.play.people, *self.play.approvers][who]
        self.signed_out.add(who)
        if withdrawn:
            self.play.sign_in(person, withdrawn=True)
        else:
            self.play.sign_out(person)
        waiting = range(PEOPLE) if who >= PEOPLE else [who]
        self.play.excused.update(self.play.pair(each, group) for each in waiting for group in AS_PERSON)

    @rule(who=st.integers(0, PEOPLE + APPROVERS - 1))
    def sign_in(self, who: int) -> None:
        self.signed_out.discard(who)
        self.play.sign_in([*self.play.people, *self.play.approvers][who][0])

    # ------------------------------------------------------------ others, and the clouds

    def _happen(self, name: str, person: int, group: int) -> None:
        pair = self.play.pair(person, group)
        self.play.excused.add(pair)
        try:
            self.play.world.happen(name, group=pair[1], person=pair[0])
        except WorldError:
            return  # there is nothing to take away
        self.play.disturbed.add(pair)

    @rule(person=people, group=groups)
    def lose_eligibility(self, person: int, group: int) -> None:
        self._happen("eligibility_ended", person, group)

    def _deciders(self) -> str:
        group = self.play.deciders
        return group.id if group else ""

    @rule(who=approvers)
    def lose_approver(self, who: int) -> None:
        if who in self.may_decide:
            self.may_decide.discard(who)
            self.lost_at[who] = self.play.time.now
            # Whatever was approved and hasn't begun stands on a word that may be theirs.
            self._excuse_what_is_on_its_way()
            self.play.world.directory.remove_member(self._deciders(), self.play.approvers[who][1].id)

    @rule(who=approvers)
    def make_approver(self, who: int) -> None:
        if who not in self.may_decide:
            self.may_decide.add(who)
            self.play.world.directory.add_member(self._deciders(), self.play.approvers[who][1].id)

    @rule(who=people)
    def lose_responder(self, who: int) -> None:
        if who in self.may_respond and self.play.responders is not None:
            self.may_respond.discard(who)
            self.play.world.directory.remove_member(self.play.responders.id, self.play.people[who][1].id)

    @rule(name=st.sampled_from(OTHERS), person=people, group=groups)
    def others_change(self, name: str, person: int, group: int) -> None:
        self._happen(name, person, group)

    @rule(kind=st.sampled_from(FAULTS), operation=st.sampled_from(OPERATIONS), count=st.integers(1, 3))
    def fault(self, kind: str, operation: str, count: int) -> None:
        self.play.world.faults.add(operation, kind, count=count)

    @rule(quarantined=st.booleans())
    def provisioning(self, quarantined: bool) -> None:
        if quarantined != (self.play.world.provisioning.job.quarantine is not None):
            self.play.world.happen("quarantine" if quarantined else "quarantine_lifted")
            self._excuse_what_is_on_its_way()

    # ------------------------------------------------------------ time and workers

    @rule(minutes=st.sampled_from([1, 6, 45, 120, 1500]))
    def advance(self, minutes: int) -> None:
        span = timedelta(minutes=minutes)
        if span > SHORT:
            self._excuse_what_is_on_its_way()
        self._excuse_on_the_way(ends_at__lt=self.play.time.now + span + invariants.TOO_LITTLE)
        self.play.step(span)
        if self.play.time.now - self.signed_in_at > SIGN_IN_EVERY:
            self._everybody_signs_in()

    def _excuse_what_is_on_its_way(self) -> None:
        """Nobody works, or nothing is carried, for so long that a window may pass."""
        self._excuse_on_the_way()
        for item in RequestItem.objects.filter(status=ItemStatus.PENDING).select_related(
            "requester", "group"
        ):
            self.play.excused.add((item.requester.object_id, item.group.object_id))

    def _excuse_on_the_way(self, **chosen: datetime) -> None:
        for grant in Grant.objects.filter(status__in=NOT_YET_READY, **chosen).select_related(
            "person", "group"
        ):
            self.play.excused.add((grant.person.object_id, grant.group.object_id))

    @rule()
    def work(self) -> None:
        self.play.work()

    @rule()
    def work_until_quiet(self) -> None:
        self.play.quiet()
        self.settled = True

    @rule(point=st.sampled_from(crash.registered()), kept=st.booleans())
    def crash(self, point: str, kept: bool) -> None:
        """The next pass dies at a point, if it comes there; the broker delivers again, or there is none."""

        def handler(reached: str) -> None:
            if reached == point:
                crash.install(None)
                raise Died(reached)

        self.play.broker.keeps = lambda _row: kept
        crash.install(handler)
        try:
            self.play.work()
        except Died:
            pass  # in the sweep itself, which no row's worker stands around
        finally:
            crash.install(None)

    # ------------------------------------------------------------ what holds

    @invariant()
    def all_invariants_hold(self) -> None:
        scene = self.play.scene(settled=self.settled, further=True)
        invariants.check(scene, context=f"now {self.play.time.now}")
        self.settled = False

    @invariant()
    def approvers_had_the_right_when_they_were_counted(self) -> None:
        allowed = {self.play.approvers[who][0].pk for who in self.may_decide}
        for decision in Decision.objects.filter(status=DecisionStatus.COUNTED).exclude(pk__in=self.judged):
            assert decision.approver_id in allowed, "I1 counted the word of somebody who isn't an approver"
            self.judged.add(decision.pk)

    @invariant()
    def nothing_is_sent_on_the_word_of_somebody_who_may_not_decide_any_more(self) -> None:
        lost = {
            self.play.approvers[who][0].pk: self.lost_at[who]
            for who in self.lost_at
            if who not in self.may_decide
        }
        sent = Attempt.objects.filter(kind=Attempt.Kind.ASSIGN).exclude(pk__in=self.judged)
        for attempt in sent:
            self.judged.add(attempt.pk)
            words = Decision.objects.filter(
                item__interval__grant=attempt.grant_id,
                item__interval__ends_at__gt=attempt.started_at,
                status=DecisionStatus.COUNTED,
                approver__in=lost,
            ).exclude(item__waiver__status=WaiverStatus.GRANTED)
            for word in words:
                since = attempt.started_at - lost[word.approver_id]
                assert since < 2 * ASKED_JUST_NOW, f"I1 sent {since} after an approver had lost the right"

    @invariant()
    def who_was_let_through_might_go_without(self) -> None:
        allowed = {self.play.people[who][0].pk for who in self.may_respond}
        for waiver in Waiver.objects.filter(status=WaiverStatus.GRANTED).exclude(pk__in=self.judged):
            assert waiver.item.requester_id in allowed, (
                "I1 somebody was let through who isn't a responder any more"
            )
            self.judged.add(waiver.pk)

    @invariant()
    def nothing_was_approved_or_sent_under_a_freeze(self) -> None:
        for row in Freeze.objects.all():
            held = Q(person__object_id=row.subject, created_at__gt=row.frozen_at)
            sent = Q(grant__person__object_id=row.subject, started_at__gt=row.frozen_at)
            if row.lifted_at is not None:
                held, sent = held & Q(created_at__lt=row.lifted_at), sent & Q(started_at__lt=row.lifted_at)
            assert not Grant.objects.filter(held).exists(), "a frozen person was given a grant"
            assert not Attempt.objects.filter(sent, kind__in=GIVING).exists(), "a frozen person was assigned"

    def _mend(self) -> None:
        world = self.play.world
        world.faults.clear()
        self.signed_out.clear()
        self._everybody_signs_in()
        if world.provisioning.job.quarantine is not None:
            world.happen("quarantine_lifted")
        for person, group in sorted(self.play.disturbed):
            for name in ("member_removed", "store_member_removed"):
                try:
                    world.happen(name, group=group, person=person)
                except WorldError:
                    continue  # nothing of it is there

    def _to_the_end(self) -> None:
        last = self.play.time.now + timedelta(days=4)
        while invariants.nothing_is_owed():
            assert self.play.time.now < last, self.play.describe()
            self.play.work()
            self.play.step(self.play.until_next())
            # What is only looked at now and then is over by itself, and what nobody answers lapses.
            if not Grant.objects.exclude(status__in=TERMINAL).exists():
                self.play.step(timedelta(hours=6))
        invariants.check(self.play.scene(settled=True), context="at the end")
        with self.play.as_role("portal_sealer"):
            assert not invariants.seal_is_sound()


def _nth_item(which: int, **chosen: str) -> RequestItem | None:
    """One of the newest items, or None."""
    rows = RequestItem.objects.filter(**chosen).select_related("requester").order_by("-created_at", "pk")
    return next(iter(rows[which : which + 1]), None)


def _nth_grant(which: int) -> Grant | None:
    """One of the newest grants, or None."""
    rows = Grant.objects.select_related("person").order_by("-created_at", "pk")
    return next(iter(rows[which : which + 1]), None)
