"""Rules as text: YAML (or JSON, which is YAML) to documents, with every mistake at once and the line of each.

Written for text of strangers: it is bounded, and it has no anchors, tags or double keys, all of which can make a text
mean something else than it seems to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from base.errors import Invalid
from policy.document import RuleDocument, parse_document
from policy.schema import SCHEMA
from policy.shape import Path, mistakes

LONGEST_TEXT = 200_000  # characters; some hundred rules that name their groups one by one
DEEPEST = 12
# More mistakes than this help nobody.
MOST_MISTAKES = 50


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something to mend: its line (counted from 1), where that is in words, and what is wrong."""

    line: int
    place: str
    sentence: str

    def __str__(self) -> str:
        place = f"{self.place}: " if self.place else ""
        return f"Line {self.line}: {place}{self.sentence}"


@dataclass(frozen=True, slots=True)
class Reading:
    """The rules by name; empty when there are mistakes."""

    rules: Mapping[str, RuleDocument]
    mistakes: Sequence[Mistake]
    lines: Mapping[str, int]  # of each rule


def read_rules(text: str) -> Reading:
    """Read a file of rules, as `policy.schema` describes it. Never raises for what the text says."""
    if len(text) > LONGEST_TEXT:
        return _refused(1, f"The text has {len(text):,} characters; at most {LONGEST_TEXT:,} are read.")
    try:
        node = _composed(text)
    except _Refused as error:
        return _refused(error.line, error.sentence)
    except yaml.YAMLError as error:
        return _refused(_line_of(error), _yaml_words(error))
    if node is None:
        return _refused(1, "The text is empty. It begins with “rules:”, a list of rules.")
    lines = dict(_lines(node, ()))
    raw = _plain(node)
    misshapen = list(mistakes(raw, SCHEMA))
    found = [
        Mistake(_line(path, lines), _place(path, raw), sentence)
        for path, sentence in [*_double_keys(node, ()), *misshapen]
    ]
    rules: dict[str, RuleDocument] = {}
    entries = raw.get("rules") if isinstance(raw, dict) else None
    broken = {path[1] for path, _ in misshapen if len(path) > 1}
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or number in broken:
            continue
        found += _read_one(number, name.strip(), entry, rules, lines)
    found.sort(key=lambda each: each.line)
    at = {
        str(entry.get("name", "")).strip(): _line(("rules", number), lines)
        for number, entry in enumerate(entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
    }
    return Reading({} if found else rules, found[:MOST_MISTAKES], at)


def _read_one(
    number: int,
    name: str,
    entry: Mapping[str, Any],
    rules: dict[str, RuleDocument],
    lines: Mapping[Path, int],
) -> Iterator[Mistake]:
    path: Path = ("rules", number)
    if not name:
        yield Mistake(_line((*path, "name"), lines), f"Rule {number + 1}", "needs a name.")
    elif name in rules:
        yield Mistake(
            _line((*path, "name"), lines), f"Rule “{name}”", "is there twice. Each name may occur once."
        )
    else:
        try:
            rules[name] = parse_document(
                _lower_ids({key: value for key, value in entry.items() if key != "name"})
            )
        except Invalid as error:
            field = (*path, error.field) if error.field else path
            yield Mistake(_line(field, lines), f"Rule “{name}”", error.sentence)


def _lower_ids(value: Any) -> Any:
    """Object ids as the directory writes them. Nothing else has their form."""
    if isinstance(value, dict):
        return {key: _lower_ids(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_lower_ids(each) for each in value]
    if isinstance(value, str) and len(value) == 36 and not list(mistakes(value, SCHEMA["$defs"]["id"])):
        return value.lower()
    return value


# ------------------------------------------------------------ YAML, with its lines


class _Refused(Exception):
    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


def _composed(text: str) -> yaml.Node | None:
    """The text as nodes. Raises _Refused for what isn't plain data, yaml.YAMLError for what isn't YAML."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if documents > 1:
            raise _Refused(line, "A second document begins here. Keep everything in one.")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refused(line, "Anchors (&, *) are not taken: write out what is meant.")
        if getattr(event, "tag", None):
            raise _Refused(line, "Tags (!) are not taken.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _Refused(line, "This is nested too deeply for rules.")
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _plain(node: yaml.Node) -> Any:
    """What the nodes say. Texts that YAML would take for dates or numbers of other bases stay texts."""
    if isinstance(node, yaml.MappingNode):
        return {_plain(key): _plain(value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each) for each in node.value]
    value = str(node.value)
    if not isinstance(node, yaml.ScalarNode) or node.style in ("'", '"', "|", ">"):
        return value
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return value.lower() in ("true", "yes", "on")
        case "int" if value.lstrip("+-").isdecimal() and not value.lstrip("+-").startswith("0"):
            return int(value) if len(value) < 20 else value
        case "int" if value == "0":
            return 0
        case _:
            return value


def _lines(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            yield from _lines(value, (*path, name))
            yield (*path, name), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _lines(value, (*path, number))


def _double_keys(node: yaml.Node, path: Path) -> Iterator[tuple[Path, str]]:
    """Of a key that is there twice, YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                yield path, "has a field whose name is a list or a mapping."
                continue
            if key.value in seen:
                yield (*path, key.value), f"has “{key.value}” twice. Only one of them could hold."
            seen.add(key.value)
            yield from _double_keys(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _double_keys(value, (*path, number))


# ------------------------------------------------------------ words


def _refused(line: int, sentence: str) -> Reading:
    return Reading({}, [Mistake(line, "", sentence)], {})


def _line_of(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    return 1


def _yaml_words(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read"
    return f"This is not valid YAML: {problem}. Indent with spaces, and alike in one list."


def _line(path: Path, lines: Mapping[Path, int]) -> int:
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path, 1)


def _place(path: Path, raw: Any) -> str:
    """Where something is, e.g. "Rule “Production”, stage 2, quorum"."""
    if not path or path[0] != "rules" or len(path) < 2:
        return "The file" if not path else f"“{path[0]}”"
    number = int(path[1])
    entries = raw.get("rules") if isinstance(raw, dict) else None
    entry = entries[number] if isinstance(entries, list) and number < len(entries) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    words = [f"Rule “{name}”" if isinstance(name, str) and name.strip() else f"Rule {number + 1}"]
    for each in path[2:]:
        if isinstance(each, int):
            words[-1] = f"{words[-1].removesuffix('s') if words[-1] == 'stages' else words[-1]} {each + 1}"
        else:
            words.append(str(each))
    return ", ".join(words)
