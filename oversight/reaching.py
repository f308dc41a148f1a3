"""Whether every rule could reach its quorum: looked at once a day, and soon after a rule got a new version.

For each rule in force, and somebody who asks and isn't among those who decide: whether all of its stages can be filled
with different humans, by what is known of Entra now and without those who are away; of a schedule, with those who are on
call now. A stage whose approvers are found by an account's tag, or is the requester's manager, depends on what is asked
for and by whom, and is left to the request form; so is whether a rule holds for each of
its own approvers when they ask themselves. For emergency use, whether each panel has somebody who could review it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from django.db import connection
from django_subatomic.db import durable, transaction

from audit.ledger.recorder import Actor, record
from base.clock import business_now, real_now
from identity.models import Person
from oversight.models import Heartbeat, RuleOutOfReach
from policy.approvers import somebody_can_decide
from policy.demands import Approvers, Demands
from policy.matching import current_versions
from policy.models import OnCallShift, RuleVersion
from policy.on_call import known_on_call, on_call_at, schedules_named
from policy.preflight import why_no_review, why_nobody
from policy.scope import OnCall

EVERY = timedelta(hours=24)  # real time
BEAT = "rules:reach"


@durable
def check_rules_if_due() -> bool:
    """Look when it is owed, one worker at a time; whether it was done. Reads PostgreSQL only."""
    if not _due():
        return False
    with transaction():
        if not _alone():
            return False
        _keep(out_of_reach())
        Heartbeat.objects.update_or_create(name=BEAT, defaults={"seen_at": real_now()})
    return True


def out_of_reach() -> Mapping[int, str]:
    """Why each rule that can't reach its quorum can't, by the rule's key: a sentence for decisions, one for reviews.

    Ten queries a stage or panel at most, and two.
    """
    found, versions = {}, current_versions()
    on_call = _on_call_now(versions)
    outsider = Person()  # somebody who is nowhere in the directory
    for version in versions:
        demands = _settled(version.parsed.demands, on_call)
        reasons = []
        if demands.stages and not somebody_can_decide(demands, outsider):
            reasons.append(why_nobody(demands, outsider))
        if demands.emergency and (
            unreviewed := why_no_review(demands.emergency, guests=demands.guests_decide)
        ):
            reasons.append(unreviewed)
        if reasons:
            found[version.rule_id] = " ".join(reasons)
    return found


def _on_call_now(versions: Sequence[RuleVersion]) -> Mapping[str, OnCall]:
    """Who is on call now, or why nobody is known, for each schedule that was ever read."""
    now, named = business_now(), schedules_named(versions)
    read = set(OnCallShift.objects.filter(schedule__in=named).values_list("schedule", flat=True).distinct())
    return on_call_at(known_on_call(read, [now]), read, now)


def _settled(demands: Demands, on_call: Mapping[str, OnCall]) -> Demands:
    """With those who are on call in their stages, and without the stages that only a request settles."""
    stages = []
    for stage in demands.stages:
        who = stage.approvers
        if not who.described:
            stages.append(stage)
        elif not (who.manager or who.account_owner) and (held := on_call.get(who.on_call)):
            people = Approvers(who.people | held.people, who.groups, unknown=held.problem)
            stages.append(replace(stage, approvers=people))
    return replace(demands, stages=tuple(stages))


def _due() -> bool:
    last = Heartbeat.objects.filter(name=BEAT).values_list("seen_at", flat=True).first()
    if last is None or real_now() - last >= EVERY:
        return True
    return RuleVersion.objects.filter(created_at__gt=last).exists()


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('oversight.reaching', 0))")
        ((alone,),) = cursor.fetchall()
    return bool(alone)


def _keep(found: Mapping[int, str]) -> None:
    """Write what changed, each with its event."""
    kept = {row.rule_id: row for row in RuleOutOfReach.objects.select_related("rule")}
    for version in current_versions():
        rule, row = version.rule, kept.pop(version.rule_id, None)
        sentence = found.get(rule.pk, "")
        if row is None and sentence:
            RuleOutOfReach.objects.create(rule=rule, sentence=sentence, found_at=business_now())
            _tell("operations.rule_out_of_reach", name=rule.name, reason=sentence)
        elif row is not None and not sentence:
            row.delete()
            _tell("operations.rule_in_reach", name=rule.name)
        elif row is not None and row.sentence != sentence:
            row.sentence = sentence
            row.save(update_fields=["sentence"])
            _tell("operations.rule_out_of_reach", name=rule.name, reason=sentence)
    for row in kept.values():  # of rules that judge nothing any more
        row.delete()


def _tell(event: str, **fields: str) -> None:
    record(event, actor=Actor.worker(), fields=fields)
