"""`manage.py policy`: rules as a file. Nothing is applied here but the very first rules; a change is proposed."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from audit.ledger.recorder import Actor
from base.errors import DomainError
from catalog.models import PimGroup
from identity.models import Person
from oversight.rules.applying import load_first
from oversight.rules.comparing import compare, in_words
from oversight.rules.naming import names_of
from oversight.rules.pages import deciding_rows, move_sentences
from oversight.rules.proposing import propose
from oversight.rules.state import in_force, serialised
from oversight.rules.working_out import work_out
from policy.document import RuleDocument
from policy.linting import doubts
from policy.reading import read_rules
from policy.schema import SCHEMA
from policy.writing import write_rules
from requests_app.models import RequestItem

FILE_ACTIONS = ("lint", "diff", "plan", "apply")
ACTIONS = (*FILE_ACTIONS, "export", "schema")


class Command(BaseCommand):
    help = (
        "Works with rules as a file: lint (mistakes with their lines), diff (with the rules in force), plan (who gains, "
        "who loses, and the last 90 days of requests under them), apply (proposes them to a second operator; with "
        "--first, loads the very first ones), export (the rules in force) and schema (JSON Schema of the file)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=ACTIONS)
        parser.add_argument("file", nargs="?", help="YAML or JSON; - reads from standard input")
        parser.add_argument(
            "--first", action="store_true", help="apply: load them, if there are no rules yet"
        )
        parser.add_argument(
            "--by", default="", help="apply: the operator who proposes, by object id or sign-in name"
        )
        parser.add_argument("--reason", default="", help="apply: why; the second operator reads it")
        parser.add_argument("--json", action="store_true", help="plan: everything that was found, as JSON")
        parser.add_argument("--names", action="store_true", help="export: names beside ids")

    def handle(self, *_args: Any, **options: Any) -> None:
        action = options["action"]
        if (action in FILE_ACTIONS) != bool(options["file"]):
            raise CommandError(f"{action} takes {'a' if action in FILE_ACTIONS else 'no'} file.")
        match action:
            case "export":
                documents, _ = in_force()
                self.stdout.write(
                    write_rules(documents, names_of(documents) if options["names"] else None), ending=""
                )
            case "schema":
                self.stdout.write(json.dumps(SCHEMA, indent=2, ensure_ascii=False))
            case _:
                self._with_file(action, self._read(options["file"]), options)

    def _with_file(self, action: str, rules: Mapping[str, RuleDocument], options: Mapping[str, Any]) -> None:
        match action:
            case "lint":
                self._lint(rules)
            case "diff":
                self._diff(rules)
            case "plan":
                self._plan(rules, as_json=options["json"])
            case _:
                self._apply(rules, options)

    def _read(self, name: str) -> Mapping[str, RuleDocument]:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{name} can't be read: {type(error).__name__}.") from error
        read = read_rules(text)
        if read.mistakes:
            lines = "\n".join(f"{name}: {mistake}" for mistake in read.mistakes)
            raise CommandError(f"{lines}\nNothing was changed.")
        return read.rules

    def _lint(self, rules: Mapping[str, RuleDocument]) -> None:
        found = doubts(rules)
        for each in found:
            self.stdout.write(f"{each.rule}: {each.sentence}" if each.rule else each.sentence)
        self.stdout.write(f"{len(rules)} rules, no mistakes, {len(found)} worth a look.")

    def _diff(self, rules: Mapping[str, RuleDocument]) -> None:
        before, after = in_force()[0], serialised(rules)
        words = in_words(compare(before, after, names_of([before, after])))
        self.stdout.write(words or "Nothing differs from the rules in force.\n", ending="")

    def _plan(self, rules: Mapping[str, RuleDocument], *, as_json: bool) -> None:
        found = work_out(serialised(rules))
        if as_json:
            self.stdout.write(json.dumps(_with_names(found), indent=2, ensure_ascii=False))
            return
        for line in _plan_lines(found):
            self.stdout.write(line)

    def _apply(self, rules: Mapping[str, RuleDocument], options: Mapping[str, Any]) -> None:
        try:
            if options["first"]:
                loaded = load_first(rules, reason=options["reason"] or "The first rules")
                for each in loaded or ():
                    self.stdout.write(f"{each.name}: {each.change.value} (version {each.number})")
                if loaded is None:
                    self.stdout.write(
                        "There are rules already: nothing was changed. Propose a change with --by."
                    )
                return
            operator = _operator(options["by"])
            change = propose(
                rules=rules, person_id=operator.pk, reason=options["reason"], actor=Actor.system()
            )
        except DomainError as error:
            raise CommandError(f"{error.sentence} Nothing was changed.") from error
        self.stdout.write(
            f"Proposed as {change}. Another operator than {operator.display_name} accepts it at "
            f"/operations/rules/changes/{change}/."
        )


def _operator(named: str) -> Person:
    if not named:
        raise CommandError("Say with --by which operator proposes this; another one has to accept it.")
    found = list(Person.objects.filter(Q(object_id=named.lower()) | Q(user_principal_name__iexact=named))[:2])
    if len(found) != 1:
        raise CommandError(
            f"{named} is {'nobody' if not found else 'more than one person'} whom the portal knows."
        )
    return found[0]


def _plan_lines(found: Mapping[str, Any]) -> Sequence[str]:
    """What was found, for people."""
    named, turns, outcomes = _with_names(found), found["turns"], found["outcomes"]
    lines = [
        f"Of {found['people']} eligible people with {found['pairs']} ways into a PIM group:",
        (
            f"  {turns['loses']} can't ask any more, {turns['gains']} can ask who could not, and for {turns['differs']} "
            "something else is demanded."
        ),
    ]
    for each in named["moves"]:
        lines += [
            f"  {each['turn']}: {each['person']}, {each['group']}",
            *(f"    {sentence}" for sentence in each["what"]),
        ]
    if left := found["more_moves"]:
        lines.append(f"  and {left} more")
    lines += _deciding_lines(named["deciding"])
    lines += [
        (
            f"Of {found['requests']} requests of the last 90 days"
            f"{' (the newest; there are more)' if found['cut'] else ''}, judged with the people, groups and accounts of now:"
        ),
        (
            f"  {outcomes['refused']} would have been refused, {outcomes['nobody']} had nobody to decide, "
            f"{outcomes['longer']} needed more approvals, and for {outcomes['sign_in']} more somebody had to sign in "
            "again."
        ),
    ]
    lines += [
        f"  {each['outcome']}: {each['person']}, {each['group']}, {each['asked_at']}: {each['sentence']}"
        for each in named["examples"]
    ]
    if (left := sum(outcomes.values()) - len(named["examples"])) > 0:
        lines.append(f"  and {left} more")
    return lines


def _deciding_lines(deciding: Mapping[str, Any]) -> Sequence[str]:
    """Who gains and loses the right to decide, for people."""
    lines = [
        (
            f"{deciding['gains']} people can decide on something that they could not decide on, and "
            f"{deciding['loses']} can't any more:"
        )
    ]
    for each in deciding["rows"]:
        people, groups = (
            ", ".join(each[what]) + (f" and {more} more" if (more := each[f"more_{what}"]) else "")
            for what in ("people", "groups")
        )
        lines.append(f"  {each['turn']}: {people}: {groups}")
    return [*lines, *([f"  and {deciding['more']} more"] if deciding["more"] else [])]


def _with_names(found: Mapping[str, Any]) -> dict[str, Any]:
    """What was found with names for keys, and words for what is demanded."""
    people = dict(
        Person.objects.filter(pk__in=[row[0] for row in found["moves"]]).values_list("pk", "display_name")
    )
    groups = dict(
        PimGroup.objects.filter(pk__in=[row[1] for row in found["moves"]]).values_list("pk", "display_name")
    )
    names = names_of(found["standings"])
    standings = found["standings"]
    items = {
        str(item.pk): item
        for item in RequestItem.objects.filter(pk__in=[row[0] for row in found["examples"]]).select_related(
            "requester", "group"
        )
    }
    counts = {
        key: found[key] for key in ("people", "pairs", "turns", "more_moves", "requests", "outcomes", "cut")
    }
    return {
        **counts,
        "deciding": {**found["deciding"], "rows": [asdict(each) for each in deciding_rows(found)]},
        "moves": [
            {
                "turn": turn,
                "person": people.get(person, ""),
                "group": groups.get(group, ""),
                "what": move_sentences(standings[old], standings[new], names),
                "before": standings[old],
                "after": standings[new],
            }
            for person, group, turn, old, new in found["moves"]
        ],
        "examples": [
            {
                "outcome": outcome,
                "request": str(items[key].request_id),
                "person": items[key].requester.display_name,
                "group": items[key].group.display_name,
                "asked_at": items[key].created_at.isoformat(timespec="minutes"),
                "sentence": sentence,
            }
            for key, outcome, sentence in found["examples"]
            if key in items
        ],
    }
