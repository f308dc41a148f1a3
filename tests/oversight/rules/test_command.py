"""`manage.py policy`: rules as a file, from mistakes to a proposal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from celery import current_app
from django.core.management import CommandError, call_command

from catalog import nudges
from oversight.rules.models import RuleChange
from oversight.rules.state import in_force
from policy.interests import named_by_rules
from policy.models import Rule
from tests.oversight.rules.conftest import Desk
from tests.requests_app import factories as make

pytestmark = pytest.mark.django_db
LEADS, BOSS = "7c9a1f3e-0000-4000-8000-0000000000a1", "7c9a1f3e-0000-4000-8000-0000000000b1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(
        f"rules:\n  - name: Everything\n    fallback: true\n    longest_duration: PT2H\n    stages:\n"
        f"      - people: [{BOSS}]  # the boss\n        groups: [{LEADS}]\n"
    )
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command("policy", *words)
    return capsys.readouterr().out


def test_the_first_rules_are_loaded_once_and_their_approvers_read(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(nudges, "_silent_until", 0.0)
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: rung.append(name))
    assert said(capsys, "apply", str(file), "--first") == "Everything: created (version 1)\n"
    assert rung == ["catalog.tasks.sync_part"]
    interest = named_by_rules()
    assert (interest.groups, interest.people) == (frozenset({LEADS}), frozenset({BOSS}))
    file.write_text(file.read_text().replace("PT2H", "PT8H"))
    assert "nothing was changed" in said(capsys, "apply", str(file), "--first")
    assert in_force()[1] == {"Everything": 1}


def test_an_operator_proposes_with_a_file_and_another_one_has_to_accept(
    desk: Desk, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = in_force()
    out = said(
        capsys, "apply", str(file), "--by", desk.pia.user_principal_name.upper(), "--reason", "Simpler"
    )
    change = RuleChange.objects.get()
    assert f"/operations/rules/changes/{change.pk}/" in out
    assert (change.proposed_by, change.status, change.reason) == (desk.pia, "proposed", "Simpler")
    assert list(change.rules) == ["Everything"]
    assert in_force() == before
    for words, sentence in (
        ((), "which operator"),
        (("--by", "nobody@example.com"), "is nobody"),
        (("--by", desk.world.cy.object_id, "--reason", "x"), "Only operators"),
        (("--by", desk.pia.object_id), "Say why"),
    ):
        with pytest.raises(CommandError, match=sentence):
            call_command("policy", "apply", str(file), *words)
    assert RuleChange.objects.count() == 1


@pytest.mark.parametrize("text", ["rules: [", "- no", "rules:\n  - name: x\n    stages: []\n"])
@pytest.mark.parametrize("action", ["lint", "apply"])
def test_a_bad_file_is_refused_with_its_lines_and_changes_nothing(
    tmp_path: Path, action: str, text: str
) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    with pytest.raises(CommandError, match=r"rules\.yaml: Line \d"):
        call_command("policy", action, str(file), "--first")
    assert not Rule.objects.exists()


def test_what_differs_and_what_it_would_do_are_told_in_words(
    desk: Desk, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make.person("Bo Boss", object_id=BOSS)
    desk.world.ask()
    old = desk.world.rule.rule.name
    assert said(capsys, "lint", str(file)).endswith("1 rules, no mistakes, 1 worth a look.\n")
    diff = said(capsys, "diff", str(file))
    assert f"{old}: retired\n" in diff
    assert "Everything: added\n" in diff
    assert "  longest duration: 2 h\n" in diff
    plan = said(capsys, "plan", str(file))
    assert "for 1 something else is demanded" in plan
    assert "differs: Ada Asker, AWS - Amazon EC2 Admin" in plan
    assert "    Longest duration: 2 h.\n" in plan
    assert "1 people can decide on something that they could not decide on, and 1 can't any more:\n" in plan
    assert "  gains: Bo Boss: AWS - Amazon EC2 Admin\n" in plan
    assert "  loses: Ben Boss: AWS - Amazon EC2 Admin\n" in plan
    assert "Of 1 requests of the last 90 days" in plan
    found = json.loads(said(capsys, "plan", str(file), "--json"))
    assert found["turns"] == {"gains": 0, "loses": 0, "differs": 1}
    assert found["moves"][0]["person"] == "Ada Asker"
    assert [(each["turn"], each["people"]) for each in found["deciding"]["rows"]] == [
        ("gains", ["Bo Boss"]),
        ("loses", ["Ben Boss"]),
    ]


def test_what_is_exported_is_the_rules_in_force(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.yaml"
    path.write_text(said(capsys, "export"))
    assert said(capsys, "diff", str(path)) == "Nothing differs from the rules in force.\n"
    assert f"{desk.world.ben.object_id}  # Ben Boss\n" in said(capsys, "export", "--names")
    assert json.loads(said(capsys, "schema"))["title"] == "Rules of the access portal"
    with pytest.raises(CommandError, match="takes no file"):
        call_command("policy", "export", str(path))
