"""Every open question is met by the product with both answers, or can't be met by it."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from simulator.world.switches import Switches
from tests.simulator.open_questions import AWS, ENTRA, Question

ROOT = Path(__file__).parents[2]
# Where a test meets the product: the stage plays its life cycle, the adapters are its clients.
PRODUCT = ("tests.support.stage", "clients.", "catalog.", "requests_app.", "tests.clients.")


def question_names(questions: tuple[Question, ...]) -> list[str]:
    return [each.switch for each in questions]


def test_every_switch_is_a_question_of_one_side() -> None:
    entra, aws = question_names(ENTRA), question_names(AWS)
    assert len({*entra, *aws}) == len(entra) + len(aws)
    switches = [each.name for each in fields(Switches)]
    assert set(entra) | set(aws) <= set(switches)
    of_entra = switches[: switches.index("job_interval") + 1]
    assert sorted(entra) == sorted(of_entra)
    assert sorted(aws) == sorted(set(switches) - set(of_entra))


@pytest.mark.parametrize("question", [*ENTRA, *AWS], ids=lambda each: each.switch)
def test_a_question_has_its_tests_or_a_reason(question: Question) -> None:
    assert bool(question.tests) != bool(question.unmet)
    for name in question.tests:
        path, _, function = name.partition("::")
        source = (ROOT / path).read_text()
        found = next(
            (
                each
                for each in ast.walk(ast.parse(source))
                if isinstance(each, ast.FunctionDef) and each.name == function.partition("[")[0]
            ),
            None,
        )
        assert found is not None, f"{name} isn't there"
        first = min([found.lineno, *(each.lineno for each in found.decorator_list)])
        text = "\n".join(source.splitlines()[first - 1 : found.end_lineno])
        assert f"switches.{question.switch}" in text, f"{name} doesn't set {question.switch}"
        assert "parametrize" in text, f"{name} doesn't set it both ways"
        assert any(f"from {each}" in source for each in PRODUCT), f"{name} isn't a test of the product"


@pytest.mark.parametrize(
    "question", [each for each in (*ENTRA, *AWS) if each.unmet], ids=lambda each: each.switch
)
def test_the_product_does_not_send_what_would_meet_it(question: Question) -> None:
    assert question.unless
    sources = {
        path.name: path.read_text()
        for folder in ("entra", "aws")
        for path in (ROOT / "clients" / folder).glob("*.py")
    }

    def is_sent(words: str) -> bool:
        """`file.py: words` are looked for in that file alone."""
        file, _, text = words.rpartition(": ")
        return any(text in source for name, source in sources.items() if file in ("", name))

    sent = [words for words in question.unless if is_sent(words)]
    assert not sent, f"{question.switch}: the product sends {sent} now; test it with both answers"
