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
PRODUCT = ("tests.support.stage", "clients.", "catalog.", "identity.", "requests_app.", "tests.clients.")


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
    assert bool(question.simulated) == bool(question.unmet)
    for name in (*question.tests, *question.simulated):
        path, _, function = name.partition("::")
        source = (ROOT / path).read_text()
        found = next(
            (
                each
                for each in ast.walk(ast.parse(source))
                if isinstance(each, ast.FunctionDef) and each.name == function
            ),
            None,
        )
        assert found is not None, f"{name} isn't there"
        setting = parameter_for(found, question.switch)
        assert setting in parameters(found), f"{name} doesn't set {question.switch} to what it is given"
    for name in question.tests:
        source = (ROOT / name.partition("::")[0]).read_text()
        assert any(f"from {each}" in source for each in PRODUCT), f"{name} isn't a test of the product"


def parameter_for(test: ast.FunctionDef, switch: str) -> str:
    """The name whose value `test` gives this switch: in the world's state, or over HTTP; "" without one."""
    for node in ast.walk(test):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            (target, *_) = node.targets
            if isinstance(target, ast.Attribute) and target.attr == switch:
                return node.value.id
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == switch and isinstance(value, ast.Name):
                    return value.id
    return ""


def parameters(test: ast.FunctionDef) -> set[str]:
    """Names that `test` is given by `parametrize`, with more than one value."""
    found: set[str] = set()
    for call in test.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("parametrize"):
            named, values = ast.literal_eval(call.args[0]), call.args[1]
            if not isinstance(values, ast.List) or len(values.elts) > 1:
                found.update([named] if isinstance(named, str) else named)
    return found


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
