"""What a rule says, in words: names of people and groups are looked up once for a whole page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from base.words import duration_words
from identity.models import DirectoryGroup, Person
from policy.demands import Approvers, Demands, Stage
from policy.document import RuleDocument
from policy.scope import Scope
from policy.waiving import Automatic, Emergency, Named

# More names than this are counted, not listed.
MOST_NAMES = 4


def names_in(demanded: Iterable[Demands]) -> Mapping[str, str]:
    """Display names by object id of everybody and every group that these demands name. Two queries at most."""
    people: set[str] = set()
    groups: set[str] = set()
    for demands in demanded:
        for stage in demands.stages:
            approvers = stage.escalated().approvers
            people |= approvers.people
            groups |= approvers.groups
        if demands.emergency:
            people |= demands.emergency.everybody.people
            groups |= demands.emergency.everybody.groups
    names: dict[str, str] = {}
    if people:
        names |= dict(Person.objects.filter(object_id__in=people).values_list("object_id", "display_name"))
    if groups:
        known = DirectoryGroup.objects.filter(object_id__in=groups).exclude(display_name="")
        names |= dict(known.values_list("object_id", "display_name"))
    return names


def stage_words(stage: Stage, names: Mapping[str, str]) -> str:
    """Who decides at a stage, e.g. "2 of Cloud platform leads, Ben Boss"."""
    shown = _shown(stage.approvers, names)
    if stage.quorum > 1 and shown:
        return f"{stage.quorum} of {', '.join(shown)}"
    return _either(shown)


def named_words(named: Named, names: Mapping[str, str]) -> str:
    """Some people and groups, e.g. "Cloud platform leads or Ben Boss"."""
    return _either(_shown(named, names))


def _shown(named: Named | Approvers, names: Mapping[str, str]) -> list[str]:
    known = sorted(names.get(key, "") for key in (*named.groups, *named.people))
    described = _described(named) if isinstance(named, Approvers) else []
    shown = [*described, *(name for name in known if name)]
    if unknown := known.count(""):
        shown.append(f"{unknown} not found in the directory")
    if len(shown) > MOST_NAMES:
        shown = [*shown[: MOST_NAMES - 1], f"{len(shown) - MOST_NAMES + 1} more"]
    return shown


def _either(shown: list[str]) -> str:
    if not shown:
        return "nobody who is known"
    return " or ".join((", ".join(shown[:-1]), shown[-1])) if len(shown) > 1 else shown[0]


def _described(approvers: Approvers) -> list[str]:
    """Those whom a rule describes, in words."""
    return [
        *(["the requester's manager"] if approvers.manager else []),
        *([f"whoever is on call for {approvers.on_call}"] if approvers.on_call else []),
        *([f"the account's owner (tag {approvers.account_owner})"] if approvers.account_owner else []),
    ]


def stages_words(demands: Demands, names: Mapping[str, str]) -> list[str]:
    """Who decides, stage by stage."""
    words = [stage_words(stage, names) for stage in demands.stages]
    return (
        words
        if len(words) == 1
        else [f"Stage {number}: {each}" for number, each in enumerate(words, start=1)]
    )


def waits_for(demands: Demands, stage: int, names: Mapping[str, str]) -> str:
    """Who decides at a stage, "" when there is no such stage."""
    return stage_words(demands.stages[stage], names) if stage < len(demands.stages) else ""


def demand_sentences(demands: Demands, names: Mapping[str, str]) -> list[str]:
    """All that is demanded, a sentence for each thing."""
    sentences = _decided(demands, names)
    if demands.second_approver_outside:
        hours = " or ".join(each.words for each in demands.second_approver_outside)
        sentences.append(f"One more agrees at the first stage outside {hours}.")
    for number, stage in enumerate(demands.stages, start=1):
        if stage.escalation:
            others = stage_words(Stage(stage.escalation.approvers, 1), names)
            where = f"At stage {number}, after" if len(demands.stages) > 1 else "After"
            sentences.append(
                f"{where} {duration_words(stage.escalation.after)} without an answer, {others} may decide too."
            )
    if demands.remind_after is not None:
        sentences.append(
            f"Who may decide is reminded after {duration_words(demands.remind_after)}, "
            f"{demands.most_reminders} times at most."
        )
    if demands.longest_duration is not None:
        sentences.append(f"At most {duration_words(demands.longest_duration)}.")
    sentences += _to_be_said(demands)
    sentences.append(f"Unanswered, a request lapses after {duration_words(demands.lapses_after)}.")
    for who, assurance in (("ask", demands.step_up.ask), ("decide", demands.step_up.decide)):
        sentences += [f"To {who}, {words} is needed." for words in assurance.words]
    if demands.pim_approval:
        sentences.append("PIM demands an approval, so there is none that is automatic or waived.")
    if demands.guests_decide:
        sentences.append("Guests of the directory may decide, where their account says whose it is.")
    sentences.append("Never by the requester.")
    if demands.emergency:
        sentences += emergency_sentences(demands.emergency, names)
    if demands.automatic:
        sentences.append(automatic_sentence(demands.automatic))
    return sentences


def _decided(demands: Demands, names: Mapping[str, str]) -> list[str]:
    words = [stage_words(stage, names) for stage in demands.stages]
    if len(words) == 1:
        return [f"Decided by {words[0]}."]
    return [f"Stage {number} is decided by {each}." for number, each in enumerate(words, start=1)]


def _to_be_said(demands: Demands) -> list[str]:
    """What whoever asks has to write."""
    least = demands.shortest_justification
    return [
        *([f"The justification has at least {least} characters."] if least else []),
        *(f"The justification fits {pattern}." for pattern in demands.justification_patterns),
        *(["A reference is required."] if demands.reference_required else []),
        *(f"A reference fits {pattern}." for pattern in demands.reference_patterns),
    ]


def emergency_sentences(emergency: Emergency, names: Mapping[str, str]) -> list[str]:
    """Who may go without an approval, and what they owe."""
    who = ", and ".join(named_words(each, names) for each in emergency.allowed)
    longest = duration_words(emergency.longest_duration)
    sentences = [f"In an emergency {who} may go without an approval, for at most {longest}."]
    for panel in emergency.panels:
        further = (
            f"; once it is overdue, {named_words(panel.escalates_to, names)} may too"
            if panel.escalates_to
            else ""
        )
        sentences.append(
            f"{named_words(panel.reviewers, names)} reviews that within {duration_words(emergency.review_within)}{further}."
        )
    sentences.append(
        f"Unreviewed after {duration_words(emergency.blocks_after)}, it blocks the same person's next emergency use."
    )
    return sentences


def automatic_sentence(automatic: Automatic) -> str:
    """Under which conditions nobody has to decide."""
    conditions = [f"it is for at most {duration_words(automatic.longest_duration)}"]
    conditions += [f"all that it opens is within {_within(scope)}" for scope in automatic.only]
    conditions += [f"it is asked for within {hours.words}" for hours in automatic.during]
    if automatic.read_only:
        conditions.append("its permission sets are known to allow reading and listing only")
    if automatic.reference_required:
        conditions.append("it has a reference")
    return f"Approved automatically where {', and '.join(conditions)}."


def _within(scope: Scope) -> str:
    parts = [
        f"{what} {', '.join(sorted(values))}"
        for what, values in (
            ("the permission sets", scope.permission_sets),
            ("the accounts", scope.accounts),
            ("the organisational units", scope.units),
        )
        if values
    ]
    parts += [f"accounts tagged {key} {' or '.join(sorted(values))}" for key, values in scope.account_tags]
    return " and ".join(parts)


def scope_sentence(document: RuleDocument) -> str:
    """What a rule applies to, in a sentence."""
    scope = document.applies_to
    parts = [
        _counted(len(values), one, many)
        for values, one, many in (
            (scope.groups, "PIM group by name", "PIM groups by name"),
            (scope.permission_sets, "permission set by name", "permission sets by name"),
            (scope.accounts, "account by number", "accounts by number"),
            (
                scope.units,
                "organisational unit with all below it",
                "organisational units with all below them",
            ),
        )
        if values
    ]
    parts += [f"accounts tagged {key} {' or '.join(sorted(values))}" for key, values in scope.account_tags]
    if scope.requester_groups:
        parts.append(
            f"members of {_counted(len(scope.requester_groups), 'directory group', 'directory groups')}"
        )
    parts += [f"people whose {key} is {' or '.join(sorted(values))}" for key, values in scope.requester]
    if scope.during:
        parts.append(f"requests made during {scope.during.words}")
    if scope.outside:
        parts.append(f"requests made outside {scope.outside.words}")
    if document.fallback:
        limits = f", of {', and '.join(parts)}" if parts else ""
        return f"Applies to what no other rule applies to{limits}."
    return f"Applies to {', and '.join(parts) if parts else 'every PIM group'}."


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
