"""What a rule says, in words: names of people and groups are looked up once for a whole page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from base.words import duration_words
from identity.models import DirectoryGroup, Person
from policy.document import RuleDocument, Stage

# More names than this are counted, not listed.
MOST_NAMES = 4


def names_in(documents: Iterable[RuleDocument]) -> Mapping[str, str]:
    """Display names by object id of everybody and every group that these rules name. Two queries at most."""
    people: set[str] = set()
    groups: set[str] = set()
    for document in documents:
        for stage in document.stages:
            people |= stage.approvers.people
            groups |= stage.approvers.groups
    names: dict[str, str] = {}
    if people:
        names |= dict(Person.objects.filter(object_id__in=people).values_list("object_id", "display_name"))
    if groups:
        known = DirectoryGroup.objects.filter(object_id__in=groups).exclude(display_name="")
        names |= dict(known.values_list("object_id", "display_name"))
    return names


def stage_words(stage: Stage, names: Mapping[str, str]) -> str:
    """Who decides at a stage, e.g. "2 of Cloud platform leads, Ben Boss"."""
    known = sorted(names.get(key, "") for key in (*stage.approvers.groups, *stage.approvers.people))
    shown = [name for name in known if name]
    if unknown := len(known) - len(shown):
        shown.append(f"{unknown} not found in the directory")
    if len(shown) > MOST_NAMES:
        shown = [*shown[: MOST_NAMES - 1], f"{len(shown) - MOST_NAMES + 1} more"]
    if stage.quorum > 1:
        return f"{stage.quorum} of {', '.join(shown)}"
    return " or ".join((", ".join(shown[:-1]), shown[-1])) if len(shown) > 1 else shown[0]


def stages_words(document: RuleDocument, names: Mapping[str, str]) -> list[str]:
    """Who decides, stage by stage."""
    words = [stage_words(stage, names) for stage in document.stages]
    return (
        words
        if len(words) == 1
        else [f"Stage {number}: {each}" for number, each in enumerate(words, start=1)]
    )


def waits_for(document: RuleDocument, stage: int, names: Mapping[str, str]) -> str:
    """Who decides at a stage, "" when there is no such stage."""
    return stage_words(document.stages[stage], names) if stage < len(document.stages) else ""


def rule_sentences(document: RuleDocument, names: Mapping[str, str]) -> list[str]:
    """The whole rule, a sentence for each thing it says."""
    groups = len(document.groups)
    applies = (
        "1 PIM group by name"
        if groups == 1
        else f"{groups} PIM groups by name"
        if groups
        else "every PIM group"
    )
    sentences = [f"Applies to {applies}."]
    sentences += [f"Decided by {words}." for words in stages_words(document, names)]
    if document.longest_duration is not None:
        sentences.append(f"At most {duration_words(document.longest_duration)}.")
    sentences.append(f"The justification has at least {document.shortest_justification} characters.")
    if document.reference_required:
        sentences.append("A reference is required.")
    sentences.append(f"Unanswered, a request lapses after {duration_words(document.lapses_after)}.")
    sentences.append("Never by the requester.")
    return sentences
