"""Names of actions and facts, as the auditor's pages say them."""

from __future__ import annotations

from itertools import groupby

from audit.ledger.registry import registered

type Choices = list[tuple[str, str | list[tuple[str, str]]]]


# Events that are asked for together: what counts as one thing is told by either.
_TOGETHER = {"item": [("item.approved,item.denied", "approved or denied")]}
# Words that people spell otherwise than code does.
_SPELLING = {"api": "API", "aws": "AWS", "pim": "PIM", "entra": "Entra", "signin": "sign-in", "arn": "ARN"}


def area_of(name: str) -> str:
    """The part of an event's name before the dot."""
    return name.partition(".")[0]


def action_words(name: str) -> str:
    """An event's name in words: "grant.out_of_aws" is "Grant: out of AWS"; also of several that are asked for together."""
    area, _, verb = name.partition(".")
    verb = dict(_TOGETHER.get(area, ())).get(name, verb)
    return f"{_spoken(area)}: {_spoken(verb, begin=False)}"


def label_words(name: str) -> str:
    """A field's name in words."""
    return _spoken(name)


def action_choices() -> Choices:
    """All actions by area, for a select; an area itself is the choice "any of it", written "grant."."""
    choices: Choices = [("", "Any action")]
    for area, names in groupby(registered(), key=area_of):
        title = _spoken(area)
        entries = [(name, _spoken(name.partition(".")[2])) for name in names]
        if len(entries) > 1:
            entries.insert(0, (f"{area}.", f"{title}: anything"))
        entries += [(several, _spoken(words)) for several, words in _TOGETHER.get(area, ())]
        choices.append((title, entries))
    return choices


def types_of(action: str) -> tuple[str, ...]:
    """The event types of a choice; empty for any."""
    if not action:
        return ()
    if action.endswith("."):
        return tuple(name for name in registered() if name.startswith(action))
    return tuple(action.split(","))


def _spoken(name: str, *, begin: bool = True) -> str:
    """A name of the code in words, spelled as people do."""
    words = " ".join(_SPELLING.get(word, word) for word in name.split("_"))
    return words[:1].upper() + words[1:] if begin else words
